"""Account: the integer books of one wallet and its position legs.

A leg holds a signed quantity and what that quantity cost; entry is cost divided by quantity. While a leg shrinks, its
cost is measured from the anchor, the quantity and cost of its last increase, so that ten partial closes leave the same
entry as one. Every change keeps `wallet == deposits + realised - fees + funding` true as integers.
"""

from __future__ import annotations

from simcore.domain.enums import Leg
from simcore.engine.money import E8, mul_div_floor_nb, mul_div_round_nb, notional_e8_nb, to_e8_nb
from simcore.jit import kernel


@kernel
def slot_nb(symbol, leg):
    """Return the row of a symbol's leg in a position table: SHORT has the second, LONG and BOTH the first."""
    return symbol * 2 + (1 if leg == Leg.SHORT else 0)


@kernel
def book_fill_nb(position, side, qty_lots, price_ticks, unit_e8, fee_e8):
    """Book one fill on the leg `position` and return the realised PnL of its closing part in 1e-8 quote units.

    A fill against the leg closes at the kept entry; what is left over opens at the fill price (a flip). In hedge mode the
    caller never closes more of a leg than it holds: `closable_lots_nb` says how much that is.
    """
    held = position["qty_lots"]
    size = abs(held)
    realised_e8 = 0
    opened = qty_lots
    if held * side < 0:
        closed = min(size, qty_lots)
        if position["anchor_lots"] < size:
            position["anchor_lots"], position["anchor_cost_e8"] = size, position["cost_e8"]
        kept_e8 = mul_div_round_nb(position["anchor_cost_e8"], size - closed, position["anchor_lots"])
        # side is the fill's: closing a long sells, so the proceeds come in and the cost of the closed part goes out.
        realised_e8 = -side * (notional_e8_nb(closed, price_ticks, unit_e8) - (position["cost_e8"] - kept_e8))
        position["cost_e8"] = kept_e8
        size -= closed
        opened -= closed
    if opened > 0:
        size += opened
        position["cost_e8"] += notional_e8_nb(opened, price_ticks, unit_e8)
        position["anchor_lots"], position["anchor_cost_e8"] = size, position["cost_e8"]
    position["qty_lots"] = held + side * qty_lots
    position["realised_e8"] += realised_e8
    position["fees_e8"] += fee_e8
    return realised_e8


@kernel
def apply_fill_nb(account, position, side, qty_lots, price_ticks, unit_e8, fee_e8):
    """Book one fill on the leg `position` and on the wallet; return the realised PnL in 1e-8 quote units."""
    realised_e8 = book_fill_nb(position, side, qty_lots, price_ticks, unit_e8, fee_e8)
    account["realised_e8"] += realised_e8
    account["fees_e8"] += fee_e8
    account["wallet_e8"] += realised_e8 - fee_e8
    return realised_e8


@kernel
def apply_funding_nb(account, position, mark, rate_e8, step_size):
    """Settle funding on one leg at the mark price and return the wallet change in 1e-8 quote units: longs pay a positive rate.

    The product with the rate is exact and rounded down, so a payment is never too small and a receipt never too large.
    """
    qty = position["qty_lots"]
    notional_e8 = to_e8_nb(abs(qty) * step_size * mark)
    amount_e8 = mul_div_floor_nb(-notional_e8 if qty > 0 else notional_e8, rate_e8, E8)
    position["funding_e8"] += amount_e8
    account["funding_e8"] += amount_e8
    account["wallet_e8"] += amount_e8
    return amount_e8


@kernel
def apply_transfer_nb(account, amount_e8):
    """Move money into the wallet (negative: out of it)."""
    account["deposits_e8"] += amount_e8
    account["wallet_e8"] += amount_e8


@kernel
def absorb_deficit_nb(account):
    """Raise a negative wallet to zero and return what the insurance fund paid, in 1e-8 quote units.

    The exchange's clients cannot lose more than their wallet. The payment is booked as realised, so that the loss shown
    is the loss borne; the positions keep the full loss of their fills.
    """
    deficit_e8 = max(0, -account["wallet_e8"])
    account["realised_e8"] += deficit_e8
    account["wallet_e8"] += deficit_e8
    return deficit_e8


@kernel
def closable_lots_nb(position, side):
    """Return how many lots of the leg an order of `side` can close."""
    return max(0, -side * position["qty_lots"])


@kernel
def mark_position_nb(position, mark, step_size):
    """Write the mark price and the unrealised PnL of the leg, and return that PnL in quote units."""
    qty = position["qty_lots"]
    upnl = 0.0
    if qty > 0:
        upnl = qty * step_size * mark - position["cost_e8"] * 1e-8
    elif qty < 0:
        upnl = qty * step_size * mark + position["cost_e8"] * 1e-8
    position["mark"] = mark
    position["upnl"] = upnl
    return upnl


@kernel
def wallet_identity_nb(account):
    """Return wallet - (deposits + realised - fees + funding) in 1e-8 quote units: 0 while the books balance."""
    return account["wallet_e8"] - (account["deposits_e8"] + account["realised_e8"] - account["fees_e8"] + account["funding_e8"])


def entry_price(position, step_size: float) -> float:
    """Return the average entry price of a leg in quote units, 0.0 when it is flat."""
    qty = abs(int(position["qty_lots"]))
    return int(position["cost_e8"]) / (qty * step_size * E8) if qty else 0.0
