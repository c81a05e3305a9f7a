"""Margin: what the exchange holds back for open positions, and the price at which it takes them away.

Maintenance of a notional is the greatest of its brackets' lines `notional * mmr - cum`: the rates rise and the lines
meet at the floors, so the bracket that applies is the one whose line is highest. Account value minus maintenance is
therefore concave in the price, and a symbol has at most one liquidation price below and one above.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simcore.jit import kernel


@kernel
def bracket_of_nb(instrument, notional):
    """Return the index of the bracket with floor < notional <= cap; 0 below, the last one beyond the table."""
    index = 0
    while index + 1 < instrument["n_brackets"] and notional > instrument["bracket_floor"][index + 1]:
        index += 1
    return index


@kernel
def maintenance_nb(instrument, notional):
    """Return the maintenance margin of one leg's notional at mark, in quote units.

    0 for an instrument without brackets; NaN for a NaN notional, which must never read as "nothing to maintain".
    """
    index = bracket_of_nb(instrument, notional)
    margin = notional * instrument["bracket_mmr"][index] - instrument["bracket_cum"][index]
    return 0.0 if margin < 0.0 else margin


@kernel
def max_leverage_nb(instrument, notional):
    """Return the highest leverage the exchange allows for the notional; 1.0 for an instrument without brackets."""
    return max(1.0, instrument["bracket_leverage"][bracket_of_nb(instrument, notional)])


@kernel
def initial_margin_nb(instrument, notional):
    """Return the initial margin of a notional: at the leverage set on the symbol, never above its bracket's."""
    return notional / max(1.0, min(instrument["leverage"], max_leverage_nb(instrument, notional)))


@kernel
def must_liquidate_nb(margin_balance, maintenance):
    """Say whether the account is taken over: it holds positions and its balance no longer exceeds their maintenance.

    A NaN balance liquidates nothing: the caller checks its marks first.
    """
    return maintenance > 0.0 and margin_balance <= maintenance


@kernel
def liquidation_roots_nb(instrument, balance, qty_1, entry_1, qty_2, entry_2):
    """Return the liquidation prices of one symbol below and above: NaN where there is none.

    `balance` is the wallet that backs the symbol, less the maintenance and plus the unrealised PnL of all others (cross).
    Two signed legs cover every case: one-way (the second is 0), hedge LONG and SHORT. The account lives while every pair
    of bracket lines leaves something: above the greatest zero of the rising ones, below the least of the falling ones.
    NaN twice is also the answer where the account is past saving at every price; `must_liquidate_nb` tells the two apart.
    """
    lower, upper = 0.0, math.inf
    flat = 1e-12 * (abs(qty_1) + abs(qty_2))  # a slope below this is rounding noise of equal hedge legs
    base = balance - qty_1 * entry_1 - qty_2 * entry_2
    for i in range(max(1, instrument["n_brackets"])):
        for j in range(max(1, instrument["n_brackets"]) if qty_2 != 0.0 else 1):
            slope = qty_1 + qty_2 - abs(qty_1) * instrument["bracket_mmr"][i] - abs(qty_2) * instrument["bracket_mmr"][j]
            cum_2 = instrument["bracket_cum"][j] if qty_2 != 0.0 else 0.0
            level = base + instrument["bracket_cum"][i] + cum_2
            if slope > flat:
                lower = max(lower, -level / slope)
            elif slope < -flat:
                upper = min(upper, -level / slope)
            elif level <= 0.0:
                upper = -math.inf
    alive = lower < upper
    return lower if alive and lower > 0.0 else math.nan, upper if alive and upper < math.inf else math.nan


@kernel
def cost_to_open_nb(side, qty, order_price, mark, leverage):
    """Return what an order needs to be accepted, in quote units: initial margin plus the loss it would open with at mark."""
    open_loss = qty * max(0.0, side * (order_price - mark))
    return qty * order_price / max(1.0, leverage) + open_loss


@dataclass(frozen=True)
class Leg:
    """One leg for `liquidation_price`: signed quantity (negative is short) in base units and entry price in quote units."""

    qty: float
    entry: float


def liquidation_price(
    instrument: Any,
    wallet: float,
    legs: Sequence[Leg],
    *,
    mark: float | None = None,
    others_maintenance: float = 0.0,
    others_upnl: float = 0.0,
) -> float | None:
    """Return the mark price at which the symbol's legs are liquidated, or None when no positive price is that boundary.

    `instrument` is an INSTRUMENT record whose brackets are in force. Isolated margin: pass the position's own wallet. Cross:
    pass the cross wallet and the maintenance and unrealised PnL of all other symbols. Of two prices the answer is the one
    on the losing side of the net position, nearest to `mark`; without a mark the lower for a net long, else the upper.

    Source: Binance help "How to Calculate Liquidation Price of USDS-M Futures Contracts", bracket taken AT the price.
    """
    if not 0 < len(legs) <= 2:
        raise ValueError(f"legs: one or two legs of a symbol, not {len(legs)}. Pass the other symbols as others_*.")
    first, second = (*legs, Leg(0.0, 0.0))[:2]
    balance = wallet - others_maintenance + others_upnl
    lower, upper = liquidation_roots_nb(instrument, balance, first.qty, first.entry, second.qty, second.entry)
    roots = [root for root in (lower, upper) if not math.isnan(root)]
    if not roots:
        return None
    net = first.qty + second.qty
    if mark is None:
        return float(roots[0] if net > 0 else roots[-1])
    losing = [root for root in roots if (root <= mark if net > 0 else root >= mark)]
    return float(min(losing or roots, key=lambda root: abs(root - mark)))


def margin_ratio(maintenance: float, margin_balance: float) -> float:
    """Return maintenance over margin balance: liquidation at 1.0; infinite when nothing is left to cover it."""
    if maintenance <= 0.0:
        return 0.0
    return maintenance / margin_balance if margin_balance > 0.0 else math.inf


def short_margin_price(order_price: float, mark: float, last: float, surcharge_pct: float) -> float:
    """Return the price at which the exchange values a SHORT order's margin: the highest of order, mark and surcharged last.

    `surcharge_pct` is a fraction; the help page "How to Calculate Cost Required to Open a Position" names 0.0015.
    """
    return max(order_price, mark, last * (1.0 + surcharge_pct))


def break_even(side: int, entry: float, paid_fee_rate: float) -> float:
    """Return the exit price at which a leg has earned the fees already paid, as the exchange shows it.

    >>> round(break_even(+1, 0.385, 0.0002), 9)
    0.385077
    """
    return entry * (1.0 + side * paid_fee_rate)
