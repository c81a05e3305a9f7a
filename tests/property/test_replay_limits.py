"""Limit cases of a replay: where the answer is known from elsewhere, or must not depend on something (P31, P35, P36, P39)."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replay_data.feed import Feed, join
from replay_data.interval import MINUTE_NS
from simcore.config import Config
from simcore.domain.enums import LedgerKind, Purpose
from simcore.domain.records import BAR, FILTER, FUNDING, INSTRUMENT, LADDER, MARK
from simcore.replay import Session
from simcore.strategy import strategy
from tests.worlds import BAR_NS, GRIDS, SIX, config_of, make_feed

TAKER_ONLY = {"router.maker_first": False, "router.price_cap_bps": 5_000.0}
FRICTIONLESS = {
    **TAKER_ONLY,
    "bar_model.half_spread_bps.unlisted": 0.0,
    "bar_model.impact_y": 0.0,
    "bar_model.participation_cap_pct": 1.0,
    "bar_model.entry_latency_ms": 0.0,
    "bar_model.stop_slippage_ticks": 0.0,
}
UNBOUNDED_E9 = 1_000_000_000


def fixed_size(feed: Feed, usd: float = 200.0, volume: int = 0) -> Feed:
    """Return the feed with orders of one size only, no price band, a known day from the first bar on, and perhaps one volume."""
    bars, instruments = feed.bars.copy(), feed.instruments.copy()
    bars["sigma_day"], bars["volume_day"] = 0.05, 1e12
    if volume:
        bars["volume_lots"] = volume
    instruments["price_band_up_pct"], instruments["price_band_down_pct"] = 1e9, 1.0
    for at, symbol in enumerate(feed.symbols):
        tick, step, price = GRIDS[symbol]
        instruments[at]["max_qty_lots"] = instruments[at]["max_market_qty_lots"] = round(usd / price / step)
        instruments[at]["min_notional_e8"] = 0
    return dataclasses.replace(feed, bars=bars, instruments=instruments, content_hash="")


def finished(feed: Feed, config: Config, own: list[Any] | None = None) -> Session:
    session = Session(feed, config, own)
    session.finish()
    return session


# ------------------------------------------------------------ P35


@strategy(on="bar", params={"period": 7.0}, memory=())
def blocks(market, position, params, memory, signal):  # type: ignore[no-untyped-def]
    """Always in the market: long for `period` bars, then short for as many."""
    signal["side"] = 1 if ((market["bars"] - 1) // params["period"]) % 2 == 0 else -1


def vectorised_equity_e8(bars: np.ndarray, period: int, lots: int, unit_e8: int, cash_e8: int) -> np.ndarray:
    """Return the equity at every close: each block's side is bought at the open after its wish, one open later after a flip."""
    count = bars.size
    starts = np.arange(0, count, period)
    sides = np.where(np.arange(starts.size) % 2 == 0, 1, -1)
    orders = np.zeros(count + period + 3, np.int64)
    orders[starts + np.where(starts == 0, 1, 2)] += sides * lots
    orders[starts[1:] + 1] -= sides[:-1] * lots
    orders = orders[:count]
    held = np.cumsum(orders)
    paid = np.cumsum(orders * bars["open_ticks"].astype(np.int64))
    return cash_e8 + unit_e8 * (held * bars["close_ticks"].astype(np.int64) - paid)


def equity_e8(session: Session) -> int:
    """Return the account's wallet and open result at the last close, as an integer."""
    total = int(session.venue["account"]["wallet_e8"])
    closes, units = session.core["market"]["close_ticks"], session.venue["instrument"]["unit_e8"]
    for slot, position in enumerate(session.venue["position"][: 2 * len(session.feed.symbols)]):
        lots = int(position["qty_lots"])
        value = lots * int(closes[slot // 2]) * int(units[slot // 2])
        total += value - int(position["cost_e8"]) if lots > 0 else value + int(position["cost_e8"])
    return total


@pytest.mark.jitless
@pytest.mark.parametrize("mode", ["hedge", "one_way"])
@pytest.mark.parametrize("period", [2, 3, 7, 40])
def test_without_any_friction_a_replay_equals_the_vectorised_reference_at_every_close(period: int, mode: str) -> None:
    """P35: no latency, no fee, no spread, no impact, all the volume in the world, takers only: equal to the last unit."""
    feed = fixed_size(make_feed(50 + period, 1, 90, gaps=False, marks=0, funding=0, filters=False), volume=UNBOUNDED_E9)
    settings = {**FRICTIONLESS, "position_mode": mode}
    config = config_of([blocks], settings=settings, params={"blocks": {"period": float(period)}}, free=True)
    session = Session(feed, config, [blocks])
    instrument = feed.instruments[0]
    expected = vectorised_equity_e8(
        feed.bars, period, int(instrument["max_qty_lots"]), int(instrument["unit_e8"]), round(config.cash * 1e8)
    )
    for close in range(feed.bars.size):
        session.advance(max_slices=1)
        assert equity_e8(session) == expected[close], f"bar {close}"
    assert len(set(expected)) > 40


# ------------------------------------------------------------ P36


@strategy(on="bar", params={"bar": 5.0, "side": 1.0}, memory=())
def once(market, position, params, memory, signal):  # type: ignore[no-untyped-def]
    """Wish one side from one bar on, and never anything else."""
    if market["bars"] >= params["bar"]:
        signal["side"] = int(params["side"])


@cache
def once_config(maker: bool, latency_ms: int, bar: int, side: int) -> Config:
    patience = {"router.maker_first": True, "router.wait_s": 1e6, "router.price_cap_bps": 1_000.0}
    settings = {**(patience if maker else TAKER_ONLY), "bar_model.entry_latency_ms": latency_ms}
    return config_of([once], settings=settings, params={"once": {"bar": float(bar), "side": float(side)}})


def first_order(feed: Feed, config: Config) -> tuple[int, list[tuple[int, int]]]:
    """Return the price in ticks of the first order sent, and its fills as (time, price in ticks)."""
    ledger = finished(feed, config, [once]).output.table("ledger")
    request = ledger[ledger["kind"] == LedgerKind.REQUEST][0]
    fills = ledger[(ledger["kind"] == LedgerKind.FILL) & (ledger["order_id"] == request["order_id"])]
    return int(request["price_ticks"]), [(int(row["ts_ns"]), int(row["price_ticks"])) for row in fills]


@pytest.mark.parametrize("maker", [True, False])
def test_more_latency_never_fills_the_same_order_earlier(maker: bool) -> None:
    """P36. A maker's price is its limit whatever the latency, so only time can change; no fill at all may come of it, too."""
    both = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        feed = fixed_size(make_feed(seed, 1, 60, marks=0, funding=0, filters=False))
        bar, side = int(rng.integers(3, 20)), int(rng.choice((1, -1)))
        before: tuple[int, list[tuple[int, int]]] | None = None
        for latency_ms in (0, 1, 299_999, 300_000, 300_001, 1_800_000):
            now = first_order(feed, once_config(maker, latency_ms, bar, side))
            if before is not None:
                assert now[0] == before[0], "the decision does not know the latency"
            if before is not None and now[1] and before[1]:
                both += 1
                assert now[1][0][0] >= before[1][0][0]
                assert now[1][-1][0] >= before[1][-1][0] or len(now[1]) < len(before[1])
                assert not maker or {price for _, price in now[1]} == {now[0]}
            before = now if now[1] or before is None else before
    assert both > 70


@pytest.mark.parametrize("maker", [True, False])
def test_orders_that_never_arrive_never_fill(maker: bool) -> None:
    """P35: with a latency longer than what is left of the feed there is no fill, whatever is wished."""
    feed = fixed_size(make_feed(3, 2, 50, interval_ns=MINUTE_NS, marks=0, funding=0, filters=False))
    session = finished(feed, once_config(maker, 3_600_000, 5, 1), [once])
    assert session.core["totals"]["orders"] >= 2
    assert session.core["totals"]["maker_fills"] + session.core["totals"]["taker_fills"] == 0
    at_once = finished(feed, once_config(maker, 0, 5, 1), [once])
    assert at_once.core["totals"]["maker_fills"] + at_once.core["totals"]["taker_fills"] > 0


@pytest.mark.parametrize("maker", [True, False])
def test_an_order_fills_on_no_bar_that_opened_before_it_arrived(maker: bool) -> None:
    """A decision at a close can fill in the next bar at the earliest, and is known when that bar closes."""
    for seed in range(20):
        feed = fixed_size(make_feed(seed, 1, 60, gaps=False, marks=0, funding=0, filters=False))
        for latency_ms in (0, 1, 300_000):
            ledger = finished(feed, once_config(maker, latency_ms, 5, 1), [once]).output.table("ledger")
            sent = {int(row["order_id"]): int(row["ts_ns"]) for row in ledger[ledger["kind"] == LedgerKind.REQUEST]}
            for fill in ledger[ledger["kind"] == LedgerKind.FILL]:
                opened_ns = int(fill["ts_ns"]) - BAR_NS
                assert opened_ns >= sent[int(fill["order_id"])] + latency_ms * 1_000_000


# ------------------------------------------------------------ P31, P39

STREAMS = (("bar", "bars", BAR), ("mark", "marks", MARK), ("funding", "funding", FUNDING), ("filter", "filters", FILTER))
ALONE = tuple(name for name in SIX if name != "xs_momentum")


def part_of(feed: Feed, names: dict[str, str]) -> Feed:
    """Return the feed of some of its symbols, each under a new name, in the canonical order of the new names."""
    order = sorted(names, key=names.__getitem__)
    places = [feed.symbols.index(symbol) for symbol in order]
    rows: dict[str, Any] = {}
    for stream, table, layout in (
        ("bar", "bars", BAR),
        ("mark", "marks", MARK),
        ("funding", "funding", FUNDING),
        ("filter", "filters", FILTER),
    ):
        ranges = getattr(feed, f"{stream}_range")
        parts = [getattr(feed, table)[slice(*ranges[at])] for at in places]
        rows[table], rows[f"{stream}_range"] = join(parts, layout)
    return dataclasses.replace(
        feed, symbols=tuple(names[symbol] for symbol in order), interval_ns=feed.interval_ns[places],
        instruments=np.ascontiguousarray(feed.instruments[places]).view(INSTRUMENT), content_hash="",
        event_range=np.zeros((len(order), 2), np.int64), ladders=np.zeros(len(order), LADDER), **rows,
    )  # fmt: skip


def story_of(session: Session, symbol: str) -> tuple[bytes, bytes]:
    """Return what was decided and traded on one symbol, without numbers of the account, of orders and of places in a table."""
    at = session.feed.symbols.index(symbol)
    ledger, trades = session.output.table("ledger"), session.output.table("trade")
    mine = ledger[ledger["symbol"] == at][["ts_ns", "kind", "code", "strategy", "side", "qty_lots", "price_ticks"]]
    own = trades[trades["symbol"] == at].copy()
    own["symbol"] = 0
    return repr(mine.tolist()).encode(), own.tobytes()


@cache
def unshared_config(maker: bool) -> Config:
    settings = {"router.wait_s": 600, "router.maker_first": maker}
    return config_of(ALONE, cash=1e8, settings=settings, intervals={"ema_cross": "15m", "donchian_breakout": "30m"})


@settings(max_examples=25)
@example(seed=55, maker=False)
@given(seed=st.integers(0, 10_000), maker=st.booleans())
def test_a_symbol_alone_trades_as_it_does_among_others_in_whatever_order_they_stand(seed: int, maker: bool) -> None:
    """P31, P39: limits are wide and sizes fixed, so nothing is shared but the account."""
    assert_alone_as_among_others(seed, maker)


@pytest.mark.campaign
def test_symbols_trade_alone_as_among_others_in_a_thousand_worlds() -> None:
    """Found here once: which strategy's order filled first hung on the row its parent had, and so on other symbols."""
    for seed in range(20_000, 21_000):
        assert_alone_as_among_others(seed, seed % 2 == 0)


def assert_alone_as_among_others(seed: int, maker: bool) -> None:
    """Assert that each of three symbols does the same alone, with the others, and with the others in reverse order."""
    feed = fixed_size(make_feed(seed, 3, 120, funding=11))
    config = unshared_config(maker)
    together = finished(feed, config)
    turned = {symbol: f"{letter}USDT" for symbol, letter in zip(feed.symbols, "ZYX", strict=True)}
    reversed_order = finished(part_of(feed, turned), config)
    for symbol in feed.symbols:
        alone = finished(part_of(feed, {symbol: symbol}), config)
        assert story_of(together, symbol) == story_of(alone, symbol)
        assert story_of(reversed_order, turned[symbol]) == story_of(alone, symbol)
    assert len(together.output.table("trade")) > 10
    assert reversed_order.core["account"]["wallet_e8"] == together.core["account"]["wallet_e8"]


def test_a_shared_cap_that_binds_does_change_what_a_symbol_does() -> None:
    """The property above can fail: with room for one position only, the others keep out."""
    feed = fixed_size(make_feed(5, 3, 120, funding=11))
    config = config_of(ALONE, cash=1e8, limits={"max_concurrent_positions": 1})
    together = finished(feed, config)
    alone = [finished(part_of(feed, {symbol: symbol}), config) for symbol in feed.symbols]
    assert any(story_of(together, symbol) != story_of(run, symbol) for symbol, run in zip(feed.symbols, alone, strict=True))
    assert (together.output.table("ledger")["code"] == Purpose.ENTRY).any()
