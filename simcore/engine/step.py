"""The replay loop: venue and core taken from slice to slice of a tape, compiled, stoppable anywhere and resumable.

All state is in the records passed in, so stopping is returning, and a checkpoint is a copy of them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numba
import numpy as np
from numba import types

from simcore.decision.joints import CORE_TABLE
from simcore.decision.market import on_bar_nb, on_filter_nb, on_funding_rate_nb, on_mark_nb, on_new_filter_nb
from simcore.decision.pipeline import begin_decision_nb, call_strategies_nb, end_decision_nb
from simcore.decision.stream import CORES, FILTERS, outbox_half_full_nb
from simcore.domain.enums import InputKind
from simcore.domain.records import BAR, FUNDING, INPUT, MARK, REPORT, RUN
from simcore.engine.joints import VENUE_TABLE, VENUE_TYPE
from simcore.engine.schedule import NEVER, find_next_other_nb, next_slice_nb
from simcore.engine.stretch import is_quiet_nb, play_quiet_nb
from simcore.engine.venue import see_bar_nb, see_mark_nb
from simcore.jit import borrowed, entry, flat, inlined, part, prefetch
from simcore.strategy.abi import FLAT_MEMORY

MAX_ROUNDS = 64
BROKEN_ENDLESS_TALK = 21
BARS_AHEAD = 12
PHASE_SLICE, PHASE_STRATEGIES = 0, 1


def tape(dtype: np.dtype) -> Any:
    """Return the compiled type of one stream of the tape: rows of `dtype`, mapped from disk or not."""
    return types.Array(numba.from_dtype(dtype), 1, "C", readonly=True)


class Stop(IntEnum):
    """Why `advance_nb` returned."""

    DONE = 0
    EMPTY_OUTBOX = 1
    WAKE = 2
    BROKEN = 3


@part
def note_nb(run, inputs, kind, ts_ns, symbol, index):
    """Append one input to the journal; return its row."""
    n = run["n_inputs"]
    row = inputs[n]
    row["kind"] = kind
    row["ts_ns"] = ts_ns
    row["symbol"] = symbol
    row["index"] = index
    run["n_inputs"] = n + 1
    return n


@part
def note_bar_nb(run, inputs, ts_ns, symbol, bar):
    """Append one bar to the journal."""
    inputs[note_nb(run, inputs, InputKind.BAR.value, ts_ns, symbol, 0)]["bar"] = bar


@part
def note_reports_nb(run, venue, inputs, reports, ts_ns):
    """Append every waiting report to the journal."""
    for index in range(venue["n_reports"]):
        reports[run["n_reports"]] = venue["report"][index]
        note_nb(run, inputs, InputKind.REPORT.value, ts_ns, -1, run["reports_before"] + run["n_reports"])
        run["n_reports"] += 1


@part
def play_others_nb(run, venue, core, marks, fundings, filters, inputs, ts_ns, settle_funding):
    """Deliver marks, funding and filter changes of `ts_ns`, in that order, and find the next."""
    for symbol in range(run["n_symbols"]):
        while run["mark_pos"][symbol] < run["mark_end"][symbol] and marks[run["mark_pos"][symbol]]["ts_ns"] <= ts_ns:
            play_mark_nb(run, venue, core, marks[run["mark_pos"][symbol]], inputs, symbol, ts_ns)
    for symbol in range(run["n_symbols"]):
        while run["funding_pos"][symbol] < run["funding_end"][symbol]:
            funding = fundings[run["funding_pos"][symbol]]
            if funding["ts_ns"] > ts_ns:
                break
            settle_funding(venue, symbol, funding)
            play_rate_nb(run, core, funding, inputs, symbol, ts_ns)
    for symbol in range(run["n_symbols"]):
        while run["filter_pos"][symbol] < run["filter_end"][symbol]:
            row = filters[run["filter_pos"][symbol]]
            if row["ts_ns"] > ts_ns:
                break
            on_filter_nb(venue["instrument"][symbol], row)
            on_new_filter_nb(core, symbol, row)
            if run["journal_on"] == 1:
                note_nb(run, inputs, InputKind.FILTER.value, ts_ns, symbol, run["filter_pos"][symbol])
            run["filter_pos"][symbol] += 1
            run["events"] += 1
    find_next_other_nb(run, marks, fundings, filters)


@part
def play_mark_nb(run, venue, core, mark, inputs, symbol, ts_ns):
    """Deliver one mark price bar."""
    see_mark_nb(venue, symbol, mark, mark["span_ns"] <= run["interval_ns"][symbol])
    on_mark_nb(core, symbol, ts_ns, mark["close"])
    if run["journal_on"] == 1:
        inputs[note_nb(run, inputs, InputKind.MARK.value, ts_ns, symbol, 0)]["x"] = mark["close"]
    run["mark_pos"][symbol] += 1
    run["events"] += 1


@part
def play_rate_nb(run, core, funding, inputs, symbol, ts_ns):
    """Deliver one funding rate, after it was settled."""
    on_funding_rate_nb(core, symbol, ts_ns, funding["rate_e8"], funding["interval_ns"])
    if run["journal_on"] == 1:
        row = inputs[note_nb(run, inputs, InputKind.FUNDING_RATE.value, ts_ns, symbol, 0)]
        row["a"] = funding["rate_e8"]
        row["b"] = funding["interval_ns"]
    run["funding_pos"][symbol] += 1
    run["events"] += 1


@inlined
def close_bars_nb(run, venue, core, bars, inputs, ts_ns, match_bar):
    """Let every bar that closes at `ts_ns` meet the orders at the venue, then be seen, and find the next close."""
    first = NEVER
    for symbol in range(run["n_symbols"]):
        close_ns = run["bar_ns"][symbol]
        if close_ns == ts_ns:
            pos = run["bar_pos"][symbol]
            prefetch(bars[min(pos + BARS_AHEAD, run["bar_end"][symbol] - 1)])
            if venue["live_orders"][symbol] > 0:
                match_bar(venue, symbol, bars[pos])
            see_bar_nb(venue, symbol, bars[pos])
            on_bar_nb(core, symbol, bars[pos])
            if run["journal_on"] == 1:
                note_bar_nb(run, inputs, ts_ns, symbol, bars[pos])
            run["events"] += 1
            pos += 1
            close_ns = bars[pos]["open_ns"] + run["interval_ns"][symbol] if pos < run["bar_end"][symbol] else NEVER
            run["bar_pos"][symbol] = pos
            run["bar_ns"][symbol] = close_ns
        if close_ns < first:
            first = close_ns
    run["next_bar_ns"] = first


@part
def hear_reports_nb(run, venue, core, inputs, reports, on_report, ts_ns):
    """Hand every waiting report to the core, in the venue's order, and to the journal."""
    if run["journal_on"] == 1:
        note_reports_nb(run, venue, inputs, reports, ts_ns)
    for index in range(venue["n_reports"]):
        on_report(core, venue["report"][index])
    venue["n_reports"] = 0


@inlined
def talk_nb(run, venue, core, inputs, reports, on_request, on_report):
    """Let core and venue answer each other until nothing is asked any more."""
    rounds = 0
    while core["n_requests"] > 0:
        send_requests_nb(venue, core, on_request)
        hear_reports_nb(run, venue, core, inputs, reports, on_report, core["now_ns"])
        rounds += 1
        if rounds > MAX_ROUNDS:
            core["broken"] = BROKEN_ENDLESS_TALK
            break


@part
def send_requests_nb(venue, core, on_request):
    """Hand every waiting request to the venue, in the core's order."""
    for index in range(core["n_requests"]):
        on_request(venue, core["request"][index])
    core["n_requests"] = 0


@part
def journal_half_full_nb(run, inputs, reports):
    """Say whether the journal's tables are half full and should be emptied."""
    return run["n_inputs"] > inputs.shape[0] // 2 or run["n_reports"] > reports.shape[0] // 2


@entry(
    types.int64(
        types.Array(numba.from_dtype(RUN), 1, "C"), types.Array(VENUE_TYPE, 1, "C"), CORES,
        tape(BAR), tape(MARK), tape(FUNDING), FILTERS,
        types.Array(numba.from_dtype(INPUT), 1, "C"), types.Array(numba.from_dtype(REPORT), 1, "C"),
        FLAT_MEMORY, VENUE_TABLE, CORE_TABLE, types.int64, types.int64,
    )
)  # fmt: skip
def advance_nb(
    runs, venues, cores, bars, marks, fundings, filters, inputs, reports, memory, exchange, functions, until_ns, max_slices
):  # fmt: skip
    """Play the tape up to `until_ns` or for `max_slices` slices and return a `Stop`; call again to go on.

    With `run["external"]` set it returns WAKE whenever the strategies should speak, and goes on after they have.
    """
    run, venue, core = runs[0], venues[0], cores[0]
    bars, memory, inputs, reports = borrowed(bars), borrowed(memory), borrowed(inputs), borrowed(reports)
    marks, fundings, filters = borrowed(marks), borrowed(fundings), borrowed(filters)
    match_bar, on_request = exchange.match_bar, exchange.on_request
    settle_funding, check_margin = exchange.settle_funding, exchange.check_margin
    bar_functions, cross_functions, on_report = functions.bar, functions.cross, functions.on_report
    consider, end_trade = functions.consider, functions.end_trade
    work_routes, flatten = functions.work_routes, functions.flatten
    slices = 0
    while True:
        if run["phase"] == PHASE_SLICE and is_quiet_nb(run, venue, core):
            before = run["slices"]
            if play_quiet_nb(run, venue, core, bars, flat(memory), bar_functions[0], until_ns, max_slices - slices):
                run["phase"] = PHASE_STRATEGIES
                slices += 1
            slices += run["slices"] - before
        if run["phase"] == PHASE_SLICE:
            ts_ns = next_slice_nb(run)
            if ts_ns > until_ns or ts_ns >= NEVER or slices >= max_slices:
                return Stop.DONE.value
            if outbox_half_full_nb(core) or (run["journal_on"] == 1 and journal_half_full_nb(run, inputs, reports)):
                return Stop.EMPTY_OUTBOX.value
            slices += 1
            core["now_ns"] = ts_ns
            venue["now_ns"] = ts_ns
            if run["next_bar_ns"] == ts_ns:
                close_bars_nb(run, venue, core, bars, inputs, ts_ns, match_bar)
            if run["next_other_ns"] == ts_ns:
                play_others_nb(run, venue, core, marks, fundings, filters, inputs, ts_ns, settle_funding)
            if venue["look"] == 1:
                check_margin(venue, ts_ns)
            if venue["n_reports"] > 0:
                hear_reports_nb(run, venue, core, inputs, reports, on_report, ts_ns)
            if run["journal_on"] == 1:
                note_nb(run, inputs, InputKind.DECIDE.value, ts_ns, -1, 0)
            begin_decision_nb(core, work_routes, flatten)
            if run["external"] == 1:
                run["phase"] = PHASE_STRATEGIES
                return Stop.WAKE.value
            call_strategies_nb(core, memory, bar_functions, cross_functions)
        run["phase"] = PHASE_SLICE
        end_decision_nb(core, consider, end_trade)
        talk_nb(run, venue, core, inputs, reports, on_request, on_report)
        run["slices"] += 1
        if core["broken"] != 0 or venue["broken"] != 0:
            return Stop.BROKEN.value
