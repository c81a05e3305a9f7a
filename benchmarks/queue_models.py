"""Fill rates by queue model on recorded books, beside the published table: `python -m benchmarks.queue_models CATALOG`.

CATALOG holds the recordings of 2024-08-08 (`simcore data import FOLDER --data CATALOG`). Each second, one order of the smallest
size joins the best bid and one the best ask, 642 a symbol, and stays for ten seconds; no latency, and orders do not see each
other. `touch` fills on any print at the price, `through` on a print strictly beyond it. The queue models fill when a print
passes their front, or when the market goes through the price. Saving: a taker at once pays the spread's half and 5 bps; maker
first pays 2 bps where it fills and takes after ten seconds where it does not, both against the mid at the start.

The recording is short and the published experiment may have started its clock elsewhere: compare size and order, not digits.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from benchmarks.machine import describe
from replay_data.catalog import Catalog
from replay_data.feed import Feed
from simcore.domain.enums import EventKind, QueueModel
from simcore.domain.records import ORDER
from simcore.engine.queue import join_queue_nb, on_depth_nb, on_through_nb, on_trade_nb
from simcore.jit import kernel
from simcore.report.markout import markout_bps
from simcore.report.mids import touches_at

SECOND_NS = 1_000_000_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")
DAY = "2024-08-08"
SECONDS, LIFE_S, MARKOUT_S, SETTLE_S = 321, 10, 5, 2
MAKER_BPS, TAKER_BPS, POWER_N = 2.0, 5.0, 3.0
TOUCH, THROUGH = -1, -2
RULES = {
    "any print at the price (touch)": TOUCH,
    "log": QueueModel.LOG.value,
    "power 3": QueueModel.POWER.value,
    "risk-averse": QueueModel.RISK_AVERSE.value,
    "through (strictly beyond)": THROUGH,
}
# Fill share in per cent, 5 s markout in bps, saving of maker first in bps, as published for 345 s of the same two books.
PUBLISHED = {
    "any print at the price (touch)": ((97.5, -0.12, 2.90), (96.3, -0.19, 2.81)),
    "log": ((81.3, -0.88, 1.86), (84.9, -0.66, 2.05)),
    "power 3": ((81.3, -0.85, 1.86), (83.2, -0.75, 1.96)),
    "risk-averse": ((79.4, -0.92, 1.75), (82.7, -0.78, 1.93)),
    "through (strictly beyond)": ((73.7, -1.17, 1.46), (79.8, -0.95, 1.74)),
}


@kernel
def fill_time_nb(events, first, end_ns, side, level, opposite, ahead_lots, rule, power, step_size, order):  # type: ignore[no-untyped-def]
    """Return when one resting order fills under a rule (exchange ns), 0 when it does not by `end_ns`.

    side: 0 on the bid side, 1 on the ask side. level: its own; opposite: that of the same price on the other side.
    """
    order["leaves_lots"] = 1
    join_queue_nb(order, ahead_lots)
    shown = ahead_lots
    for i in range(first, events.size):
        event = events[i]
        if event["ts_exch"] > end_ns:
            return 0
        kind, at, lots = int(event["kind"]), int(event["level"]), event["qty_lots"]
        if kind == 2 + side:
            # Better levels are greater: a print below ours went through it.
            if at < level or (at == level and rule == TOUCH):
                return event["ts_exch"]
            if at == level and rule >= 0 and on_trade_nb(order, lots) > 0:
                return event["ts_exch"]
        elif kind == side and at == level:
            if rule >= 0:
                on_depth_nb(order, shown, lots, rule, power, step_size)
            shown = lots
        elif kind == 1 - side and at >= opposite and lots > 0 and rule >= 0:
            if on_through_nb(order, lots, 0) > 0:
                return event["ts_exch"]
        elif kind == EventKind.GAP:
            return 0
    return 0


@kernel
def lots_at_nb(events, span, times, levels, out):  # type: ignore[no-untyped-def]
    """Write the displayed lots of `levels[k]` at `times[k]` (rising)."""
    shown = np.zeros(2 * span, np.int64)
    pos = 0
    for k in range(times.size):
        while pos < events.size and events[pos]["ts_exch"] <= times[k]:
            if events[pos]["kind"] <= 1:
                shown[events[pos]["level"]] = events[pos]["qty_lots"]
            elif events[pos]["kind"] == EventKind.CLEAR:
                shown[:] = 0
            pos += 1
        out[k] = shown[levels[k]]


def experiment(feed: Feed, symbol: int) -> dict[str, tuple[float, float, float]]:
    """Return (fill share in per cent, mean markout in bps, saving in bps) of each rule on one symbol."""
    events, ladder = feed.events_of(feed.symbols[symbol]), feed.ladders[symbol]
    base, step, span = (int(ladder[name]) for name in ("base_ticks", "tick_step", "span"))
    tick, size = float(feed.instruments["tick_size"][symbol]), float(feed.instruments["step_size"][symbol])
    start = int(events["ts_exch"][0]) + SETTLE_S * SECOND_NS
    joins = np.repeat(start + np.arange(SECONDS) * SECOND_NS, 2)
    sides = np.tile([0, 1], SECONDS)
    touch = touches_at(feed, symbol, joins)
    price = np.where(sides == 0, touch.bid, touch.ask)
    rungs = (np.rint(price / tick).astype(np.int64) - base) // step
    levels = np.where(sides == 0, rungs, 2 * span - 1 - rungs)
    ahead = np.zeros(len(joins), np.int64)
    lots_at_nb(events, span, joins, levels, ahead)
    first = np.searchsorted(events["ts_exch"], joins, side="right")
    found = {}
    for name, rule in RULES.items():
        order = np.zeros(1, ORDER)
        filled = np.array([
            fill_time_nb(events, first[k], joins[k] + LIFE_S * SECOND_NS, sides[k], levels[k], 2 * span - 1 - levels[k], ahead[k], rule,
                         POWER_N, size, order[0])
            for k in range(len(joins))
        ])  # fmt: skip
        found[name] = judge(feed, symbol, joins, np.where(sides == 0, 1, -1), price, touch.mid, filled)
    return found


def judge(
    feed: Feed, symbol: int, joins: np.ndarray, side: np.ndarray, price: np.ndarray, mid: np.ndarray, filled: np.ndarray
) -> tuple[float, float, float]:
    """Return fill share, markout and saving of orders that filled at `filled` (0: not)."""
    done = filled > 0
    later = touches_at(feed, symbol, filled[done] + MARKOUT_S * SECOND_NS).mid
    last = touches_at(feed, symbol, joins + LIFE_S * SECOND_NS)
    start = touches_at(feed, symbol, joins)
    now = np.where(side > 0, start.ask, start.bid)
    fallback = np.where(side > 0, last.ask, last.bid)
    taker = TAKER_BPS + side * (now - mid) / mid * 1e4
    first = np.where(done, MAKER_BPS + side * (price - mid) / mid * 1e4, TAKER_BPS + side * (fallback - mid) / mid * 1e4)
    return 100.0 * done.mean(), float(np.nanmean(markout_bps(side[done], price[done], later))), float(np.nanmean(taker - first))


def table(found: dict[str, dict[str, tuple[float, float, float]]]) -> str:
    """Return the Markdown table: measured, and published in brackets."""
    lines = ["| rule | " + " | ".join(f"{s[:3]} fill % | {s[:3]} 5 s markout, bps | {s[:3]} saving, bps" for s in SYMBOLS) + " |"]
    lines.append("| --- |" + " ---: |" * 3 * len(SYMBOLS))
    for rule, published in PUBLISHED.items():
        cells: list[Any] = []
        for at, symbol in enumerate(SYMBOLS):
            share, markout, saving = found[symbol][rule]
            told = published[at]
            cells += [f"{share:.1f} ({told[0]:.1f})", f"{markout:.2f} ({told[1]:.2f})", f"{saving:.2f} ({told[2]:.2f})"]
        lines.append(f"| {rule} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the experiment on both books and print it beside the published figures."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.queue_models CATALOG")
    feed = Catalog(sys.argv[1]).feed(symbols=list(SYMBOLS), start_ns=int(np.datetime64(DAY, "ns").astype(np.int64)), interval="book")
    found = {symbol: experiment(feed, feed.symbols.index(symbol)) for symbol in SYMBOLS}
    print(f"{2 * SECONDS} orders a symbol, joined at the touch, {LIFE_S} s life; in brackets the published figures. {describe()}\n")
    print(table(found))


if __name__ == "__main__":
    main()
