"""The replay loop on order books: the exchange and our view of it, each on its own clock, taken from wake to wake, compiled.

Between two wakes of the core nothing can leave it, so the exchange runs ahead by itself: its events in order, and each
request of ours at the moment it arrives, after the events of that moment. At a wake the core gets what it could know by
then: one view of each book that moved, the reports that have come back, and then it decides. All state is in the records and
arrays passed in; stopping is returning.
"""

from __future__ import annotations

import numba
from numba import types

from simcore.decision.joints import CORE_TABLE
from simcore.decision.market import on_bar_nb, on_view_nb, wake_books_nb
from simcore.decision.pipeline import begin_decision_nb, call_event_strategies_nb, call_strategies_nb, end_decision_nb
from simcore.decision.stream import CORES, FILTERS, outbox_half_full_nb
from simcore.domain.enums import InputKind
from simcore.domain.records import BAR, FUNDING, INPUT, MARK, REPORT, RUN, VIEW
from simcore.engine.arrival import mark_nb
from simcore.engine.book import play_nb, play_to_change_nb
from simcore.engine.book_joints import BOOK_TABLE, BOOKS, EVENTS, LADDERS, LOTS, RESTING, STREAM_TYPE
from simcore.engine.joints import VENUE_TABLE, VENUE_TYPE
from simcore.engine.resting import list_own_nb
from simcore.engine.schedule import NEVER
from simcore.engine.sight import await_sight_nb, look_nb, write_view_nb
from simcore.engine.step import PHASE_SLICE, PHASE_STRATEGIES, Stop, journal_half_full_nb, note_bar_nb, note_nb, play_others_nb, tape
from simcore.engine.wire import answer_nb, drop_reports_nb, drop_requests_nb, send_nb
from simcore.jit import bare, borrowed, entry, merged, part
from simcore.strategy.abi import FLAT_MEMORY

WAKE_ON_BOOK, WAKE_ON_TRADE = 1, 2
MEASURED = types.Array(types.int64, 2, "C", readonly=True)
LATENCIES = types.Array(types.int64, 1, "C")


@part
def next_wake_nb(run, stream):
    """Return when the core wakes next by the clock: the timer, a closed bar, a mark or a settlement; NEVER at the end."""
    wake = stream["next_wake_ns"]
    if not events_left_nb(run, stream):
        wake = NEVER
    wake = min(wake, run["next_other_ns"])
    if run["next_bar_ns"] < NEVER:
        wake = min(wake, run["next_bar_ns"] + stream["bar_delay_ns"])
    return wake


@part
def events_left_nb(run, stream):
    """Say whether any symbol has events that we have not seen."""
    for symbol in range(run["n_symbols"]):
        if stream["local_pos"][symbol] < stream["event_end"][symbol]:
            return True
    return False


@part
def play_local_nb(stream, symbol, until_ns, events, lots, books, ladders, latencies):
    """Bring our own book of a symbol up to and including what we had received at `until_ns`."""
    pos, end = stream["local_pos"][symbol], stream["event_end"][symbol]
    if pos < end and events[pos]["ts_local"] <= until_ns:
        pos = play_nb(events, pos, end, NEVER, until_ns, lots, books[symbol], ladders[symbol])
        stream["local_pos"][symbol] = pos
        latencies[symbol] = events[pos - 1]["ts_local"] - events[pos - 1]["ts_exch"]


@part
def find_event_wake_nb(run, stream, bound_ns, events, lots, books, ladders, latencies):
    """Play our books message by message to the first that wakes an event strategy; return its time, or `bound_ns`."""
    while True:
        first, at = bound_ns, -1
        for symbol in range(run["n_symbols"]):
            pos = stream["local_pos"][symbol]
            if pos < stream["event_end"][symbol] and events[pos]["ts_local"] < first:
                first, at = events[pos]["ts_local"], symbol
        if at < 0:
            return bound_ns
        pos, end = stream["local_pos"][at], stream["event_end"][at]
        pos, moved = play_to_change_nb(
            events, pos, end, first, stream["event_wakes"] & WAKE_ON_BOOK, stream["event_wakes"] // WAKE_ON_TRADE, lots, books[at],
            ladders[at],
        )  # fmt: skip
        stream["local_pos"][at] = pos
        latencies[at] = events[pos - 1]["ts_local"] - events[pos - 1]["ts_exch"]
        if moved == 1 and books[at]["ok"] == 1:
            return first


@merged
def play_exchanges_nb(run, stream, venue, until_ns, events, lots, resting, books, ladders, play, arrive):
    """Run the exchange up to and including `until_ns`, stopping at each moment at which requests of ours arrive."""
    taken, played_ns = 0, -1
    while taken < stream["n_requests"] and stream["arrival_ns"][taken] <= until_ns:
        arrival = stream["arrival_ns"][taken]
        for symbol in range(run["n_symbols"]):
            if arrival > played_ns or stream["due_ns"][symbol] <= arrival:
                play(stream, venue, symbol, arrival, events, lots, resting, books, ladders)
        arrive(stream, venue, stream["request"][taken], arrival, lots, resting, books, ladders)
        played_ns = arrival
        taken += 1
    if taken > 0:
        drop_requests_nb(stream, taken)
    for symbol in range(run["n_symbols"]):
        play(stream, venue, symbol, until_ns, events, lots, resting, books, ladders)


@merged
def mark_exchange_nb(run, venue, books, ladders):
    """Judge margin at the mark price where there is a stream of it, else at the mid of the book."""
    for symbol in range(run["n_symbols"]):
        mark_nb(venue, symbol, books[symbol], ladders[symbol])
        mark = venue["mark"][symbol]
        venue["low"][symbol] = mark
        venue["high"][symbol] = mark
        if mark < venue["safe_low"][symbol] or mark > venue["safe_high"][symbol]:
            venue["look"] = 1


@part
def play_bars_nb(run, stream, core, bars, inputs, ts_ns):
    """Deliver the bars that closed a bar delay ago."""
    first = NEVER
    for symbol in range(run["n_symbols"]):
        while run["bar_ns"][symbol] + stream["bar_delay_ns"] <= ts_ns:
            pos = run["bar_pos"][symbol]
            on_bar_nb(core, symbol, bars[pos])
            if run["journal_on"] == 1:
                note_bar_nb(run, inputs, ts_ns, symbol, bars[pos])
            pos += 1
            run["bar_pos"][symbol] = pos
            run["bar_ns"][symbol] = bars[pos]["open_ns"] + run["interval_ns"][symbol] if pos < run["bar_end"][symbol] else NEVER
        first = min(first, run["bar_ns"][symbol])
    run["next_bar_ns"] = first


@part
def look_at_own_nb(stream, symbol, ts_ns, events, lots, books, ladders, latencies):
    """Bring a book of our own up to `ts_ns` and read our view off it."""
    play_local_nb(stream, symbol, ts_ns, events, lots, books, ladders, latencies)
    if books[symbol]["n_events"] > 0:
        write_view_nb(stream, symbol, lots, books[symbol], ladders[symbol])


@merged
def show_books_nb(run, stream, core, ts_ns, inputs, views):
    """Give the core one view of each book that moved since it last looked."""
    for symbol in range(run["n_symbols"]):
        if stream["sighted"][symbol] == 0:
            continue
        stream["sighted"][symbol] = 0
        view = stream["sight"][symbol]
        view["ts_ns"] = ts_ns
        if run["journal_on"] == 1:
            row = stream["n_views"]
            views[row] = view
            stream["n_views"] = row + 1
            note_nb(run, inputs, InputKind.VIEW.value, ts_ns, symbol, stream["views_before"] + row)
        run["events"] += view["n_events"]
        on_view_nb(core, view)


@merged
def deliver_known_nb(run, stream, core, until_ns, inputs, reports, on_report):
    """Hand the core every report that has come back by `until_ns`, each at its own time."""
    taken = 0
    while taken < stream["n_reports"] and stream["known_ns"][taken] <= until_ns:
        core["now_ns"] = max(core["now_ns"], stream["known_ns"][taken])
        if run["journal_on"] == 1:
            reports[run["n_reports"]] = stream["report"][taken]
            note_nb(run, inputs, InputKind.REPORT.value, core["now_ns"], -1, run["reports_before"] + run["n_reports"])
            run["n_reports"] += 1
        on_report(core, stream["report"][taken])
        taken += 1
    if taken > 0:
        drop_reports_nb(stream, taken)


@entry(
    types.int64(
        types.Array(numba.from_dtype(RUN), 1, "C"), types.Array(STREAM_TYPE, 1, "C"), types.Array(VENUE_TYPE, 1, "C"), CORES,
        EVENTS, LOTS, LOTS, RESTING, BOOKS, BOOKS, LADDERS, LATENCIES, MEASURED, MEASURED, tape(BAR), tape(MARK), tape(FUNDING), FILTERS,
        types.Array(numba.from_dtype(INPUT), 1, "C"), types.Array(numba.from_dtype(REPORT), 1, "C"),
        types.Array(numba.from_dtype(VIEW), 1, "C"), FLAT_MEMORY, VENUE_TABLE, BOOK_TABLE, CORE_TABLE, types.int64, types.int64,
    )
)  # fmt: skip
def advance_books_nb(
    runs, streams, venues, cores, events, lots, local_lots, resting, books, local_books, ladders, latencies, entries, responses, bars,
    marks, fundings, filters, inputs, reports, views, memory, exchange, venue_books, functions, until_ns, max_slices,
):  # fmt: skip
    """Play the books up to `until_ns` or for `max_slices` wakes and return a `Stop`; call again to go on.

    With `run["external"]` set it returns WAKE whenever the strategies should speak, and goes on after they have.
    """
    run, stream, venue, core = runs[0], streams[0], venues[0], cores[0]
    events, lots, local_lots, books, local_books = (
        borrowed(events), borrowed(lots), borrowed(local_lots), borrowed(books), borrowed(local_books),
    )  # fmt: skip
    ladders, latencies, entries, responses = borrowed(ladders), borrowed(latencies), borrowed(entries), borrowed(responses)
    resting, ours = borrowed(resting), bare(local_lots)
    bars, marks, fundings, filters = borrowed(bars), borrowed(marks), borrowed(fundings), borrowed(filters)
    inputs, reports, views, memory = borrowed(inputs), borrowed(reports), borrowed(views), borrowed(memory)
    play, arrive = venue_books.play, venue_books.arrive
    settle_funding, check_margin = exchange.settle_funding, exchange.check_margin
    bar_functions, cross_functions, on_report = functions.bar, functions.cross, functions.on_report
    consider, end_trade = functions.consider, functions.end_trade
    work_routes, flatten, quote = functions.work_routes, functions.flatten, functions.quote
    slices = 0
    while True:
        if run["phase"] == PHASE_SLICE:
            if outbox_half_full_nb(core) or (run["journal_on"] == 1 and books_journal_half_full_nb(run, stream, inputs, reports, views)):
                return Stop.EMPTY_OUTBOX.value
            ts_ns = next_wake_nb(run, stream)
            if stream["event_wakes"] > 0 and ts_ns < NEVER and slices < max_slices:
                bound = min(ts_ns, until_ns + 1)
                ts_ns = find_event_wake_nb(run, stream, bound, events, ours, local_books, ladders, latencies)
            if ts_ns > until_ns or ts_ns >= NEVER or slices >= max_slices:
                return Stop.DONE.value
            slices += 1
            if stream["shared"] == 1:
                for symbol in range(run["n_symbols"]):
                    await_sight_nb(stream, symbol, ts_ns, events)
            play_exchanges_nb(run, stream, venue, ts_ns, events, lots, resting, books, ladders, play, arrive)
            venue["now_ns"] = ts_ns
            if run["next_other_ns"] == ts_ns:
                play_others_nb(run, venue, core, marks, fundings, filters, inputs, ts_ns, settle_funding)
            mark_exchange_nb(run, venue, books, ladders)
            if venue["look"] == 1:
                before = venue["liquidated"]
                check_margin(venue, ts_ns)
                if venue["liquidated"] != before:
                    for symbol in range(run["n_symbols"]):
                        list_own_nb(stream, venue, symbol, bare(resting), ladders[symbol])
            answer_nb(stream, venue, latencies, responses)
            for symbol in range(run["n_symbols"]):
                if stream["shared"] == 1:
                    look_nb(stream, symbol, ts_ns, books[symbol], events, ours, local_books[symbol], ladders[symbol], latencies)
                else:
                    look_at_own_nb(stream, symbol, ts_ns, events, ours, local_books, ladders, latencies)
            deliver_known_nb(run, stream, core, ts_ns, inputs, reports, on_report)
            core["now_ns"] = ts_ns
            if run["next_bar_ns"] + stream["bar_delay_ns"] <= ts_ns:
                play_bars_nb(run, stream, core, bars, inputs, ts_ns)
            show_books_nb(run, stream, core, ts_ns, inputs, views)
            if ts_ns >= stream["next_wake_ns"]:
                stream["next_wake_ns"] = (ts_ns // stream["wake_every_ns"] + 1) * stream["wake_every_ns"]
            if run["journal_on"] == 1:
                note_nb(run, inputs, InputKind.DECIDE.value, ts_ns, -1, 0)
            wake_books_nb(core)
            begin_decision_nb(core, work_routes, flatten)
            if run["external"] == 1:
                run["phase"] = PHASE_STRATEGIES
                return Stop.WAKE.value
            call_strategies_nb(core, memory, bar_functions, cross_functions)
            call_event_strategies_nb(core, memory, bar_functions)
        run["phase"] = PHASE_SLICE
        quote(core)
        end_decision_nb(core, consider, end_trade)
        for index in range(core["n_requests"]):
            request = core["request"][index]
            # What a report between two wakes made the core ask for leaves with this wake: the exchange has been played up to it.
            request["ts_ns"] = core["now_ns"]
            send_nb(stream, venue, request, latencies[request["symbol"]], entries)
        core["n_requests"] = 0
        run["slices"] += 1
        if core["broken"] != 0 or venue["broken"] != 0:
            return Stop.BROKEN.value


@part
def books_journal_half_full_nb(run, stream, inputs, reports, views):
    """Say whether the journal's tables are half full and should be emptied."""
    return stream["n_views"] > views.shape[0] // 2 or journal_half_full_nb(run, inputs, reports)


@entry(
    types.void(
        types.Array(numba.from_dtype(RUN), 1, "C"), types.Array(STREAM_TYPE, 1, "C"), CORES,
        types.Array(numba.from_dtype(INPUT), 1, "C"), types.Array(numba.from_dtype(REPORT), 1, "C"), CORE_TABLE,
    )
)  # fmt: skip
def deliver_rest_nb(runs, streams, cores, inputs, reports, functions):
    """Hand the core what is still on its way back when the tape ends: the books are closed on it, nothing is decided any more."""
    deliver_known_nb(runs[0], streams[0], cores[0], NEVER, inputs, reports, functions.on_report)
