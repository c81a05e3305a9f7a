"""The experiment on fill rates by queue model: on the real recordings it says what was published of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.queue_models import PUBLISHED, RULES, SYMBOLS, experiment, table
from replay_data.catalog import Catalog


@pytest.mark.real
def test_fill_rates_markouts_and_savings_are_near_the_published_ones(real_data: Path, tmp_path: Path) -> None:
    for symbol in SYMBOLS:
        Catalog(tmp_path).import_path(real_data / "l2" / "um" / f"{symbol}-20240808")
    feed = Catalog(tmp_path).feed(symbols=list(SYMBOLS), interval="book")
    found = {symbol: experiment(feed, feed.symbols.index(symbol)) for symbol in SYMBOLS}
    for at, symbol in enumerate(SYMBOLS):
        for rule in RULES:
            share, markout, saving = found[symbol][rule]
            published = PUBLISHED[rule][at]
            # One short recording, and the published clock may have started elsewhere: 642 orders, so 1.5 points are ten of them.
            assert share == pytest.approx(published[0], abs=1.5), (symbol, rule)
            assert markout == pytest.approx(published[1], abs=0.15), (symbol, rule)
            assert saving == pytest.approx(published[2], abs=0.15), (symbol, rule)
        shares = [found[symbol][rule][0] for rule in RULES]
        assert shares == sorted(shares, reverse=True), "the worse the model, the fewer the fills"
    assert table(found).count("|") == 7 * 8
