"""The one door into the decision core: replay, live and the re-run of a journal all feed it the same records in the same order."""

from __future__ import annotations

from simcore.decision.market import on_bar_nb, on_filter_nb, on_funding_rate_nb, on_mark_nb
from simcore.decision.pipeline import begin_decision_nb, call_strategies_nb, end_decision_nb
from simcore.decision.reports import on_report_nb
from simcore.domain.enums import InputKind
from simcore.jit import kernel


@kernel
def take_input_nb(core, item, reports, filters):
    """Take one input that is not a decision into the core. Reports and filters are looked up by `item["index"]`."""
    core["now_ns"] = item["ts_ns"]
    kind = item["kind"]
    symbol = item["symbol"]
    if kind == InputKind.BAR:
        on_bar_nb(core, symbol, item["bar"])
    elif kind == InputKind.REPORT:
        on_report_nb(core, reports[item["index"]])
    elif kind == InputKind.MARK:
        on_mark_nb(core, symbol, item["ts_ns"], item["x"])
    elif kind == InputKind.FUNDING_RATE:
        on_funding_rate_nb(core, symbol, item["ts_ns"], item["a"], item["b"])
    elif kind == InputKind.FILTER:
        on_filter_nb(core["instrument"][symbol], filters[item["index"]])


@kernel
def take_inputs_nb(cores, items, first, last, reports, filters, memory, bar_functions, cross_functions):
    """Take a run of inputs in order, decisions included; stop early when the outbox needs to be emptied.

    Returns the number of inputs taken: fewer than asked when a decision left requests or filled half of the ledger.
    """
    core = cores[0]
    for index in range(first, last):
        item = items[index]
        if item["kind"] == InputKind.DECIDE:
            core["now_ns"] = item["ts_ns"]
            begin_decision_nb(core)
            call_strategies_nb(core, memory, bar_functions, cross_functions)
            end_decision_nb(core)
        else:
            take_input_nb(core, item, reports, filters)
        if core["n_requests"] > 0 or outbox_half_full_nb(core) or core["broken"] != 0:
            return index + 1 - first
    return last - first


@kernel
def outbox_half_full_nb(core):
    """Say whether one of the core's output tables is half full: the world should empty them now."""
    half = core["ledger"].shape[0] // 2
    small = core["trade"].shape[0] // 2
    return core["n_ledger"] > half or core["n_trades"] > small or core["n_routes_done"] > small or core["n_equity"] > small


@kernel
def begin_nb(cores, ts_ns):
    """Open a decision at `ts_ns` up to the point where strategies speak (for strategies that run outside the compiler)."""
    core = cores[0]
    core["now_ns"] = ts_ns
    begin_decision_nb(core)


@kernel
def end_nb(cores):
    """Close a decision after the strategies have spoken."""
    end_decision_nb(cores[0])
