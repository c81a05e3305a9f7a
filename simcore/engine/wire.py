"""The wire: requests on their way to the exchange and reports on their way back, each with its latency, first in first out."""

from __future__ import annotations

from simcore.domain.enums import RejectCode, ReportKind, RequestKind
from simcore.domain.records import MAX_QUEUE
from simcore.engine.latency import entry_latency_ns_nb, response_latency_ns_nb
from simcore.engine.venue import BROKEN_REPORTS_FULL, blank_report_nb, name_order_nb
from simcore.jit import merged, part

BROKEN_WIRE_FULL = 12


@merged
def send_nb(stream, venue, request, feed_ns, entries):
    """Put a request on the wire; it overtakes none before it. An overloaded exchange refuses it after that long.

    feed_ns: latency of the symbol's newest event. entries: measured rows of `latency.measured_rows`.
    """
    n = stream["n_requests"]
    if n >= MAX_QUEUE:
        venue["broken"] = BROKEN_WIRE_FULL
        return
    factor = stream["feed_entry_factor"]
    delay = entry_latency_ns_nb(stream["latency_model"], stream["entry_ns"], factor, feed_ns, entries, request["ts_ns"])
    if delay < 0:
        refuse_overload_nb(stream, venue, request, request["ts_ns"] - delay)
        return
    arrival = max(stream["last_arrival_ns"], request["ts_ns"] + delay)
    stream["last_arrival_ns"] = arrival
    stream["arrival_ns"][n] = arrival
    stream["request"][n] = request
    stream["n_requests"] = n + 1


@part
def refuse_overload_nb(stream, venue, request, known_ns):
    """Report a request that an overloaded exchange never took; a cancel that was lost leaves its order as it was."""
    if request["kind"] != RequestKind.NEW:
        return
    n = stream["n_reports"]
    if n >= MAX_QUEUE:
        venue["broken"] = BROKEN_REPORTS_FULL
        return
    row = stream["report"][n]
    blank_report_nb(row, ReportKind.REJECTED.value, request["symbol"], request["leg"], known_ns)
    name_order_nb(row, request, request["order_id"])
    row["leaves_lots"] = request["qty_lots"]
    row["code"] = RejectCode.OVERLOAD
    stream["last_known_ns"] = max(stream["last_known_ns"], known_ns)
    stream["known_ns"][n] = stream["last_known_ns"]
    stream["n_reports"] = n + 1


@part
def drop_requests_nb(stream, taken):
    """Drop the first `taken` requests of the wire, which have arrived."""
    n = stream["n_requests"] - taken
    for at in range(n):
        stream["request"][at] = stream["request"][at + taken]
        stream["arrival_ns"][at] = stream["arrival_ns"][at + taken]
    stream["n_requests"] = n


@merged
def answer_nb(stream, venue, latencies, responses):
    """Send the venue's waiting reports on their way back, in the order of their exchange times."""
    first = stream["n_reports"]
    for index in range(venue["n_reports"]):
        if stream["n_reports"] >= MAX_QUEUE:
            venue["broken"] = BROKEN_REPORTS_FULL
            break
        insert_report_nb(stream, first, venue["report"][index])
    venue["n_reports"] = 0
    for index in range(first, stream["n_reports"]):
        report = stream["report"][index]
        delay = response_latency_ns_nb(
            stream["latency_model"], stream["response_ns"], stream["feed_response_factor"], latencies[max(0, report["symbol"])],
            responses, report["ts_ns"],
        )  # fmt: skip
        if report["kind"] == ReportKind.TRANSFER:
            # What is paid in before the start is no news: without it the first wakes would know no balance.
            delay = 0
        stream["last_known_ns"] = max(stream["last_known_ns"], report["ts_ns"] + delay)
        stream["known_ns"][index] = stream["last_known_ns"]


@part
def insert_report_nb(stream, first, report):
    """Put a report behind those from row `first` on that are not later; those of one instant stay in the order they were made."""
    at = stream["n_reports"]
    while at > first and stream["report"][at - 1]["ts_ns"] > report["ts_ns"]:
        stream["report"][at] = stream["report"][at - 1]
        at -= 1
    stream["report"][at] = report
    stream["n_reports"] += 1


@part
def drop_reports_nb(stream, taken):
    """Drop the first `taken` reports of the wire, which were delivered."""
    n = stream["n_reports"] - taken
    for at in range(n):
        stream["report"][at] = stream["report"][at + taken]
        stream["known_ns"][at] = stream["known_ns"][at + taken]
    stream["n_reports"] = n
