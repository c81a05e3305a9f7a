"""The checks of a run: do the books balance, to the integer, and is the result fit to be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.domain.enums import LedgerKind, Screen, Veto
from simcore.domain.records import MAX_STRATEGIES, MAX_SYMBOLS
from simcore.report.tables import E8

if TYPE_CHECKING:
    from simcore.replay import Recording

LEDGER_FIELDS = ("wallet_e8", "deposits_e8", "realised_e8", "fees_e8", "funding_e8")


def imbalance_e8(account: np.void) -> int:
    """Return wallet − (deposits + realised − fees + funding), in 1e-8 quote units: 0 where the books balance."""
    wallet, deposits, realised, fees, funding = (int(account[name]) for name in LEDGER_FIELDS)
    return wallet - (deposits + realised - fees + funding)


def books_of(recording: Recording) -> dict[str, Any]:
    """Return every comparison of the books with its difference in 1e-8 quote units; 0 everywhere is balanced.

    `fills_*` and `ledger_*` compare the ledger's rows with the account, `trades_*` the closed trades, which is possible where
    every position was closed. A liquidation closes positions and charges a fee outside the orders the core sent and
    floors the wallet at zero, so these are left out of a liquidated run.
    """
    account, venue = recording.account, recording.venue_account
    differences: dict[str, Any] = {
        "core_identity": imbalance_e8(account),
        "venue_identity": imbalance_e8(venue),
        **{f"core_venue_{name[:-3]}": int(account[name]) - int(venue[name]) for name in LEDGER_FIELDS},
    }
    if not int(recording.totals["liquidations"]):
        ledger = recording.ledger
        fills = ledger[ledger["kind"] == LedgerKind.FILL]
        differences["fills_realised"] = e8_sum(fills["x2"]) - int(account["realised_e8"])
        differences["fills_fees"] = e8_sum(fills["value"]) - int(account["fees_e8"])
        fundings = ledger[ledger["kind"] == LedgerKind.FUNDING]
        differences["ledger_funding"] = e8_sum(fundings["value"]) - int(account["funding_e8"])
        if all_closed(fills):
            trades = recording.trades
            differences["trades_realised"] = int(trades["gross_e8"].sum()) - int(account["realised_e8"])
            differences["trades_fees"] = int(trades["fees_e8"].sum()) - int(account["fees_e8"])
    return differences


def all_closed(fills: np.ndarray) -> bool:
    """Return whether every strategy's quantity in every symbol came back to zero by its fills."""
    held = np.zeros((MAX_STRATEGIES, MAX_SYMBOLS), dtype=np.int64)
    np.add.at(held, (fills["strategy"], fills["symbol"]), fills["side"] * fills["qty_lots"])
    return not held.any()


def e8_sum(amounts: np.ndarray) -> int:
    """Return the sum of quote amounts that were integers of 1e-8, as that integer."""
    return int(np.rint(amounts * E8).astype(np.int64).sum())


def checks_of(recording: Recording) -> dict[str, Any]:
    """Return the checks of a run's summary: `ledger_balanced`, `ambiguous_exit_share`, `gaps`, `liquidated`, `caveats`."""
    totals = recording.totals
    exits = int(totals["exits"])
    return {
        "ledger_balanced": not any(books_of(recording).values()),
        "ambiguous_exit_share": int(totals["ambiguous_exits"]) / exits if exits else 0.0,
        "gaps": int(totals["gaps"]),
        "liquidated": bool(totals["liquidations"]) or bool(recording.account["liquidated"]),
        "caveats": caveats_of(recording),
    }


def caveats_of(recording: Recording) -> list[str]:
    """Return what a reader must know before believing the figures: of the data first, then of the run."""
    return list(dict.fromkeys((*recording.feed.caveats, *recording.caveats)))


def veto_counts(recording: Recording) -> dict[str, dict[str, int]]:
    """Return refusals by stage and reason. An order refused for several limits counts once, under its first reason."""
    ledger = recording.ledger
    screened = ledger["code"][ledger["kind"] == LedgerKind.SCREEN_VETO]
    first = (ledger["kind"] == LedgerKind.GATE_VETO) & (ledger["x0"] == 1)
    return {"screener": count_names(screened, Screen), "gate": count_names(ledger["code"][first], Veto)}


def failing_limit_counts(recording: Recording) -> dict[str, int]:
    """Return how often each limit failed at the gate, all failing limits of an order counted."""
    ledger = recording.ledger
    return count_names(ledger["code"][ledger["kind"] == LedgerKind.GATE_VETO], Veto)


def count_names(codes: np.ndarray, kind: Any) -> dict[str, int]:
    """Return {name in small letters: count}, the most frequent first."""
    values, counts = np.unique(codes, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    known = kind._value2member_map_
    names = [known[int(value)].name.lower() if int(value) in known else f"code {value}" for value in values[order]]
    return dict(zip(names, counts[order].tolist(), strict=True))


def counts_of(recording: Recording) -> dict[str, Any]:
    """Return the counts of a run's summary."""
    totals = recording.totals
    return {
        "events": int(totals["events"]),
        "bars": int(totals["bars"]),
        "signals": int(totals["signals"]),
        "vetoes": veto_counts(recording),
        "orders": int(totals["orders"]),
        "maker_fills": int(totals["maker_fills"]),
        "taker_fills": int(totals["taker_fills"]),
        "liquidations": int(totals["liquidations"]),
    }
