"""Recordings and tick files become books by the exchange's rule; whatever is wrong in them is named and marked."""

from __future__ import annotations

import copy
import csv
import gzip
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay_data.book_selection import book_at_nb
from replay_data.catalog import Catalog
from replay_data.interval import MINUTE_NS
from replay_data.recording import Recorder
from replay_data.ticks import claim, read_ticks
from replay_data.verify import verify_book
from simcore.domain.enums import EventKind
from simcore.domain.errors import DataError
from tests.book_files import START_MS, Market, text_of, write_lines


def imported(tmp_path: Path, source: Path) -> tuple[Catalog, object]:
    catalog = Catalog(tmp_path / "catalog")
    return catalog, catalog.import_path(source)


def market_catalog(tmp_path: Path, lines: list[str], **where: object) -> tuple[Catalog, object, Path]:
    path = write_lines(tmp_path / "source", lines, **where)
    return *imported(tmp_path, path.parent), path


def kinds(feed) -> list[str]:
    return [EventKind(int(kind)).name for kind in feed.events["kind"] if kind >= 4]


def final_book(feed, symbol: str = "BTCUSDT") -> dict[int, dict[int, int]]:
    """The feed's book after its last event, as side to {ticks: lots}."""
    ladder = feed.ladders[feed.symbols.index(symbol)]
    base, span = int(ladder["base_ticks"]), int(ladder["span"])
    lots = np.zeros(2 * span, np.int64)
    book_at_nb(feed.events_of(symbol), lots)
    levels = [int(level) for level in np.flatnonzero(lots)]
    bids = {base + level: int(lots[level]) for level in levels if level < span}
    return {1: bids, -1: {base + 2 * span - 1 - level: int(lots[level]) for level in levels if level >= span}}


@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize("unit_ns", [1, 1000])
def test_a_recording_becomes_the_book_it_recorded(tmp_path, spot, unit_ns):
    market = Market(spot=spot)
    catalog, report, _path = market_catalog(tmp_path, text_of(market.lines, unit_ns))
    assert report.refused == [] and report.faults == []
    feed = catalog.feed(interval="book")
    assert feed.symbols == ("BTCUSDT",) and feed.kind == "book" and kinds(feed) == ["CLEAR", "READY"]
    assert final_book(feed) == market.books
    late = feed.events["ts_local"] - feed.events["ts_exch"]
    assert late.min() >= 0
    prints = (feed.events["kind"] == EventKind.BID_HIT) | (feed.events["kind"] == EventKind.ASK_LIFTED)
    assert prints.sum() == market.trade_id - 500 == feed.coverage[0]["trades"]
    (verdict,) = verify_book(catalog, "BTCUSDT")
    assert verdict.fine and verdict.compared == 56
    assert catalog.check() == []
    again = catalog.import_path(tmp_path / "source")
    assert again.series == [] and again.unchanged and again.events == 0


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), spot=st.booleans(), snapshot_at=st.integers(0, 20))
def test_every_recorded_market_is_rebuilt_and_agrees_with_its_ticker(tmp_path_factory, seed, spot, snapshot_at):
    market = Market(seed, 40, spot=spot, snapshot_at=snapshot_at)
    catalog, report, _path = market_catalog(tmp_path_factory.mktemp("market"), text_of(market.lines))
    assert report.refused == [] and report.faults == []
    assert final_book(catalog.feed(interval="book")) == market.books
    assert all(verdict.fine for verdict in verify_book(catalog, "BTCUSDT"))


def test_a_snapshot_that_comes_late_is_joined_where_its_id_says(tmp_path):
    """The REST answer is received ten messages after the change its id belongs to."""
    market = Market(snapshot_at=3)
    at = next(place for place, (_local, message) in enumerate(market.lines) if "lastUpdateId" in message)
    line = market.lines.pop(at)
    later = min(at + 20, len(market.lines) - 1)
    market.lines.insert(later, (market.lines[later][0], line[1]))
    catalog, report, _path = market_catalog(tmp_path, text_of(market.lines))
    assert report.faults == [] and final_book(catalog.feed(interval="book")) == market.books
    assert verify_book(catalog, "BTCUSDT")[0].fine
    feed = catalog.feed(interval="book")
    ready = feed.events["kind"] == EventKind.READY
    assert feed.events["ts_local"][ready][0] >= market.lines[later][0]


def broken(market: Market, change) -> list[str]:
    """The market's lines after `change(lines, depth)` did its worst; `depth` are the places of depth messages."""
    lines = copy.deepcopy(market.lines)
    return text_of(change(lines, market.depth_lines()) or lines)


def lost_message(lines, depth):
    del lines[depth[30]]


def crossed(lines, depth):
    message = lines[depth[30]][1]["data"]
    message["b"].append(["1002.50", "1.000"])


def wrong_tick(lines, depth):
    lines[depth[30]][1]["data"]["b"].append(["912.3456", "1.000"])


BREAKS = {
    "a lost message": (lost_message, r"raw.jsonl.gz: row \d+: the chain breaks: this change \(U \d+, pu \d+\) does not follow \d+"),
    "a crossed book": (crossed, r"raw.jsonl.gz: row \d+: the book is crossed after this message"),
    "another symbol's tick": (wrong_tick, r"raw.jsonl.gz: row \d+: level 912.3456 x 1 is not of this symbol's tick and step"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_named_with_its_place_and_the_book_is_unusable_from_there(tmp_path, name):
    change, message = BREAKS[name]
    market = Market(steps=200)
    catalog, report, _path = market_catalog(tmp_path, broken(market, change))
    assert report.refused == [] and len(report.faults) == 1
    assert re.search(message + ".*unusable until the next snapshot", report.faults[0])
    feed = catalog.feed(interval="book")
    assert kinds(feed) == ["CLEAR", "READY", "GAP"]
    row = int(re.search(r"row (\d+)", report.faults[0])[1])
    assert abs(row - market.depth_lines()[30]) <= 4
    gap = int(np.flatnonzero(feed.events["kind"] == EventKind.GAP)[0])
    assert not np.any(feed.events["kind"][gap:] <= EventKind.ASK_DEPTH)
    assert feed.coverage[0]["book_gaps"] == 1 and feed.coverage[0]["unusable_s"] > 1.0 and feed.coverage[0]["faults"] == 1
    assert any("book unusable in 1 spans" in caveat for caveat in feed.caveats)
    assert any("1 faults in the recordings" in caveat for caveat in feed.caveats)


@pytest.mark.jitless
def test_after_a_gap_the_next_snapshot_makes_the_book_usable_again(tmp_path):
    market = Market(steps=100)
    market.now += 50
    market.add(market.snapshot())
    for _ in range(40):
        market.step()
    catalog, report, _path = market_catalog(tmp_path, broken(market, lost_message))
    feed = catalog.feed(interval="book")
    assert len(report.faults) == 1 and kinds(feed) == ["CLEAR", "READY", "GAP", "CLEAR", "READY"]
    assert final_book(feed) == market.books and verify_book(catalog, "BTCUSDT")[0].fine


def test_repeated_and_misplaced_messages_are_named_and_change_nothing(tmp_path):
    market = Market()

    def shuffle(lines, depth):
        lines[depth[20]], lines[depth[21]] = lines[depth[21]], lines[depth[20]]
        lines.insert(depth[40], lines[depth[40]])
        trades = [at for at, (_local, message) in enumerate(lines) if "@trade" in message.get("stream", "")]
        lines.insert(trades[-1] + 1, lines[trades[-2]])

    catalog, report, _path = market_catalog(tmp_path, broken(market, shuffle))
    said = "\n".join(report.faults)
    assert "1 depth messages stand out of order" in said and "1 depth messages repeat" in said and "1 trades repeat an id" in said
    feed = catalog.feed(interval="book")
    assert kinds(feed) == ["CLEAR", "READY"] and final_book(feed) == market.books
    assert feed.coverage[0]["trades"] == market.trade_id - 500


def test_without_a_snapshot_the_book_is_never_usable_and_says_so(tmp_path):
    market = Market()
    lines = text_of([line for line in market.lines if "lastUpdateId" not in line[1]])
    catalog, report, _path = market_catalog(tmp_path, lines)
    assert len(report.faults) == 1 and "no snapshot: the book is never known whole" in report.faults[0]
    feed = catalog.feed(interval="book")
    assert not np.any(feed.events["kind"] == EventKind.READY) and feed.coverage[0]["trades"] == market.trade_id - 500
    assert any("never usable" in caveat for caveat in feed.caveats)


@settings(max_examples=15)
@given(share=st.floats(0.05, 0.999))
def test_a_file_cut_anywhere_is_read_up_to_there(tmp_path_factory, share):
    market = Market(steps=120)
    folder = tmp_path_factory.mktemp("cut")
    text = text_of(market.lines)
    whole = write_lines(folder / "whole", text)
    size = whole.stat().st_size
    path = write_lines(folder / "source", text, cut=size - int(size * share))
    catalog, report = imported(folder, path.parent)
    said = [*report.faults, *(reason for _path, reason in report.refused)]
    assert any("raw.jsonl.gz: " in text and ("cut off" in text or "no message" in text) for text in said), said
    if catalog.books() and catalog.books()[0].ready_ns:
        assert all(verdict.fine for verdict in verify_book(catalog, "BTCUSDT"))


def test_lines_of_others_and_lines_that_are_none_are_named_and_left_out(tmp_path):
    market, other = Market(), Market(seed=2, symbol="ETHUSDT")
    text = text_of(market.lines)
    text.insert(10, text_of(other.lines)[5])
    text.insert(20, "yesterday {}")
    text.insert(30, text[30][:40])
    text.insert(40, f"{START_MS * 10**6} [1, 2]")
    text.insert(50, f"{START_MS * 10**6} " + json.dumps({"stream": "btcusdt@depth5@100ms", "data": market.lines[0][1]["data"]}))
    catalog, report, _path = market_catalog(tmp_path, text)
    said = sorted(report.faults)
    assert len(said) == 5
    assert any("row 11: a message of ETHUSDT in a recording of BTCUSDT; left out" in each for each in said)
    assert any("row 21: not a recorded line" in each for each in said) and any("row 31: not a recorded line" in each for each in said)
    assert any("row 41: not a message of the exchange" in each for each in said)
    assert any("row 51: btcusdt@depth5@100ms is a partial book" in each for each in said)
    assert final_book(catalog.feed(interval="book")) == market.books


def test_trades_of_the_insurance_fund_are_left_out(tmp_path):
    market = Market()
    at = next(place for place, (_local, message) in enumerate(market.lines) if "@trade" in message.get("stream", ""))
    market.lines[at][1]["data"]["X"] = "INSURANCE_FUND"
    catalog, report, _path = market_catalog(tmp_path, text_of(market.lines))
    feed = catalog.feed(interval="book")
    assert report.faults == [] and feed.coverage[0]["trades"] == market.trade_id - 501
    assert any("1 trades of the insurance fund left out" in caveat for caveat in feed.caveats)


@pytest.mark.jitless
def test_a_window_begins_with_the_book_as_it_was(tmp_path):
    market = Market(steps=300)
    catalog, _report, _path = market_catalog(tmp_path, text_of(market.lines))
    whole = catalog.feed(interval="book")
    for share in (0.3, 0.6):
        start = int(whole.start_ns + share * (whole.end_ns - whole.start_ns))
        end = start + 3 * 10**9
        part = catalog.feed(start_ns=start, end_ns=end, interval="book")
        assert kinds(part) == ["CLEAR", "READY"] and part.start_ns == start
        assert np.all((part.events["ts_exch"] >= start) & (part.events["ts_exch"] < end))
        assert np.all(np.diff(part.events["ts_local"]) >= 0)
        upto = whole.events[: np.searchsorted(whole.events["ts_exch"], end)]
        first, second = (np.zeros(2 * int(whole.ladders[0]["span"]), np.int64) for _ in range(2))
        assert book_at_nb(upto, first) and book_at_nb(part.events, second)
        assert first.tolist() == second.tolist()
        assert part.content_hash != whole.content_hash
        assert part.content_hash == catalog.feed(start_ns=start, end_ns=end, interval="book").content_hash
    with pytest.raises(DataError, match="no order book events of any symbol from .* Covered: BTCUSDT"):
        catalog.feed(start_ns=whole.end_ns + MINUTE_NS, interval="book")
    with pytest.raises(DataError, match="BTCUSD' has no order books.* Did you mean 'BTCUSDT'"):
        catalog.feed(["BTCUSD"], interval="book")


@pytest.mark.jitless
def test_recordings_of_one_symbol_are_joined_with_a_gap_between_them(tmp_path):
    first, second = Market(steps=80), Market(seed=5, steps=80)
    for at, (local, message) in enumerate(second.lines):
        day = 86_400_000
        data = message.get("data", message)
        data.update({name: data[name] + day for name in ("E", "T") if name in data})
        second.lines[at] = (local + day * 10**6, message)
    write_lines(tmp_path / "source", text_of(first.lines))
    write_lines(tmp_path / "source", text_of(second.lines), "BTCUSDT-20231115/raw.jsonl.gz")
    catalog, report = imported(tmp_path, tmp_path / "source")
    assert report.faults == [] and len(catalog.books()) == 2
    feed = catalog.feed(interval="book")
    assert kinds(feed) == ["CLEAR", "READY", "GAP", "CLEAR", "READY"]
    assert feed.coverage[0]["book_gaps"] == 1 and 86_000 < feed.coverage[0]["unusable_s"] < 87_000
    assert np.all(np.diff(feed.events["ts_exch"]) >= 0) and np.all(np.diff(feed.events["ts_local"]) >= 0)
    assert final_book(feed) == second.books
    only = catalog.feed(start_ns=feed.end_ns - 43_200 * 10**9, interval="book")
    assert final_book(only) == second.books and kinds(only) == ["CLEAR", "READY"]


def test_symbols_share_one_mapped_array(tmp_path):
    write_lines(tmp_path / "source", text_of(Market().lines))
    write_lines(tmp_path / "source", text_of(Market(seed=2, symbol="ETHUSDT").lines), "ETHUSDT-20231114/raw.jsonl.gz")
    catalog, _report = imported(tmp_path, tmp_path / "source")
    feed = catalog.feed(interval="book")
    assert feed.symbols == ("BTCUSDT", "ETHUSDT")
    for symbol in feed.symbols:
        assert feed.events_of(symbol).tobytes() == catalog.feed([symbol], interval="book").events.tobytes()
    assert not feed.events.flags.writeable


def test_what_contradicts_the_catalog_is_refused(tmp_path):
    market = Market()
    catalog, _report, _path = market_catalog(tmp_path, text_of(market.lines))
    other = Market(seed=3, steps=10)
    for at, (local, message) in enumerate(other.lines):
        data = message.get("data", message)
        data.update({name: data[name] + 2000 for name in ("E", "T") if name in data})
        other.lines[at] = (local + 2000 * 10**6, message)
    path = write_lines(tmp_path / "overlap", text_of(other.lines))
    (refused,) = catalog.import_path(path.parent).refused
    assert "overlaps BTCUSDT 20231114T221400Z book, which is stored" in refused[1]
    spot = Market(seed=3, steps=10, spot=True)
    path = write_lines(tmp_path / "spot", text_of([(local + 10**15, message) for local, message in spot.lines]))
    (refused,) = catalog.import_path(path.parent).refused
    assert "BTCUSDT is spot here, but um in BTCUSDT" in refused[1]


def test_a_damaged_catalog_is_found(tmp_path):
    catalog, _report, _path = market_catalog(tmp_path, text_of(Market().lines))
    (info,) = catalog.books()
    events = catalog.root / info.events
    data = bytearray(events.read_bytes())
    data[-16] ^= 1
    events.chmod(0o644)
    events.write_bytes(bytes(data))
    (problem,) = catalog.check()
    assert "prepared events differ from the truth" in problem.what
    assert not verify_book(catalog, "BTCUSDT")[0].fine


def table(path: Path, header: str, rows: list[list[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    text = (header + "\n" if header else "") + out.getvalue()
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.name.endswith(".gz") else text.encode())
    return path


TARDIS_DEPTH = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
TARDIS_TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"


def tardis_rows(market: Market) -> tuple[list[list[object]], list[list[object]]]:
    """The market as Tardis writes it: the snapshot first, then what came after it, times in us."""
    depth, trades = [], []
    begun = False
    for local, message in market.lines:
        data = message.get("data", message)
        if "lastUpdateId" in data:
            begun = True
            sides = (("bid", data["bids"]), ("ask", data["asks"]))
        elif data.get("e") == "depthUpdate" and begun:
            sides = (("bid", data["b"]), ("ask", data["a"]))
        elif data.get("e") == "trade":
            side = "sell" if data["m"] else "buy"
            trades.append(["binance-futures", "BTCUSDT", data["T"] * 1000, local // 1000, data["t"], side, data["p"], data["q"]])
            continue
        else:
            continue
        whole = "true" if "lastUpdateId" in data else "false"
        for side, levels in sides:
            depth += [["binance-futures", "BTCUSDT", data["T"] * 1000, local // 1000, whole, side, p, q] for p, q in levels]
    return depth, trades


def test_tardis_files_become_the_same_book(tmp_path):
    market = Market(steps=100)
    depth, trades = tardis_rows(market)
    source = tmp_path / "source"
    table(source / "binance-futures_incremental_book_L2_2023-11-14_BTCUSDT.csv.gz", TARDIS_DEPTH, depth)
    table(source / "binance-futures_trades_2023-11-14_BTCUSDT.csv.gz", TARDIS_TRADES, trades)
    catalog, report = imported(tmp_path, source)
    assert report.refused == [] and report.faults == []
    feed = catalog.feed(interval="book")
    assert final_book(feed) == market.books and feed.coverage[0]["trades"] == market.trade_id - 500
    recorded, _report, _path = market_catalog(tmp_path / "lines", text_of(market.lines))
    theirs = recorded.feed(interval="book")
    usable = theirs.events[np.flatnonzero(theirs.events["kind"] == EventKind.READY)[0] + 1 :]
    mine = feed.events[np.flatnonzero(feed.events["kind"] == EventKind.READY)[0] + 1 :]
    assert mine["qty_lots"].tolist() == usable["qty_lots"].tolist() and mine["kind"].tolist() == usable["kind"].tolist()


@pytest.mark.jitless
def test_repeated_books_become_a_snapshot_and_its_changes(tmp_path):
    market = Market(seed=4, steps=1)
    header = "exchange,symbol,timestamp,local_timestamp," + ",".join(
        f"{side}[{at}].{what}" for at in range(5) for side in ("asks", "bids") for what in ("price", "amount")
    )
    rows, tops = [], []
    for step in range(50):
        market.step()
        sides = [sorted(market.books[-1].items())[:5], sorted(market.books[1].items(), reverse=True)[: 5 if step % 7 else 3]]
        tops.append({1: dict(sides[1]), -1: dict(sides[0])})
        cells = [
            cell
            for at in range(5)
            for levels in sides
            for cell in ((market.price(levels[at][0]), market.qty(levels[at][1])) if at < len(levels) else ("", ""))
        ]
        rows.append(["binance-futures", "BTCUSDT", market.now * 1000, market.now * 1000 + 500, *cells])
    table(tmp_path / "source" / "binance-futures_book_snapshot_5_2023-11-14_BTCUSDT.csv", header, rows)
    catalog, report = imported(tmp_path, tmp_path / "source")
    assert report.refused == [] and report.faults == []
    feed = catalog.feed(interval="book")
    assert final_book(feed) == tops[-1] and kinds(feed) == ["CLEAR", "READY"]
    ladder = feed.ladders[0]
    base, span = int(ladder["base_ticks"]), int(ladder["span"])
    lots, at = np.zeros(2 * span, np.int64), 0
    ends = {int(ns): place for place, ns in enumerate(feed.events["ts_exch"])}
    for row, top in zip(rows, tops, strict=True):
        end = ends.get(int(row[2]) * 1000, at - 1) + 1
        book_at_nb(feed.events[at:end], lots)
        at = end
        assert {base + level: int(lots[level]) for level in np.flatnonzero(lots[:span])} == top[1]


def archive_files(folder: Path, market: Market, header: bool, us: bool) -> None:
    trades, tickers, aggregates = [], [], []
    for _local, message in market.lines:
        data = message.get("data", message)
        scale = 1000 if us else 1
        if data.get("e") == "trade":
            row = [data["t"], data["p"], data["q"], float(data["p"]) * float(data["q"]), data["T"] * scale, str(data["m"]).lower()]
            trades.append(row)
            aggregates.append([data["t"] * 10, data["p"], data["q"], data["t"], data["t"], data["T"] * scale, str(data["m"]).lower()])
        elif data.get("e") == "bookTicker":
            tickers.append([data["u"], data["b"], data["B"], data["a"], data["A"], data["T"] * scale, data["E"] * scale])
    names = "id,price,qty,quote_qty,time,is_buyer_maker" if header else ""
    table(folder / "BTCUSDT-trades-2023-11-14.csv", names, trades)
    names = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker" if header else ""
    table(folder / "BTCUSDT-aggTrades-2023-11-14.csv", names, aggregates)
    names = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time" if header else ""
    table(folder / "BTCUSDT-bookTicker-2023-11-14.csv.gz", names, tickers)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("us", [True, False])
def test_archive_files_become_a_book_of_best_prices(tmp_path, header, us):
    market = Market(steps=100)
    archive_files(tmp_path / "source", market, header, us)
    rows = [["2023-11-14 22:14:07", -1, "12.5", "12500.0"], ["2023-11-14 22:14:07", 1, "10.5", "10500.0"]]
    table(tmp_path / "source" / "BTCUSDT-bookDepth-2023-11-14.csv", "timestamp,percentage,depth,notional", rows)
    catalog, report = imported(tmp_path, tmp_path / "source")
    assert report.refused == [] and report.faults == []
    feed = catalog.feed(interval="book")
    book = final_book(feed)
    assert [len(book[side]) for side in (1, -1)] == [1, 1]
    assert max(book[1]) == max(market.books[1]) and min(book[-1]) == min(market.books[-1])
    assert feed.coverage[0]["trades"] == market.trade_id - 500
    said = " ".join(feed.caveats)
    assert "best bid and ask only" in said and "without local times" in said and "aggTrades files not used" in said
    (info,) = catalog.books()
    assert {role for role, _file, _content in info.truths} == {"bookDepth", "bookTicker", "depth", "trades"}
    assert catalog.check() == []


def test_archive_days_grow_file_by_file(tmp_path):
    archive_files(tmp_path / "source", Market(steps=100), True, False)
    catalog = Catalog(tmp_path / "catalog")
    files = sorted((tmp_path / "source").iterdir())
    for path in files:
        if "aggTrades" not in path.name:
            assert catalog.import_path(path).refused == []
    together = Catalog(tmp_path / "together")
    together.import_path(tmp_path / "source")
    assert catalog.feed(interval="book").events.tobytes() == together.feed(interval="book").events.tobytes()


SAMPLES = {
    "um_aggTrades_duplicates_noheader": ("aggTrades", 3),
    "um_aggTrades_header": ("aggTrades", 1),
    "um_aggTrades_interleaved_header": ("aggTrades", None),
    "um_aggTrades_trade_id_gap": ("aggTrades", 4),
    "spot_aggTrades_noheader_ms": ("aggTrades", None),
    "spot_aggTrades_noheader_us": ("aggTrades", 1),
    "um_trades_header": ("trades", None),
    "um_trades_interleaved_noheader": ("trades", None),
    "um_bookTicker_header": ("bookTicker", 2),
}


@pytest.mark.real
@pytest.mark.parametrize("name", SAMPLES)
def test_real_archive_samples_are_read(tmp_path, real_data, name):
    kind, rows = SAMPLES[name]
    path = tmp_path / "source" / f"BTCUSDT-{kind}-2023-11-14.csv"
    path.parent.mkdir()
    path.write_bytes((real_data / "format_samples" / "binance_archive" / f"{name}.csv").read_bytes())
    catalog, report = imported(tmp_path, path.parent)
    assert report.refused == []
    feed = catalog.feed(interval="book")
    lines = len(path.read_text().splitlines()) - name.endswith("header") * (not name.endswith("noheader"))
    counted = feed.coverage[0]["trades"] if kind != "bookTicker" else lines
    assert counted == (lines if rows is None else rows)
    if "duplicates" in name:
        assert any("repeat an id" in fault for fault in report.faults)
    if "trade_id_gap" in name:
        assert report.faults == [f"{path}: row {row}: 1 single trades are missing before this aggregate" for row in (3, 5)]
    if "interleaved" in name:
        assert any("stand after later ones" in fault for fault in report.faults)


@pytest.mark.real
def test_real_tardis_and_t_depth_samples_are_read(tmp_path, real_data):
    folder = real_data / "format_samples"
    catalog, report = imported(tmp_path, folder / "tardis")
    assert {info.symbol for info in catalog.books()} >= {"BTCPERPETUAL", "XBTUSD", "BTCUSDT", "BTCUSD"}
    assert [Path(path).name for path, _reason in report.refused] == ["derivative_ticker_1.csv"]
    feed = catalog.feed(["BTCUSDT"], interval="book")
    assert [len(side) for side in final_book(feed).values()] == [25, 25]
    t_depth = Catalog(tmp_path / "t_depth")
    report = t_depth.import_path(folder / "binance_t_depth")
    assert report.refused == [] and [info.symbol for info in t_depth.books()] == ["BTCUSDT"]
    assert any("chain breaks" in fault for fault in report.faults), "the sample's updates come minutes after its snapshot"


BAD_TICKS = {
    "word": ("1,abc,1.0,1.0,1700000040000,true\n", r"row 2: 'abc' is not what this column holds"),
    "cut": ("2,100.0,1.", r"row .*cut off"),
    "time": ("2,100.0,1.0,1.0,17,true\n", r"data row 2: time is 17, which lies outside 2010 to 2100"),
}


@pytest.mark.parametrize("name", BAD_TICKS)
def test_a_damaged_tick_file_is_refused_with_its_row(tmp_path, name):
    line, message = BAD_TICKS[name]
    path = tmp_path / "BTCUSDT-trades-2023-11-14.csv"
    path.write_text("1,100.0,1.0,1.0,1700000040000,true\n" + line)
    report = Catalog(tmp_path / "catalog").import_path(path)
    ((_file, reason),) = report.refused
    assert re.search(message, reason), reason
    assert str(path) in reason


def test_the_command_line_imports_lists_and_checks_books(tmp_path):
    from typer.testing import CliRunner

    from simcore.cli import app

    write_lines(tmp_path / "source", broken(Market(), lost_message))
    catalog = str(tmp_path / "catalog")

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["data", *words, "--data", catalog])
        return result.exit_code, result.output

    code, said = run("import", str(tmp_path / "source"))
    assert code == 1 and re.search(r"fault .*raw.jsonl.gz: row \d+: the chain breaks", " ".join(said.split()))
    assert "--interval book" in said
    code, said = run("list")
    assert code == 0 and "20231114T221400Z" in said
    code, said = run("check", "--books")
    assert code == 0 and re.search(r"(\d+) of \1 books equal the recorded book ticker", said)


def test_names_tell_symbol_day_and_source():
    cases = {
        "BTCUSDT-trades-2024-08-08.zip": ("BTCUSDT", "2024-08-08", "trades"),
        "BTCUSDT_240927-bookTicker-2024-08.csv.gz": ("BTCUSDT_240927", "2024-08", "bookTicker"),
        "binance-futures_incremental_book_L2_2020-09-01_BTCUSDT.csv.gz": ("BTCUSDT", "2020-09-01", "incremental_book_L2"),
        "deribit_book_snapshot_25_BTC-PERPETUAL.csv": ("BTCPERPETUAL", "", "book_snapshot_25"),
        "BTCUSDT_T_DEPTH_2022-11-02_depth_update.csv": ("BTCUSDT", "2022-11-02", "T_DEPTH"),
        "BTCUSDT-1m-2024-08-08.zip": None,
        "notes.txt": None,
    }
    assert {name: claim(Path(name)) for name in cases} == cases
    with pytest.raises(DataError, match="not readable"):
        read_ticks("BTCUSDT", {"trades": [Path("nowhere-trades-2024-08-08.csv")]})


@pytest.fixture(scope="module")
def real_books(tmp_path_factory, real_data) -> Catalog:
    catalog = Catalog(tmp_path_factory.mktemp("books") / "catalog")
    report = catalog.import_path(real_data / "l2")
    assert report.refused == [] and report.faults == []
    return catalog


@pytest.mark.real
def test_real_books_equal_the_exchanges_ticker_after_every_event(real_books):
    verdicts = [verdict for symbol in ("BTCUSDT", "ETHUSDT", "NEXOUSDT") for verdict in verify_book(real_books, symbol)]
    assert [verdict.wrong for verdict in verdicts] == [[]] * 4
    assert all(verdict.fine for verdict in verdicts)
    assert sum(verdict.compared for verdict in verdicts) == 97_417


@pytest.mark.real
def test_real_recordings_cover_what_they_say(real_books):
    feed = real_books.feed(["NEXOUSDT"], interval="book")
    assert feed.coverage[0]["trades"] == 12_458 and feed.bars.size == 1_459 and feed.events.size == 149_173
    assert feed.coverage[0]["book_gaps"] == 0
    btc = real_books.feed(["BTCUSDT"], interval="book", end_ns=1_700_000_000 * 10**9)
    assert btc.marks.size == 514 and btc.funding["rate_e8"].tolist() == [2760]
    assert btc.funding["ts_ns"][0] == 1_680_652_800 * 10**9
    assert (btc.instruments[0]["tick_size"], btc.instruments[0]["step_size"]) == (0.1, 0.001)
    assert any("1 trades of the insurance fund left out" in caveat for caveat in btc.caveats)


@pytest.mark.real
def test_real_tables_give_the_events_of_the_lines(tmp_path, real_data, real_books):
    """The tables lack local times of trades, and the mark that one trade was the insurance fund's."""
    for folder in sorted((real_data / "l2").glob("*/*")):
        copied = tmp_path / folder.name
        copied.mkdir()
        for path in folder.iterdir():
            if path.name != "raw.jsonl.gz":
                (copied / path.name).symlink_to(path)
    catalog, report = imported(tmp_path, tmp_path)
    assert report.refused == []
    names = ["ts_exch", "kind", "level", "qty_lots", "last"]
    for symbol, start in (("NEXOUSDT", None), ("ETHUSDT", None), ("BTCUSDT", 1_700_000_000 * 10**9)):
        lines = real_books.feed([symbol], start, interval="book").events
        tables = catalog.feed([symbol], start, interval="book").events
        assert all(np.array_equal(lines[name], tables[name]) for name in names)
    lines, tables = (each.feed(["BTCUSDT"], end_ns=1_700_000_000 * 10**9, interval="book").coverage[0] for each in (real_books, catalog))
    assert tables["trades"] == lines["trades"] + 1


@pytest.mark.real
def test_real_recorded_frames_give_the_expected_books(real_data):
    """Four symbols on one connection in 2021: the final books hash to what an independent reader found."""
    import hashlib
    from decimal import Decimal

    from replay_data.book_chain import Grid, Rows, counts_of, guess_size, raw_of
    from replay_data.stream import Faults

    folder = real_data.parent / "binance" / "recorded_2021_07_22"
    if not folder.is_dir():
        pytest.skip("no recorded frames beside the real data")
    expected = json.loads((folder / "expected_book.json").read_text())
    recorders = {symbol: Recorder(symbol, "frames") for symbol in expected}
    for place, line in enumerate((folder / "ws_frames.jsonl").read_text().splitlines()):
        row = json.loads(line)
        symbol = row["frame"]["data"].get("s", row["frame"]["data"].get("ps"))
        recorders[symbol].take(place, int(row["recv"] * 1e9), row["frame"])
    for row in json.loads((folder / "depth_snapshots.json").read_text()):
        recorders[row["symbol"]].take(0, int(row["recv"] * 1e9), row["body"])
    for symbol, wanted in expected.items():
        stream = recorders[symbol].stream()
        faults = Faults(symbol)
        grid = Grid(guess_size(stream.tables["depth"]["level_price"], 0.0), guess_size(stream.tables["depth"]["level_qty"], 0.0))
        rows: Rows = raw_of(stream, grid, faults)
        assert faults.listed == []
        books: dict[int, dict[int, tuple[float, float]]] = {1: {}, -1: {}}
        raw = rows.raw
        for kind, side, price, qty in zip(raw.kind.tolist(), raw.side.tolist(), raw.price.tolist(), raw.qty.tolist(), strict=True):
            if kind == 1 and qty:
                books[side][price] = qty
            elif kind == 1:
                books[side].pop(price, None)
        text = [
            f"{name} {_plain(Decimal(repr(price)))} {_plain(Decimal(repr(books[side][price])))}"
            for name, side in (("b", 1), ("a", -1))
            for price in sorted(books[side], reverse=side == 1)
        ]
        assert hashlib.sha256("\n".join(text).encode()).hexdigest() == wanted["sha256"], symbol
        assert (len(books[1]), len(books[-1])) == (wanted["bid_levels"], wanted["ask_levels"])
        assert counts_of(np.array([1.5]), 0.5, 10).tolist() == [3]


def _plain(number) -> str:
    return f"{number.normalize():f}"
