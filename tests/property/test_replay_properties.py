"""Conservation and the limits of the simulation, audited after every slice of a thousand generated histories (P20-P39)."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import cache

import numpy as np
import pytest

from replay_data.feed import Feed
from simcore.config import Config
from simcore.domain.enums import LedgerKind, OrderType, Purpose, RejectCode, RouteOutcome, TimeInForce
from simcore.domain.records import MAX_SYMBOLS
from simcore.engine.account import wallet_identity_nb
from simcore.jit import kernel
from simcore.replay import Session
from tests.worlds import config_of, make_feed, several_wishes

HISTORIES = 1_000
FUNDED, ENTRY, TAKEN_OVER = int(LedgerKind.FUNDING), int(Purpose.ENTRY), int(Purpose.LIQUIDATION)
PROMISES = (
    "", "the core's wallet is its deposits, results, fees and funding", "the venue's wallet is, too",
    "core and venue agree on the account", "core and venue agree on every leg", "the sleeves of a leg add up to it",
    "own fills of a bar keep to the participation cap", "no order fills more than it asked for",
    "no stop or target outlives its sleeve", "an open sleeve's stop and target cover what it holds",
    "children never exceed their parent order", "a finished route says what its fills say",
    "a post-only order never crosses the last price", "live orders and open legs are counted right",
    "an entry pends no more than its route has left",
)  # fmt: skip


@kernel
def audit_nb(core, venue, run, bars):  # type: ignore[no-untyped-def]
    """Return 0, or the number of the first broken promise after a slice whose ledger rows are still in the core."""
    if wallet_identity_nb(core["account"]) != 0:
        return 1
    if wallet_identity_nb(venue["account"]) != 0:
        return 2
    mine, theirs = core["account"], venue["account"]
    if mine["wallet_e8"] != theirs["wallet_e8"] or mine["realised_e8"] != theirs["realised_e8"]:
        return 3
    if mine["fees_e8"] != theirs["fees_e8"] or mine["funding_e8"] != theirs["funding_e8"]:
        return 3
    if mine["deposits_e8"] != theirs["deposits_e8"] or mine["open_legs"] != theirs["open_legs"]:
        return 3
    code = audit_legs_nb(core, venue)
    if code == 0:
        code = audit_orders_nb(core, venue)
    if code == 0:
        code = audit_routes_nb(core, venue)
    if code == 0:
        code = audit_rows_nb(core, venue, run, bars)
    return code


@kernel
def audit_legs_nb(core, venue):  # type: ignore[no-untyped-def]
    """Compare every leg of the two books with each other and with the sleeves on it."""
    hedge = core["account"]["position_mode"] == 1
    open_legs = 0
    for symbol in range(core["n_symbols"]):
        held = np.zeros(2, np.int64)
        for strategy in range(core["n_strategies"]):
            sleeve = core["sleeve"][strategy * MAX_SYMBOLS + symbol]
            if sleeve["qty_lots"] < 0 or (sleeve["qty_lots"] == 0) != (sleeve["side"] == 0):
                return 5
            held[1 if hedge and sleeve["side"] < 0 else 0] += sleeve["side"] * sleeve["qty_lots"]
        for leg in range(2):
            a, b = core["position"][symbol * 2 + leg], venue["position"][symbol * 2 + leg]
            if a["qty_lots"] != b["qty_lots"] or a["cost_e8"] != b["cost_e8"] or a["realised_e8"] != b["realised_e8"]:
                return 4
            if a["fees_e8"] != b["fees_e8"] or a["funding_e8"] != b["funding_e8"]:
                return 4
            if a["qty_lots"] == 0 and a["cost_e8"] != 0:
                return 4
            if held[leg] != a["qty_lots"]:
                return 5
            open_legs += 1 if a["qty_lots"] != 0 else 0
    return 13 if open_legs != venue["account"]["open_legs"] else 0


@kernel
def audit_orders_nb(core, venue):  # type: ignore[no-untyped-def]
    """Look at every live order: what is left of it, and whose stop or target it is."""
    live = 0
    for symbol in range(core["n_symbols"]):
        live += venue["live_orders"][symbol]
    for index in range(venue["n_orders"]):
        order = venue["order"][index]
        if order["active"] == 0:
            continue
        live -= 1
        if order["leaves_lots"] < 1 or order["leaves_lots"] > order["qty_lots"]:
            return 7
        bound = order["purpose"] == Purpose.STOP or order["purpose"] == Purpose.TARGET
        sleeve = core["sleeve"][order["strategy"] * MAX_SYMBOLS + order["symbol"]]
        if bound and (sleeve["side"] == 0 or order["side"] != -sleeve["side"]):
            return 8
        if bound and order["leaves_lots"] != sleeve["qty_lots"]:
            return 9
    return 13 if live != 0 else 0


@kernel
def audit_routes_nb(core, venue):  # type: ignore[no-untyped-def]
    """Look at every parent order: what it filled, what its live child may still fill, and what pends for it."""
    for index in range(core["route_high"]):
        route = core["route"][index]
        if route["active"] == 0:
            continue
        done = route["maker_lots"] + route["taker_lots"]
        resting = 0
        for at in range(venue["n_orders"]):
            order = venue["order"][at]
            if order["active"] == 1 and order["route"] == index:
                resting += order["leaves_lots"]
        if done + resting > route["requested_lots"]:
            return 10
        sleeve = core["sleeve"][route["strategy"] * MAX_SYMBOLS + route["symbol"]]
        if sleeve["entry_route"] == index and sleeve["pending_entry_lots"] != route["requested_lots"] - done:
            return 14
    for strategy in range(core["n_strategies"]):
        for symbol in range(core["n_symbols"]):
            sleeve = core["sleeve"][strategy * MAX_SYMBOLS + symbol]
            if sleeve["entry_route"] < 0 and sleeve["pending_entry_lots"] != 0:
                return 14
    for index in range(core["n_routes_done"]):
        if not route_is_consistent_nb(core["route_done"][index]):
            return 11
    return 0


@kernel
def route_is_consistent_nb(route):  # type: ignore[no-untyped-def]
    """Say whether the outcome of a finished route is what its fills and orders say."""
    maker, taker, outcome = route["maker_lots"] > 0, route["taker_lots"] > 0, route["outcome"]
    if route["maker_lots"] + route["taker_lots"] > route["requested_lots"]:
        return False
    if (outcome == RouteOutcome.MIXED) != (maker and taker) or (outcome == RouteOutcome.MAKER) != (maker and not taker):
        return False
    if (outcome == RouteOutcome.TAKER) != (taker and not maker):
        return False
    if (maker and route["maker_orders"] == 0) or (taker and route["taker_orders"] == 0):
        return False
    return (route["fallback"] == 1) == (route["maker_orders"] > 0 and route["taker_orders"] > 0)


@kernel
def audit_rows_nb(core, venue, run, bars):  # type: ignore[no-untyped-def]
    """Look at what this slice wrote: fills against the volume of the bar, post-only prices against the last price."""
    filled = np.zeros(MAX_SYMBOLS, np.int64)
    for index in range(core["n_ledger"]):
        row = core["ledger"][index]
        if row["kind"] == LedgerKind.FILL and row["code"] != Purpose.LIQUIDATION:
            filled[row["symbol"]] += row["qty_lots"]
        if row["kind"] == LedgerKind.REQUEST and row["code"] == OrderType.LIMIT and row["x0"] == TimeInForce.GTX.value:
            if row["side"] * (row["price_ticks"] - core["market"][row["symbol"]]["close_ticks"]) > 0:
                return 12
    for symbol in range(core["n_symbols"]):
        if filled[symbol] > 0:
            at = run["bar_pos"][symbol] - 1
            if at < 0 or bars[at]["open_ns"] + run["interval_ns"][symbol] != core["now_ns"]:
                return 6
            if filled[symbol] > int(venue["participation_cap"] * bars[at]["volume_lots"]):
                return 6
    return 0


# ------------------------------------------------------------ histories


@cache
def wild_config(mode: str, strategies: int, cash: float, maker: bool, latency_ms: int, stop: float, short: float) -> Config:
    """Return a config in which small accounts trade far too large, in one of the two position modes."""
    router = {"router.maker_first": maker, "router.wait_s": 600, "bar_model.participation_cap_pct": 0.3}
    model = {"position_mode": mode, "bar_model.entry_latency_ms": latency_ms, "entry_retry_s": 300}
    own = {"stop": stop, "short": short, "change": 0.2 if stop < 0.5 else 0.1, "urgent": 0.3 if maker else 1.0}
    return config_of(
        several_wishes(strategies), cash=cash, settings={**router, **model}, sizing={"fraction": 1.0},
        params={f"wishes_{at}": {"seed": 1.0 + at, **own} for at in range(strategies)},
    )  # fmt: skip


def history(seed: int) -> tuple[Feed, Config, int]:
    """Return the feed, the config and the number of strategies of one generated history."""
    rng = np.random.default_rng(1_000_000 + seed)
    shape = {"symbols": int(rng.integers(1, 4)), "bars": int(rng.integers(40, 100))}
    prices = {"sigma": float(rng.choice((0.004, 0.03, 0.08))), "jumps": float(rng.choice((0.0, 0.05)))}
    books = {"depth": float(rng.choice((0.3, 3.0, 30.0, 3_000.0))), "gaps": bool(rng.random() < 0.5)}
    events = {"marks": int(rng.choice((0, 1, 1, 12))), "funding": int(rng.choice((3, 10))), "filters": bool(rng.random() < 0.3)}
    feed = make_feed(seed, **shape, **prices, **books, **events)
    mode = str(rng.choice(("hedge", "hedge", "one_way")))
    count = 1 if mode == "one_way" else int(rng.integers(1, 7))
    cash, maker = float(rng.choice((300.0, 3_000.0, 100_000.0, 2_000_000.0))), bool(rng.random() < 0.6)
    stop, short = float(rng.choice((0.08, 2.0))), float(rng.choice((0.5, 0.0, 1.0)))
    return feed, wild_config(mode, count, cash, maker, int(rng.choice((0, 0, 400_000))), stop, short), count


def play(feed: Feed, config: Config, strategies: int) -> Session:
    """Play a history slice by slice and audit it after each; return the finished session."""
    session = Session(feed, config, list(several_wishes(strategies)))
    while session.next_ns is not None:
        session.advance(max_slices=1)
        broken = int(audit_nb(session.core, session.venue, session.run, feed.bars))
        assert broken == 0, f"slice {session.run['slices']}: not true: {PROMISES[broken]}"
        session.collect()
    return session


def trades_add_up(session: Session) -> bool:
    """Say whether the account is flat, after asserting that its trades then account for every unit of it."""
    account, trades = session.core["account"], session.output.table("trade")
    if account["open_legs"]:
        return False
    ledger = session.output.table("ledger")
    liquidations = ledger[ledger["kind"] == LedgerKind.LIQUIDATION]
    absorbed = round(float(liquidations["cap"].sum()) * 1e8)
    assert int(trades["gross_e8"].sum()) + absorbed == account["realised_e8"]
    assert int(trades["fees_e8"].sum()) == account["fees_e8"]
    assert int(trades["funding_e8"].sum()) == account["funding_e8"]
    return True


def funding_is_settled_once(session: Session) -> None:
    """P29: every settlement pays each leg held at that instant once, at the published rate, and nobody else."""
    ledger, feed = session.output.table("ledger"), session.feed
    rates = {
        (symbol, int(row["ts_ns"])): int(row["rate_e8"])
        for symbol, (first, end) in enumerate(feed.funding_range)
        for row in feed.funding[first:end]
    }
    hedge = session.core["account"]["position_mode"] == 1
    legs: Counter[tuple[int, int]] = Counter()
    expected, seen = set(), set()
    told = ledger[np.isin(ledger["kind"], (LedgerKind.FILL, LedgerKind.FUNDING))]
    rows = told[["ts_ns", "kind", "code", "symbol", "side", "qty_lots", "x0"]].tolist()
    for ts_ns, now in itertools.groupby(rows, key=lambda row: row[0]):
        payments, takeovers = [], []
        for _, kind, code, symbol, side, lots, rate in now:
            if kind == FUNDED:
                payments.append((symbol, code % 2, round(rate * 1e8)))
                continue
            # An opening fill has the side of its leg, a closing one the other; the exchange takes over after settling.
            leg = (symbol, int(hedge and (side < 0) == (code == ENTRY)))
            if code == TAKEN_OVER:
                takeovers.append((leg, side * lots))
            else:
                legs[leg] += side * lots
        expected |= {(ts_ns, *leg) for leg, lots in legs.items() if lots and (leg[0], ts_ns) in rates}
        for symbol, leg_number, rate_e8 in payments:
            assert (ts_ns, symbol, leg_number) not in seen, "settled twice"
            assert rate_e8 == rates[symbol, ts_ns]
            seen.add((ts_ns, symbol, leg_number))
        for leg, change in takeovers:
            legs[leg] += change
    assert seen == expected


def count_events(session: Session, seen: Counter[str]) -> None:
    """Count what happened, so that the campaign cannot pass because nothing did."""
    ledger, trades = session.output.table("ledger"), session.output.table("trade")
    kinds = np.bincount(ledger["kind"], minlength=32)
    fills = ledger[ledger["kind"] == LedgerKind.FILL]
    seen["fills"] += fills.size
    seen["maker fills"] += int((fills["x0"] == 1).sum())
    seen["partial fills"] += int((fills["cap"] > 0).sum())
    seen["stops"] += int((fills["code"] == Purpose.STOP).sum())
    seen["targets"] += int((fills["code"] == Purpose.TARGET).sum())
    seen["horizons"] += int((fills["code"] == Purpose.HORIZON).sum())
    seen["ambiguous"] += int((fills["x3"] == 1).sum())
    seen["liquidations"] += int(kinds[LedgerKind.LIQUIDATION])
    seen["liquidations that left money"] += int((ledger["cap"][ledger["kind"] == LedgerKind.LIQUIDATION] == 0).sum())
    seen["deficits absorbed"] += int((ledger["cap"][ledger["kind"] == LedgerKind.LIQUIDATION] > 0).sum())
    seen["fundings"] += int(kinds[LedgerKind.FUNDING])
    seen["rejects"] += int(kinds[LedgerKind.REJECTED])
    seen["post-only rejects"] += int((ledger["code"][ledger["kind"] == LedgerKind.REJECTED] == RejectCode.POST_ONLY).sum())
    seen["gaps"] += int(kinds[LedgerKind.GAP])
    for strategy, symbol in {(int(t["strategy"]), int(t["symbol"])) for t in trades}:
        own = trades[(trades["strategy"] == strategy) & (trades["symbol"] == symbol)]
        seen["flips"] += int((own["side"][1:] != own["side"][:-1]).sum())
    longs_and_shorts = {(int(t["symbol"]), int(t["side"])) for t in trades}
    seen["symbols with both legs"] += sum((symbol, -side) in longs_and_shorts for symbol, side in longs_and_shorts) // 2


# What must have happened in each half, so that nothing is proved by nothing.
ENOUGH = {
    "fills": 7_000,
    "maker fills": 1_000,
    "partial fills": 500,
    "stops": 250,
    "targets": 250,
    "horizons": 25,
    "ambiguous": 10,
    "liquidations": 35,
    "deficits absorbed": 10,
    "liquidations that left money": 1,
    "fundings": 1_000,
    "rejects": 250,
    "post-only rejects": 10,
    "gaps": 250,
    "flips": 500,
    "symbols with both legs": 150,
    "flat at the end": 50,
}


def audited(seeds: range) -> Counter[str]:
    """Play and audit the histories of these seeds; return how often what happened."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        session = play(*history(seed))
        seen["flat at the end"] += trades_add_up(session)
        funding_is_settled_once(session)
        count_events(session, seen)
    return seen


@pytest.mark.parametrize("half", [0, 1])
def test_every_unit_of_money_is_accounted_for_after_every_slice_of_a_thousand_histories(half: int) -> None:
    """P20, P21, P23, P25, P29, P37; in halves, for two workers."""
    seen = audited(range(HISTORIES * half // 2, HISTORIES * (half + 1) // 2))
    short = {name: (seen[name], least) for name, least in ENOUGH.items() if seen[name] < least}
    assert not short, short


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(10))
def test_every_unit_of_money_is_accounted_for_after_every_slice_of_ten_thousand_more_histories(part: int) -> None:
    seen = audited(range(HISTORIES * (part + 1), HISTORIES * (part + 2)))
    print(dict(seen))
    assert seen["liquidations"] > 0 and seen["flips"] > 0


@pytest.mark.jitless
@pytest.mark.parametrize("seed", [3, 11])
def test_every_unit_of_money_is_accounted_for_uncompiled_too(seed: int) -> None:
    session = play(*history(seed))
    trades_add_up(session)
    funding_is_settled_once(session)
    assert session.core["totals"]["orders"] > 0
