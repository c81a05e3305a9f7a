"""Faults that real data showed, each as the smallest scene that shows it."""

from __future__ import annotations

import pytest

from simcore.domain.enums import LONG, LedgerKind
from simcore.domain.records import MAX_SYMBOLS
from tests.scenes import LOTS, A, Wish, bar, flat, play

DAY = 1_440
NOW = Wish(LONG, urgency=1.0)


def listed(*periods: tuple[str, str | None]) -> dict:
    rows = [{"tier": "unlisted", "quote_asset": "USDT", "valid_from": start, "valid_to": end} for start, end in periods]
    return {f"pairs_universe.symbols.{A}": rows}


def test_a_stop_is_not_triggered_by_the_stop_that_had_its_place_before() -> None:
    """The venue gives a freed row of its order table to the next stop: it must not remember the last one's trigger."""
    wish = Wish(LONG, stop=50, urgency=1.0)
    dive = bar(10_000, 10_000, 9_900, 9_900)
    scene = play([*flat(n=3), dive, *flat(9_900, 8)], {1: wish, 5: 0, 6: wish})
    assert [(f.bar, f.purpose) for f in scene.fills()] == [(2, "entry"), (3, "stop"), (7, "entry")]
    assert scene.held() == (LOTS, 0)


def test_a_symbol_listed_during_the_run_trades_from_that_day_on() -> None:
    settings = {"entry_retry_s": 600.0, "allow_unlisted_symbols": False}
    scene = play([*flat(n=DAY + 30)], {0: NOW}, files=listed(("2025-01-02", None)), settings=settings)
    # The first try that succeeds is the first after midnight: the bar that closes at 00:00 is slot 1439.
    assert [f.bar for f in scene.fills()] == [DAY + 1]
    assert {slot for slot, _ in scene.screens()} == set(range(0, DAY, 10))
    assert any("is traded from 2025-01-02" in text for text in scene.recording.caveats)


def test_a_symbol_whose_listing_ended_may_be_left_but_not_entered() -> None:
    wishes = {DAY - 10: NOW, DAY + 5: Wish(0, urgency=1.0), DAY + 10: NOW}
    settings = {"allow_unlisted_symbols": False}
    scene = play([*flat(n=DAY + 30)], wishes, files=listed(("2024-01-01", "2025-01-02")), settings=settings)
    assert [(f.bar, f.purpose) for f in scene.fills()] == [(DAY - 9, "entry"), (DAY + 6, "exit")]
    assert [slot for slot, _ in scene.screens()][0] == DAY + 10


def test_slippage_is_against_the_price_at_the_decision() -> None:
    scene = play([*flat(n=2), *flat(10_010, 3)], {1: NOW})
    fill = scene.rows(LedgerKind.FILL)[0]
    # Decided at 1,000.0, filled at the next open of 1,001.0 plus half a spread: 12 ticks of 0.1 on one coin.
    assert fill["x1"] == pytest.approx(1_000.0)
    assert scene.totals["slippage_usd"] == pytest.approx((fill["price_ticks"] - 10_000) * 0.1)


def test_strategies_are_told_the_hour_in_which_the_bar_closed() -> None:
    scene = play([*flat(n=130)], {}, intervals={"script": "5m"})
    # The last bar closes at 02:10, and so does the last complete bucket of five minutes.
    assert [int(scene.core["market"][frame * MAX_SYMBOLS]["hour"]) for frame in (0, 1)] == [2, 2]
