"""The schedule: what happens next on a tape of bars, marks, funding and filter changes.

Time moves in slices: all events of one instant. Ties within a slice follow one rule, (class, symbol, sequence):

1. bars that close now are matched by the venue (their fills lie before this instant),
2. mark prices that became known now,
3. funding that settles now, on the positions held now and at the mark of now,
4. exchange filters that come into force now,
5. margin is checked, then reports reach the core, and the core decides.

Symbols go by name, rows by their place on the tape, so the order in which files were read never matters.
"""

from __future__ import annotations

from simcore.jit import kernel, part

NEVER = 2**62


@kernel
def open_schedule_nb(run, bars, marks, fundings, filters):
    """Find the first event of every stream; cursors and ends must be set."""
    for symbol in range(run["n_symbols"]):
        pos = run["bar_pos"][symbol]
        run["bar_ns"][symbol] = bars[pos]["open_ns"] + run["interval_ns"][symbol] if pos < run["bar_end"][symbol] else NEVER
    find_next_bar_nb(run)
    find_next_other_nb(run, marks, fundings, filters)


@part
def find_next_bar_nb(run):
    """Find the earliest bar close over all symbols."""
    first = NEVER
    for symbol in range(run["n_symbols"]):
        if run["bar_ns"][symbol] < first:
            first = run["bar_ns"][symbol]
    run["next_bar_ns"] = first


@part
def find_next_other_nb(run, marks, fundings, filters):
    """Find the earliest mark, funding or filter row over all symbols."""
    first = NEVER
    for symbol in range(run["n_symbols"]):
        if run["mark_pos"][symbol] < run["mark_end"][symbol]:
            first = min(first, marks[run["mark_pos"][symbol]]["ts_ns"])
        if run["funding_pos"][symbol] < run["funding_end"][symbol]:
            first = min(first, fundings[run["funding_pos"][symbol]]["ts_ns"])
        if run["filter_pos"][symbol] < run["filter_end"][symbol]:
            first = min(first, filters[run["filter_pos"][symbol]]["ts_ns"])
    run["next_other_ns"] = first


@kernel
def next_slice_nb(run):
    """Return the time of the next slice, NEVER at the end of the tape."""
    return min(run["next_bar_ns"], run["next_other_ns"])
