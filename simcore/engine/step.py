"""The replay loop: venue and core taken from slice to slice of a tape, compiled, stoppable anywhere and resumable.

All state is in the records passed in, so stopping is returning, and a checkpoint is a copy of them.
"""

from __future__ import annotations

from enum import IntEnum

from simcore.decision.market import on_bar_nb, on_filter_nb, on_funding_rate_nb, on_mark_nb
from simcore.decision.pipeline import begin_decision_nb, call_strategies_nb, end_decision_nb
from simcore.decision.reports import on_report_nb
from simcore.decision.stream import outbox_half_full_nb
from simcore.domain.enums import InputKind
from simcore.engine.schedule import NEVER, find_next_other_nb, next_bar_of_nb, next_slice_nb
from simcore.engine.venue import check_margin_nb, on_request_nb, see_bar_nb, see_mark_nb, settle_funding_nb
from simcore.jit import inlined, kernel

MAX_ROUNDS = 64
BROKEN_ENDLESS_TALK = 21
PHASE_SLICE, PHASE_STRATEGIES = 0, 1


class Stop(IntEnum):
    """Why `advance_nb` returned."""

    DONE = 0
    EMPTY_OUTBOX = 1
    WAKE = 2
    BROKEN = 3


@kernel
def note_nb(run, inputs, kind, ts_ns, symbol, index):
    """Append one input to the journal when one is kept; return its row."""
    n = run["n_inputs"]
    row = inputs[n]
    row["kind"] = kind
    row["ts_ns"] = ts_ns
    row["symbol"] = symbol
    row["index"] = index
    run["n_inputs"] = n + 1
    return n


@inlined
def play_bars_nb(run, venue, core, bars, inputs, ts_ns):
    """Match and deliver every bar that closes at `ts_ns`, and find the next close."""
    first = NEVER
    for symbol in range(run["n_symbols"]):
        close_ns = run["bar_ns"][symbol]
        if close_ns == ts_ns:
            bar = bars[run["bar_pos"][symbol]]
            see_bar_nb(venue, symbol, bar)
            on_bar_nb(core, symbol, bar)
            if run["journal_on"] == 1:
                inputs[note_nb(run, inputs, InputKind.BAR.value, ts_ns, symbol, 0)]["bar"] = bar
            run["events"] += 1
            close_ns = next_bar_of_nb(run, bars, symbol)
        if close_ns < first:
            first = close_ns
    run["next_bar_ns"] = first


@kernel
def play_others_nb(run, venue, core, marks, fundings, filters, inputs, ts_ns):
    """Deliver marks, funding and filter changes of `ts_ns`, in that order, and find the next."""
    for symbol in range(run["n_symbols"]):
        while run["mark_pos"][symbol] < run["mark_end"][symbol] and marks[run["mark_pos"][symbol]]["ts_ns"] <= ts_ns:
            mark = marks[run["mark_pos"][symbol]]
            see_mark_nb(venue, symbol, mark, mark["span_ns"] <= run["interval_ns"][symbol])
            on_mark_nb(core, symbol, ts_ns, mark["close"])
            if run["journal_on"] == 1:
                inputs[note_nb(run, inputs, InputKind.MARK.value, ts_ns, symbol, 0)]["x"] = mark["close"]
            run["mark_pos"][symbol] += 1
            run["events"] += 1
    for symbol in range(run["n_symbols"]):
        while run["funding_pos"][symbol] < run["funding_end"][symbol]:
            funding = fundings[run["funding_pos"][symbol]]
            if funding["ts_ns"] > ts_ns:
                break
            settle_funding_nb(venue, symbol, funding)
            on_funding_rate_nb(core, symbol, ts_ns, funding["rate_e8"], funding["interval_ns"])
            if run["journal_on"] == 1:
                row = inputs[note_nb(run, inputs, InputKind.FUNDING_RATE.value, ts_ns, symbol, 0)]
                row["a"] = funding["rate_e8"]
                row["b"] = funding["interval_ns"]
            run["funding_pos"][symbol] += 1
            run["events"] += 1
    for symbol in range(run["n_symbols"]):
        while run["filter_pos"][symbol] < run["filter_end"][symbol]:
            if filters[run["filter_pos"][symbol]]["ts_ns"] > ts_ns:
                break
            on_filter_nb(venue["instrument"][symbol], filters[run["filter_pos"][symbol]])
            on_filter_nb(core["instrument"][symbol], filters[run["filter_pos"][symbol]])
            if run["journal_on"] == 1:
                note_nb(run, inputs, InputKind.FILTER.value, ts_ns, symbol, run["filter_pos"][symbol])
            run["filter_pos"][symbol] += 1
            run["events"] += 1
    find_next_other_nb(run, marks, fundings, filters)


@kernel
def deliver_reports_nb(run, venue, core, inputs, reports, ts_ns):
    """Hand every waiting report to the core, in the venue's order."""
    for index in range(venue["n_reports"]):
        if run["journal_on"] == 1:
            reports[run["n_reports"]] = venue["report"][index]
            note_nb(run, inputs, InputKind.REPORT.value, ts_ns, -1, run["reports_before"] + run["n_reports"])
            run["n_reports"] += 1
        on_report_nb(core, venue["report"][index])
    venue["n_reports"] = 0


@kernel
def talk_nb(run, venue, core, inputs, reports, ts_ns):
    """Let core and venue exchange requests and reports until both are silent."""
    rounds = 0
    while core["n_requests"] > 0:
        for index in range(core["n_requests"]):
            on_request_nb(venue, core["request"][index])
        core["n_requests"] = 0
        deliver_reports_nb(run, venue, core, inputs, reports, ts_ns)
        rounds += 1
        if rounds > MAX_ROUNDS:
            core["broken"] = BROKEN_ENDLESS_TALK
            return


@kernel
def journal_half_full_nb(run, inputs, reports):
    """Say whether the journal's tables are half full and should be emptied."""
    if run["journal_on"] == 0:
        return False
    return run["n_inputs"] > inputs.shape[0] // 2 or run["n_reports"] > reports.shape[0] // 2


@inlined
def play_slice_nb(run, venue, core, bars, marks, fundings, filters, inputs, reports, ts_ns):
    """Play everything of one instant up to the decision's strategies."""
    core["now_ns"] = ts_ns
    venue["now_ns"] = ts_ns
    if run["next_bar_ns"] == ts_ns:
        play_bars_nb(run, venue, core, bars, inputs, ts_ns)
    if run["next_other_ns"] == ts_ns:
        play_others_nb(run, venue, core, marks, fundings, filters, inputs, ts_ns)
    if venue["touched"] == 1:
        check_margin_nb(venue, ts_ns)
    if venue["n_reports"] > 0:
        deliver_reports_nb(run, venue, core, inputs, reports, ts_ns)
    if run["journal_on"] == 1:
        note_nb(run, inputs, InputKind.DECIDE.value, ts_ns, -1, 0)
    begin_decision_nb(core)


@kernel
def advance_nb(
    runs, venues, cores, bars, marks, fundings, filters, inputs, reports, memory, bar_functions, cross_functions, until_ns,
    max_slices,
):  # fmt: skip
    """Play the tape up to `until_ns` or for `max_slices` slices and return a `Stop`; call again to go on.

    With `run["external"]` set it returns WAKE whenever the strategies should speak, and goes on after they have.
    """
    run, venue, core = runs[0], venues[0], cores[0]
    slices = 0
    while True:
        if run["phase"] == PHASE_SLICE:
            ts_ns = next_slice_nb(run)
            if ts_ns > until_ns or ts_ns >= NEVER or slices >= max_slices:
                return Stop.DONE.value
            if outbox_half_full_nb(core) or journal_half_full_nb(run, inputs, reports):
                return Stop.EMPTY_OUTBOX.value
            slices += 1
            play_slice_nb(run, venue, core, bars, marks, fundings, filters, inputs, reports, ts_ns)
            if run["external"] == 1:
                run["phase"] = PHASE_STRATEGIES
                return Stop.WAKE.value
            call_strategies_nb(core, memory, bar_functions, cross_functions)
        run["phase"] = PHASE_SLICE
        end_decision_nb(core)
        if core["n_requests"] > 0:
            talk_nb(run, venue, core, inputs, reports, core["now_ns"])
        run["slices"] += 1
        if core["broken"] != 0 or venue["broken"] != 0:
            return Stop.BROKEN.value
