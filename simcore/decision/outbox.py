"""The core's two outputs: rows of the decision ledger, and requests to the world."""

from __future__ import annotations

from simcore.domain.enums import LedgerKind, Leg, OrderType, Purpose, RequestKind, TimeInForce
from simcore.domain.records import LEDGER_ROOM, MAX_QUEUE, N_VETOES
from simcore.jit import part

BROKEN_LEDGER_FULL = 1
BROKEN_REQUESTS_FULL = 2
NANOS_PER_MINUTE = 60_000_000_000


@part
def log_nb(core, kind, code, symbol, strategy, order_id, side, qty_lots, price_ticks, value, cap, x0, x1, x2, x3):
    """Append one ledger row, stamped with the core's own time."""
    n = core["n_ledger"]
    if n >= LEDGER_ROOM:
        core["broken"] = BROKEN_LEDGER_FULL
        return
    row = core["ledger"][n]
    row["seq"] = core["seq"]
    row["ts_ns"] = core["now_ns"]
    row["exch_ns"] = core["now_ns"]
    row["kind"] = kind
    row["code"] = code
    row["symbol"] = symbol
    row["strategy"] = strategy
    row["order_id"] = order_id
    row["side"] = side
    row["qty_lots"] = qty_lots
    row["price_ticks"] = price_ticks
    row["value"] = value
    row["cap"] = cap
    row["x0"] = x0
    row["x1"] = x1
    row["x2"] = x2
    row["x3"] = x3
    core["n_ledger"] = n + 1
    core["seq"] += 1


@part
def happened_nb(core, exch_ns):
    """Say of the ledger's last row when it happened at the exchange."""
    if core["n_ledger"] > 0:
        core["ledger"][core["n_ledger"] - 1]["exch_ns"] = exch_ns


@part
def log_short_nb(core, kind, code, symbol, strategy, order_id, value, cap):
    """Append one ledger row that carries only a code and two numbers."""
    log_nb(core, kind, code, symbol, strategy, order_id, 0, 0, 0, value, cap, 0.0, 0.0, 0.0, 0.0)


@part
def log_gate_vetoes_nb(core, mask):
    """Write one ledger row for each failing limit, the first one marked."""
    intent = core["intent"]
    core["totals"]["gate_vetoes"] += 1
    first = 1.0
    for code in range(1, N_VETOES):
        if mask >> code & 1:
            log_nb(
                core, LedgerKind.GATE_VETO.value, code, intent["symbol"], intent["strategy"], 0, intent["side"], intent["qty_lots"],
                intent["price_ticks"], core["checks"][code, 0], core["checks"][code, 1], first, 0.0, 0.0, 0.0,
            )
            first = 0.0


@part
def count_order_nb(core):
    """Count one order in its minute; a decision in a later minute begins the count anew."""
    account = core["account"]
    if account["orders_in_minute"] == 0:
        account["minute"] = core["now_ns"] // NANOS_PER_MINUTE
    account["orders_in_minute"] += 1


@part
def next_request_nb(core, kind, order_id, owner, leg, purpose):
    """Queue one request for the route or quote `owner`, with nothing asked for yet; return its row, -1 when the queue is full."""
    n = core["n_requests"]
    if n >= MAX_QUEUE:
        core["broken"] = BROKEN_REQUESTS_FULL
        return -1
    request = core["request"][n]
    request["kind"] = kind
    request["ts_ns"] = core["now_ns"]
    request["order_id"] = order_id
    request["route"] = -1
    request["strategy"] = owner["strategy"]
    request["symbol"] = owner["symbol"]
    request["side"] = owner["side"]
    request["leg"] = leg
    request["type"] = 0
    request["tif"] = 0
    request["purpose"] = purpose
    request["reduce_only"] = 0
    request["qty_lots"] = 0
    request["price_ticks"] = 0
    request["stop_ticks"] = 0
    request["target_ticks"] = 0
    request["quote"] = -1
    request["expire_ns"] = 0
    core["n_requests"] = n + 1
    return n


@part
def next_order_id_nb(core):
    """Return a new order's id, counted. Ids step by four: id + 1 is its stop, id + 2 its target."""
    order_id = core["next_order_id"]
    core["next_order_id"] = order_id + 4
    count_order_nb(core)
    core["totals"]["orders"] += 1
    return order_id


@part
def request_order_nb(core, route_id, order_type, tif, qty_lots, price_ticks, reduce_only):
    """Queue one new order for the route and return its id, 0 when the queue is full."""
    route = core["route"][route_id]
    n = next_request_nb(core, RequestKind.NEW.value, 0, route, route["leg"], route["purpose"])
    if n < 0:
        return 0
    order_id = next_order_id_nb(core)
    request = core["request"][n]
    request["order_id"] = order_id
    request["route"] = route_id
    request["type"] = order_type
    request["tif"] = tif
    request["reduce_only"] = reduce_only
    request["qty_lots"] = qty_lots
    request["price_ticks"] = price_ticks
    request["stop_ticks"] = route["stop_ticks"]
    request["target_ticks"] = route["target_ticks"]
    log_nb(
        core, LedgerKind.REQUEST.value, order_type, route["symbol"], route["strategy"], order_id, route["side"], qty_lots, price_ticks,
        0.0, 0.0, tif * 1.0, route["purpose"] * 1.0, 0.0, 0.0,
    )
    return order_id


@part
def request_cancel_nb(core, route_id):
    """Queue the cancel of the route's working order."""
    route = core["route"][route_id]
    n = next_request_nb(core, RequestKind.CANCEL.value, route["order_id"], route, route["leg"], route["purpose"])
    if n >= 0:
        core["request"][n]["route"] = route_id
        log_short_nb(core, LedgerKind.CANCEL.value, 0, route["symbol"], route["strategy"], route["order_id"], 0.0, 0.0)


@part
def request_quote_nb(core, index):
    """Queue the order of one QUOTE row, post-only, and write its id into the row."""
    quote = core["quote"][index]
    n = next_request_nb(core, RequestKind.NEW.value, 0, quote, Leg.BOTH.value, Purpose.QUOTE.value)
    if n < 0:
        return
    order_id = next_order_id_nb(core)
    quote["order_id"] = order_id
    request = core["request"][n]
    request["order_id"] = order_id
    request["quote"] = index
    request["type"] = OrderType.LIMIT
    request["tif"] = TimeInForce.GTX
    request["reduce_only"] = quote["reduce_only"]
    request["qty_lots"] = quote["qty_lots"]
    request["price_ticks"] = quote["price_ticks"]
    core["totals"]["quotes"] += 1
    log_nb(
        core, LedgerKind.REQUEST.value, OrderType.LIMIT.value, quote["symbol"], quote["strategy"], order_id, quote["side"],
        quote["qty_lots"], quote["price_ticks"], 0.0, 0.0, TimeInForce.GTX.value * 1.0, Purpose.QUOTE.value * 1.0, quote["level"] * 1.0,
        quote["arrival"],
    )


@part
def request_quote_cancel_nb(core, index):
    """Queue the cancel of one QUOTE row's order."""
    quote = core["quote"][index]
    n = next_request_nb(core, RequestKind.CANCEL.value, quote["order_id"], quote, Leg.BOTH.value, Purpose.QUOTE.value)
    if n >= 0:
        core["request"][n]["quote"] = index
        log_short_nb(core, LedgerKind.CANCEL.value, 0, quote["symbol"], quote["strategy"], quote["order_id"], 0.0, 0.0)
