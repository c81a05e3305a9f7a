"""The one door into the decision core: replay, live and the re-run of a journal all feed it the same records in the same order."""

from __future__ import annotations

from simcore.decision.market import on_bar_nb, on_filter_nb, on_funding_rate_nb, on_mark_nb
from simcore.decision.pipeline import begin_decision_nb, call_strategies_nb, end_decision_nb
import numba
from numba import types

from simcore.decision.joints import CORE_JOINT_TYPES, CORE_TYPE
from simcore.domain.enums import InputKind
from simcore.domain.records import EQUITY_ROOM, FILTER, INPUT, LEDGER_ROOM, MAX_STRATEGIES, REPORT, ROUTE_ROOM, TRADE_ROOM
from simcore.jit import entry, inlined, kernel
from simcore.strategy.abi import BAR_FUNCTION, CROSS_FUNCTION, FLAT_MEMORY

LEDGER_HALF, TRADE_HALF, ROUTE_HALF, EQUITY_HALF = LEDGER_ROOM // 2, TRADE_ROOM // 2, ROUTE_ROOM // 2, EQUITY_ROOM // 2


@inlined
def take_input_nb(core, item, reports, filters, on_report):
    """Take one input that is not a decision into the core. Reports and filters are looked up by `item["index"]`."""
    core["now_ns"] = item["ts_ns"]
    kind = item["kind"]
    symbol = item["symbol"]
    if kind == InputKind.BAR:
        on_bar_nb(core, symbol, item["bar"])
    elif kind == InputKind.REPORT:
        on_report(core, reports[item["index"]])
    elif kind == InputKind.MARK:
        on_mark_nb(core, symbol, item["ts_ns"], item["x"])
    elif kind == InputKind.FUNDING_RATE:
        on_funding_rate_nb(core, symbol, item["ts_ns"], item["a"], item["b"])
    elif kind == InputKind.FILTER:
        on_filter_nb(core["instrument"][symbol], filters[item["index"]])


@kernel
def outbox_half_full_nb(core):
    """Say whether one of the core's output tables is half full: the world should empty them now."""
    return (
        core["n_ledger"] > LEDGER_HALF
        or core["n_trades"] > TRADE_HALF
        or core["n_routes_done"] > ROUTE_HALF
        or core["n_equity"] > EQUITY_HALF
    )


CORES = types.Array(CORE_TYPE, 1, "C")
ITEMS = types.Array(numba.from_dtype(INPUT), 1, "C", readonly=True)
REPORTS = types.Array(numba.from_dtype(REPORT), 1, "C", readonly=True)
FILTERS = types.Array(numba.from_dtype(FILTER), 1, "C", readonly=True)
BAR_FUNCTIONS = types.UniTuple(BAR_FUNCTION, MAX_STRATEGIES)
CROSS_FUNCTIONS = types.UniTuple(CROSS_FUNCTION, MAX_STRATEGIES)


@entry(
    types.int64(
        CORES, ITEMS, types.int64, types.int64, REPORTS, FILTERS, FLAT_MEMORY, BAR_FUNCTIONS, CROSS_FUNCTIONS,
        *CORE_JOINT_TYPES,
    )
)
def take_inputs_nb(
    cores, items, first, last, reports, filters, memory, bar_functions, cross_functions, on_report, consider, end_trade, work_routes, flatten
):  # fmt: skip
    """Take a run of inputs in order, decisions included; stop early when the outbox needs to be emptied.

    Returns the number of inputs taken: fewer than asked when a decision left requests or filled half of the ledger.
    """
    core = cores[0]
    for index in range(first, last):
        item = items[index]
        if item["kind"] == InputKind.DECIDE:
            core["now_ns"] = item["ts_ns"]
            begin_decision_nb(core, work_routes, flatten)
            call_strategies_nb(core, memory, bar_functions, cross_functions)
            end_decision_nb(core, consider, end_trade)
        else:
            take_input_nb(core, item, reports, filters, on_report)
        if core["n_requests"] > 0 or outbox_half_full_nb(core) or core["broken"] != 0:
            return index + 1 - first
    return last - first


@entry(types.void(CORES, types.int64, *CORE_JOINT_TYPES))
def begin_nb(cores, ts_ns, on_report, consider, end_trade, work_routes, flatten):
    """Open a decision at `ts_ns` up to the point where strategies speak (for strategies that run outside the compiler)."""
    core = cores[0]
    core["now_ns"] = ts_ns
    begin_decision_nb(core, work_routes, flatten)


@entry(types.void(CORES, *CORE_JOINT_TYPES))
def end_nb(cores, on_report, consider, end_trade, work_routes, flatten):
    """Close a decision after the strategies have spoken."""
    core = cores[0]
    end_decision_nb(core, consider, end_trade)
