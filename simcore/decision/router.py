"""The router: works one parent order to its end, post-only first, then re-quoted, then a capped taker, or gives up.

Every parent order leaves a `router_ctx`: what was requested, what filled as maker and as taker, whether it fell back, how
long it waited, and its slippage against the price at the decision.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from simcore.decision.outbox import log_nb, request_cancel_nb, request_order_nb
from simcore.domain.enums import (
    BUY,
    LedgerKind,
    OffsetTier,
    OrderType,
    Purpose,
    RejectCode,
    RouteOutcome,
    RouteStage,
    TimeInForce,
)
from simcore.domain.records import MAX_ROUTES, MAX_SYMBOLS, POLICY, ROUTE_ROOM
from simcore.engine.rounding import passive_ticks_nb
from simcore.jit import kernel, part

BROKEN_ROUTES_FULL = 3
ABANDONED = -1


@part
def maker_price_nb(side, mid, spread_bps, offset_bps, tick_size, price_filter_ticks):
    """Return a passive limit in ticks: the modelled touch less the offset, rounded away from the market."""
    away = side * (0.5 * spread_bps + offset_bps) * 1e-4
    return passive_ticks_nb(side, mid * (1.0 - away), tick_size, price_filter_ticks)


@part
def quote_price_nb(side, market, offset_bps, tick_size, price_filter_ticks):
    """Return a passive limit in ticks: the touch less the offset, rounded away from the market; the modelled touch without a book."""
    if market["book_ok"] == 1:
        touch = market["bid"] if side == BUY else market["ask"]
        return passive_ticks_nb(side, touch * (1.0 - side * offset_bps * 1e-4), tick_size, price_filter_ticks)
    return maker_price_nb(side, market["close"], market["spread_bps"], offset_bps, tick_size, price_filter_ticks)


@part
def cap_price_nb(side, mid, cap_bps, tick_size, price_filter_ticks):
    """Return the worst price in ticks a taker may pay, rounded so that the cap is never exceeded."""
    return passive_ticks_nb(side, mid * (1.0 + side * cap_bps * 1e-4), tick_size, price_filter_ticks)


@part
def free_route_nb(core):
    """Return the index of a free route row, or -1 when the table is full."""
    for index in range(MAX_ROUTES):
        if core["route"][index]["active"] == 0:
            if index >= core["route_high"]:
                core["route_high"] = index + 1
            return index
    core["broken"] = BROKEN_ROUTES_FULL
    return -1


@kernel
def open_route_nb(core, strategy, symbol, side, leg, purpose, lots, urgency):
    """Open a parent order and return its route index (-1: table full). Nothing is sent yet."""
    index = free_route_nb(core)
    if index < 0:
        return index
    market = core["market"][symbol]
    policy = core["policy"][symbol]
    route = core["route"][index]
    route["active"] = 1
    route["strategy"] = strategy
    route["symbol"] = symbol
    route["side"] = side
    route["leg"] = leg
    route["purpose"] = purpose
    route["stage"] = RouteStage.IDLE
    route["outcome"] = RouteOutcome.NONE
    route["order_id"] = 0
    route["started_ns"] = core["now_ns"]
    route["placed_ns"] = core["now_ns"]
    route["done_ns"] = 0
    route["requested_lots"] = lots
    route["maker_lots"] = 0
    route["taker_lots"] = 0
    route["maker_orders"] = 0
    route["taker_orders"] = 0
    route["rejects"] = 0
    route["requotes"] = 0
    route["fallback"] = 0
    route["waits_ns"] = 0
    route["value_e8"] = 0
    route["fees_e8"] = 0
    route["arrival_ts_ns"] = market["ts_ns"]
    route["limit_ticks"] = 0
    instrument = core["instrument"][symbol]
    route["cap_ticks"] = cap_price_nb(
        side, market["close"], policy["price_cap_bps"], instrument["tick_size"], instrument["price_filter_ticks"]
    )
    route["stop_ticks"] = 0
    route["target_ticks"] = 0
    route["last_code"] = 0
    route["arrival"] = market["close"]
    route["slippage_bps"] = 0.0
    route["stop_distance"] = 0.0
    route["target_distance"] = 0.0
    route["notional"] = 0.0
    calm = purpose == Purpose.ENTRY or purpose == Purpose.EXIT
    patient = policy["maker_first"] == 1 and urgency <= policy["urgency_taker_above"] and policy["taker_bias"] < 1.0
    route["maker_allowed"] = 1 if calm and patient else 0
    core["active_routes"] += 1
    return index


@part
def route_leaves_nb(core, route):
    """Return what is left to fill; an exit never asks for more than its sleeve still holds.

    Its stop may have taken part of it, a late quote may have turned it to the other side.
    """
    leaves = route["requested_lots"] - route["maker_lots"] - route["taker_lots"]
    if route["purpose"] != Purpose.ENTRY:
        sleeve = core["sleeve"][route["strategy"] * MAX_SYMBOLS + route["symbol"]]
        leaves = min(leaves, sleeve["qty_lots"]) if sleeve["side"] != route["side"] else 0
    return leaves


@part
def send_maker_nb(core, index):
    """Place the remainder post-only at the policy's offset from the modelled touch; an entry never beyond its price cap."""
    route = core["route"][index]
    symbol = route["symbol"]
    market = core["market"][symbol]
    instrument = core["instrument"][symbol]
    offset_bps = core["policy"][symbol]["offset_bps"]
    tick_size, tick_step = instrument["tick_size"], instrument["price_filter_ticks"]
    price = quote_price_nb(route["side"], market, offset_bps, tick_size, tick_step)
    if route["purpose"] == Purpose.ENTRY and route["side"] * (price - route["cap_ticks"]) > 0:
        price = route["cap_ticks"]
    leaves = min(route_leaves_nb(core, route), instrument["max_qty_lots"])
    reduce_only = 0 if route["purpose"] == Purpose.ENTRY else 1
    route["stage"] = RouteStage.MAKER
    route["limit_ticks"] = price
    route["placed_ns"] = core["now_ns"]
    if route["maker_orders"] > 0:
        route["requotes"] += 1
    route["maker_orders"] += 1
    route["order_id"] = request_order_nb(core, index, OrderType.LIMIT.value, TimeInForce.GTX.value, leaves, price, reduce_only)


@part
def send_taker_nb(core, index):
    """Take the remainder: entries up to the price cap and no further, exits at market."""
    route = core["route"][index]
    leaves = route_leaves_nb(core, route)
    most = core["instrument"][route["symbol"]]["max_market_qty_lots"]
    if leaves > most:
        leaves = most
    route["stage"] = RouteStage.TAKER
    route["placed_ns"] = core["now_ns"]
    route["taker_orders"] += 1
    if route["maker_orders"] > 0:
        route["fallback"] = 1
    if route["purpose"] == Purpose.ENTRY:
        cap = route["cap_ticks"]
        route["limit_ticks"] = cap
        route["order_id"] = request_order_nb(core, index, OrderType.LIMIT.value, TimeInForce.IOC.value, leaves, cap, 0)
    else:
        route["limit_ticks"] = 0
        route["order_id"] = request_order_nb(core, index, OrderType.MARKET.value, TimeInForce.IOC.value, leaves, 0, 1)


@kernel
def send_next_nb(core, index):
    """Send the route's next child: a maker quote while re-quotes are left, then the taker."""
    route = core["route"][index]
    if route["maker_allowed"] == 1 and route["maker_orders"] <= core["policy"][route["symbol"]]["max_requotes"]:
        send_maker_nb(core, index)
    else:
        send_taker_nb(core, index)


@part
def close_route_nb(core, index):
    """End the parent order: judge it by its fills, keep its router_ctx, free the row."""
    route = core["route"][index]
    symbol = route["symbol"]
    filled = route["maker_lots"] + route["taker_lots"]
    outcome = RouteOutcome.GAVE_UP.value
    if route["maker_lots"] > 0 and route["taker_lots"] > 0:
        outcome = RouteOutcome.MIXED.value
    elif route["maker_lots"] > 0:
        outcome = RouteOutcome.MAKER.value
    elif route["taker_lots"] > 0:
        outcome = RouteOutcome.TAKER.value
    elif route["maker_allowed"] == ABANDONED:
        outcome = RouteOutcome.CANCELED.value
    elif route["last_code"] != 0 and route["last_code"] != RejectCode.UNFILLED:
        outcome = RouteOutcome.REJECTED.value
    if filled > 0 and route["arrival"] > 0.0:
        base = filled * core["instrument"][symbol]["step_size"]
        average = route["value_e8"] * 1e-8 / base
        route["slippage_bps"] = route["side"] * (average - route["arrival"]) / route["arrival"] * 1e4
    route["outcome"] = outcome
    route["stage"] = RouteStage.DONE
    route["done_ns"] = core["now_ns"]
    log_nb(
        core, LedgerKind.ROUTE_DONE.value, outcome, symbol, route["strategy"], route["order_id"], route["side"], filled, 0,
        route["requested_lots"] * 1.0, 0.0, route["maker_lots"] * 1.0, route["taker_lots"] * 1.0, route["fallback"] * 1.0,
        route["slippage_bps"],
    )
    done = core["n_routes_done"]
    if done < ROUTE_ROOM:
        core["route_done"][done] = route
        core["n_routes_done"] = done + 1
    else:
        core["broken"] = BROKEN_ROUTES_FULL
    route["active"] = 0
    core["active_routes"] -= 1
    while core["route_high"] > 0 and core["route"][core["route_high"] - 1]["active"] == 0:
        core["route_high"] -= 1
    release_sleeve_nb(core, route, index, filled)


@part
def release_sleeve_nb(core, route, index, filled):
    """Tell the sleeve that its parent order ended, and ask for attention where its wish is still unmet."""
    sleeve = core["sleeve"][route["strategy"] * MAX_SYMBOLS + route["symbol"]]
    if sleeve["entry_route"] == index:
        sleeve["entry_route"] = -1
        sleeve["pending_entry_lots"] = 0
        if filled == 0 and route["maker_allowed"] != ABANDONED:
            retry = core["screen"][route["strategy"] * MAX_SYMBOLS + route["symbol"]]["retry_ns"]
            if retry > 0:
                sleeve["retry_ns"] = core["now_ns"] + retry
    if sleeve["exit_route"] == index:
        sleeve["exit_route"] = -1
    if sleeve["side"] != 0 and sleeve["side"] != sleeve["wish"] and sleeve["retry_ns"] == 0:
        sleeve["retry_ns"] = core["now_ns"]


@part
def abandon_route_nb(core, index):
    """Stop working a parent order: cancel what rests, keep what filled."""
    route = core["route"][index]
    route["maker_allowed"] = ABANDONED
    if route["order_id"] == 0:
        close_route_nb(core, index)
    elif route["stage"] != RouteStage.CANCELLING:
        route["stage"] = RouteStage.CANCELLING
        request_cancel_nb(core, index)


@part
def hurry_route_nb(core, index):
    """End the patience of an exit: its quote is taken back, and the rest goes at market."""
    route = core["route"][index]
    if route["maker_allowed"] != 1:
        return
    route["maker_allowed"] = 0
    if route["order_id"] != 0 and route["stage"] == RouteStage.MAKER:
        route["stage"] = RouteStage.CANCELLING
        request_cancel_nb(core, index)


@kernel
def work_routes_nb(core):
    """Give every open parent order whose symbol has a new bar its next step: strategies in order, symbols by name, entries first.

    Never by row: which rows are free depends on other symbols, and orders sent first fill first.
    """
    for strategy in range(core["n_strategies"]):
        for symbol in range(core["n_symbols"]):
            if core["market"][symbol]["fresh"] == 1:
                sleeve = core["sleeve"][strategy * MAX_SYMBOLS + symbol]
                if sleeve["entry_route"] >= 0:
                    work_route_nb(core, sleeve["entry_route"])
                if sleeve["exit_route"] >= 0:
                    work_route_nb(core, sleeve["exit_route"])


@kernel
def work_route_nb(core, index):
    """Send what is not at the venue, and take back a quote that waited long enough."""
    route = core["route"][index]
    if route["order_id"] == 0:
        send_next_nb(core, index)
    elif route["stage"] == RouteStage.MAKER:
        policy = core["policy"][route["symbol"]]
        patience = policy["wait_ns"] * (1.0 - policy["taker_bias"])
        if core["now_ns"] - route["placed_ns"] >= patience:
            route["stage"] = RouteStage.CANCELLING
            request_cancel_nb(core, index)


@part
def route_filled_nb(core, index, maker, qty_lots, leaves_lots, value_e8, fee_e8):
    """Book one fill on its parent order; a filled parent ends, a filled child of a larger parent makes room for the next."""
    route = core["route"][index]
    if maker == 1:
        route["maker_lots"] += qty_lots
    else:
        route["taker_lots"] += qty_lots
    route["value_e8"] += value_e8
    route["fees_e8"] += fee_e8
    if route_leaves_nb(core, route) <= 0:
        route["waits_ns"] += core["now_ns"] - route["placed_ns"]
        close_route_nb(core, index)
    elif leaves_lots == 0:
        route["waits_ns"] += core["now_ns"] - route["placed_ns"]
        route["order_id"] = 0


@part
def route_ended_nb(core, index, code):
    """Go on after a child ended unfilled: canceled, expired or rejected with `code`.

    An entry ends with a refusal; an exit that was refused as a quote goes to market, and is tried until it is done.
    """
    route = core["route"][index]
    route["waits_ns"] += core["now_ns"] - route["placed_ns"]
    route["order_id"] = 0
    route["last_code"] = code
    refused = code != 0 and code != RejectCode.UNFILLED
    if refused:
        route["rejects"] += 1
    if route["maker_allowed"] == ABANDONED:
        close_route_nb(core, index)
    elif code == RejectCode.POST_ONLY:
        route["stage"] = RouteStage.MAKER
    elif route["stage"] == RouteStage.CANCELLING:
        send_next_nb(core, index)
    elif route["purpose"] == Purpose.ENTRY or code == RejectCode.REDUCE_ONLY:
        close_route_nb(core, index)
    elif refused:
        route["maker_allowed"] = 0


@dataclass(frozen=True)
class RouterPolicy:
    """How one symbol's orders are worked. Offsets and caps in basis points of the price at the decision.

    maker_first: quote post-only before taking. taker_bias: 0 waits in full, 1 never quotes; between, waits shrink.
    offset_tier: LOW, MED or HIGH; `offset_bps` is that tier's distance from the touch. wait_s: patience per quote.
    max_requotes: quotes after the first. price_cap_bps: entries never take beyond this from the arrival price.
    urgency_taker_above: a signal more urgent than this takes at once.
    """

    maker_first: bool = True
    taker_bias: float = 0.0
    offset_tier: OffsetTier = OffsetTier.LOW
    offset_bps: float = 0.0
    wait_s: float = 60.0
    max_requotes: int = 1
    price_cap_bps: float = 30.0
    urgency_taker_above: float = 0.5

    def to_record(self) -> np.ndarray:
        """Return the policy as a one-row POLICY array, with nothing learned (score and expectancy NaN)."""
        rows = np.zeros(1, POLICY)
        row = rows[0]
        row["maker_first"] = int(self.maker_first)
        row["offset_tier"] = int(self.offset_tier)
        row["wait_ns"] = round(self.wait_s * 1e9)
        row["max_requotes"] = self.max_requotes
        for name in ("offset_bps", "taker_bias", "price_cap_bps", "urgency_taker_above"):
            row[name] = getattr(self, name)
        row["score"] = row["expectancy_bps"] = np.nan
        row["size_scale"] = 1.0
        return rows

    @classmethod
    def from_record(cls, row: Any) -> RouterPolicy:
        """Read a POLICY row back."""
        return cls(
            maker_first=bool(row["maker_first"]),
            taker_bias=float(row["taker_bias"]),
            offset_tier=OffsetTier(int(row["offset_tier"])),
            offset_bps=float(row["offset_bps"]),
            wait_s=float(row["wait_ns"]) / 1e9,
            max_requotes=int(row["max_requotes"]),
            price_cap_bps=float(row["price_cap_bps"]),
            urgency_taker_above=float(row["urgency_taker_above"]),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the policy in words and numbers, for snapshots and reports."""
        return asdict(self) | {"offset_tier": self.offset_tier.name}


def route(core: Any, *, strategy: int, symbol: int, side: int, leg: int, purpose: int, qty_lots: int, urgency: float = 0.0) -> int:
    """Open a parent order in `core` and send its first child; return its route index.

    core: one CORE record. side: +1 BUY, -1 SELL. qty_lots: positive. The request waits in `core["request"]`.
    """
    if qty_lots <= 0:
        raise ValueError(f"a parent order needs a positive quantity, got {qty_lots} lots")
    index = int(open_route_nb(core, strategy, symbol, side, leg, purpose, qty_lots, urgency))
    if index < 0:
        raise RuntimeError(f"all {MAX_ROUTES} routes are in use: finish or cancel some first")
    send_next_nb(core, index)
    return index


def router_ctx(row: Any, step_size: float) -> dict[str, Any]:
    """Say in words what the router did with one finished parent order (a ROUTE row); quantities in base units."""
    wanted = int(row["requested_lots"])
    filled = int(row["maker_lots"] + row["taker_lots"])
    return {
        "purpose": Purpose(int(row["purpose"])).name.lower(),
        "outcome": RouteOutcome(int(row["outcome"])).name.lower(),
        "requested_qty": wanted * step_size,
        "maker_qty": int(row["maker_lots"]) * step_size,
        "taker_qty": int(row["taker_lots"]) * step_size,
        "unfilled_qty": (wanted - filled) * step_size,
        "is_maker_final": bool(row["maker_lots"] > 0 and row["taker_lots"] == 0),
        "used_fallback": bool(row["fallback"]),
        "maker_orders": int(row["maker_orders"]),
        "taker_orders": int(row["taker_orders"]),
        "rejects": int(row["rejects"]),
        "requotes": int(row["requotes"]),
        "waits_s": float(row["waits_ns"]) / 1e9,
        "arrival": float(row["arrival"]),
        "slippage_bps": float(row["slippage_bps"]) if filled else None,
        "fees_usd": float(row["fees_e8"]) / 1e8,
    }
