"""The one door into the decision core: replay, live and the re-run of a journal all feed it the same records in the same order."""

from __future__ import annotations

import numba
from numba import types

from simcore.decision.joints import CORE_TABLE, CORE_TYPE
from simcore.decision.market import on_bar_nb, on_funding_rate_nb, on_mark_nb, on_new_filter_nb, on_view_nb, wake_books_nb
from simcore.decision.pipeline import begin_decision_nb, call_event_strategies_nb, call_strategies_nb, end_decision_nb
from simcore.domain.enums import InputKind
from simcore.domain.records import EQUITY_ROOM, FILTER, INPUT, LEDGER_ROOM, REPORT, ROUTE_ROOM, TRADE_ROOM, VIEW
from simcore.jit import borrowed, entry, inlined, kernel
from simcore.strategy.abi import FLAT_MEMORY

# The ledger is emptied early: what is written twice over is still in the processor's cache.
LEDGER_QUARTER = LEDGER_ROOM // 4
TRADE_HALF, ROUTE_HALF, EQUITY_HALF = TRADE_ROOM // 2, ROUTE_ROOM // 2, EQUITY_ROOM // 2


@inlined
def take_input_nb(core, item, reports, views, filters, on_report):
    """Take one input that is not a decision into the core. Reports, views and filters are looked up by `item["index"]`."""
    core["now_ns"] = item["ts_ns"]
    kind = item["kind"]
    symbol = item["symbol"]
    if kind == InputKind.BAR:
        on_bar_nb(core, symbol, item["bar"])
    elif kind == InputKind.VIEW:
        on_view_nb(core, views[item["index"]])
    elif kind == InputKind.REPORT:
        on_report(core, reports[item["index"]])
    elif kind == InputKind.MARK:
        on_mark_nb(core, symbol, item["ts_ns"], item["x"])
    elif kind == InputKind.FUNDING_RATE:
        on_funding_rate_nb(core, symbol, item["ts_ns"], item["a"], item["b"])
    elif kind == InputKind.FILTER:
        on_new_filter_nb(core, symbol, filters[item["index"]])


@kernel
def outbox_half_full_nb(core):
    """Say whether one of the core's output tables is half full: the world should empty them now."""
    return (
        core["n_ledger"] > LEDGER_QUARTER
        or core["n_trades"] > TRADE_HALF
        or core["n_routes_done"] > ROUTE_HALF
        or core["n_equity"] > EQUITY_HALF
    )


CORES = types.Array(CORE_TYPE, 1, "C")
ITEMS = types.Array(numba.from_dtype(INPUT), 1, "C", readonly=True)
REPORTS = types.Array(numba.from_dtype(REPORT), 1, "C", readonly=True)
VIEWS = types.Array(numba.from_dtype(VIEW), 1, "C", readonly=True)
FILTERS = types.Array(numba.from_dtype(FILTER), 1, "C", readonly=True)


@entry(types.int64(CORES, ITEMS, types.int64, types.int64, REPORTS, VIEWS, FILTERS, FLAT_MEMORY, CORE_TABLE))
def take_inputs_nb(cores, items, first, last, reports, views, filters, memory, functions):
    """Take a run of inputs in order, decisions included; stop early when the outbox needs to be emptied.

    Returns the number of inputs taken: fewer than asked when a decision left requests or filled half of the ledger.
    """
    core = cores[0]
    items, memory = borrowed(items), borrowed(memory)
    reports, views, filters = borrowed(reports), borrowed(views), borrowed(filters)
    on_books = core["bar_frame"] > 0
    for index in range(first, last):
        item = items[index]
        if item["kind"] == InputKind.DECIDE:
            core["now_ns"] = item["ts_ns"]
            if on_books:
                wake_books_nb(core)
            begin_decision_nb(core, functions.work_routes, functions.flatten)
            call_strategies_nb(core, memory, functions.bar, functions.cross)
            if on_books:
                call_event_strategies_nb(core, memory, functions.bar)
                functions.quote(core)
            end_decision_nb(core, functions.consider, functions.end_trade)
        else:
            take_input_nb(core, item, reports, views, filters, functions.on_report)
        if core["n_requests"] > 0 or outbox_half_full_nb(core) or core["broken"] != 0:
            return index + 1 - first
    return last - first


@entry(types.void(CORES, types.int64, CORE_TABLE))
def begin_nb(cores, ts_ns, functions):
    """Open a decision at `ts_ns` up to the point where strategies speak (for strategies that run outside the compiler)."""
    core = cores[0]
    core["now_ns"] = ts_ns
    if core["bar_frame"] > 0:
        wake_books_nb(core)
    begin_decision_nb(core, functions.work_routes, functions.flatten)


@entry(types.void(CORES, CORE_TABLE))
def end_nb(cores, functions):
    """Close a decision after the strategies have spoken."""
    core = cores[0]
    if core["bar_frame"] > 0:
        functions.quote(core)
    end_decision_nb(core, functions.consider, functions.end_trade)
