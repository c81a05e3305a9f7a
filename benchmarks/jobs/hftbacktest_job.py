"""The peer hftbacktest on a stream: `python hftbacktest_job.py STREAM full|partial REPEATS [FILLS.npy]`.

ROIVectorMarketDepth, LogProbQueueModel, constant latency; the maker is `benchmarks.quotes`, compiled with numba. Timed is
the run over the events alone: the peer's event array (64 bytes a row) is made before, its simulator anew for each run.

Three of the peer's ways are stepped around, so that both exchanges can be compared at all:

- The position a strategy reads leaves partial fills out until the last one, so the maker counts its own, from the orders.
- An order whose open quantity is met exactly by a partial fill stays in the exchange as a filled one, and the next print
  at its price stops the run (InvalidOrderStatus). In `partial` a quote is therefore 1e-9 short of whole lots.
- Partial fills of one order between two wakes are seen as their sum: in `partial` a row of the fills is an order and all it
  executed, and its `ts` is the order's number, from 0 (a cancelled order's last execution has no time to be read).
"""

from __future__ import annotations

import sys
import time

STARTED = time.perf_counter()

import hftbacktest as hft  # noqa: E402 - the stopwatch starts before the imports
import numpy as np  # noqa: E402
from clock import measure  # noqa: E402
from hftbacktest.order import BUY, CANCELED, EXPIRED, FILLED, GTX, LIMIT  # noqa: E402
from hftbacktest.types import BUY_EVENT, DEPTH_EVENT, EXCH_EVENT, LOCAL_EVENT, SELL_EVENT, TRADE_EVENT, event_dtype  # noqa: E402
from numba import njit  # noqa: E402

from benchmarks.quotes import LATENCY_NS, MAKER_FEE, MAX_POSITION, ORDER_QTY, TAKER_FEE, WAKE_NS  # noqa: E402
from benchmarks.streams import FILL, Stream, digest, load  # noqa: E402

GONE = -(1 << 62)  # no tick


def event_array(stream: Stream) -> np.ndarray:
    """Return the peer's events."""
    events = np.zeros(len(stream), event_dtype)
    events["ev"] = np.where(stream.kind == 1, DEPTH_EVENT, TRADE_EVENT)
    events["ev"] |= np.where(stream.side > 0, BUY_EVENT, SELL_EVENT).astype(np.uint64)
    events["ev"] |= np.uint64(EXCH_EVENT | LOCAL_EVENT)
    events["exch_ts"], events["local_ts"] = stream.ts_exch, stream.ts_local
    events["px"], events["qty"] = stream.price, stream.qty
    return events


def simulator(stream: Stream, events: np.ndarray, partial: bool):  # type: ignore[no-untyped-def]
    """Return a fresh simulator."""
    asset = (
        hft.BacktestAsset()
        .add_data(events)
        .linear_asset(1.0)
        .constant_order_latency(LATENCY_NS, LATENCY_NS)
        .log_prob_queue_model()
        .trading_value_fee_model(MAKER_FEE, TAKER_FEE)
        .tick_size(stream.tick_size)
        .lot_size(stream.step_size)
        .roi_lb(stream.low_tick * stream.tick_size)
        .roi_ub(stream.high_tick * stream.tick_size)
        .last_trades_capacity(0)
    )
    asset = asset.partial_fill_exchange() if partial else asset.no_partial_fill_exchange()
    return hft.ROIVectorMarketDepthBacktest([asset])


@njit
def maker(hbt, wake_ns, order_qty, max_position, step_size, by_order, fills):  # type: ignore[no-untyped-def]
    """Play `benchmarks.quotes`; return the elapse's last answer, orders, fills, refused, wakes, own position."""
    orders = done = refused = wakes = 0
    position = 0.0
    # What was counted of the one or two orders a side that may still report.
    serials, counted = np.full(8, -1, np.int64), np.zeros(8)
    working, ids, wanted = np.empty(2, np.int64), np.zeros(2, np.int64), np.empty(2, np.int64)
    while True:
        answer = hbt.elapse(wake_ns)
        working[:] = GONE
        open_orders = hbt.orders(0).values()
        while open_orders.has_next():
            order = open_orders.get()
            side = 0 if order.side == BUY else 1
            executed = order.qty - order.leaves_qty
            slot = order.order_id & 7
            if serials[slot] != order.order_id:
                serials[slot], counted[slot] = order.order_id, 0.0
            if executed > counted[slot]:
                position += (executed - counted[slot]) * order.side
                counted[slot] = executed
            over = order.status == FILLED or order.status == CANCELED or order.status == EXPIRED
            if over and executed > 0.0:
                fills[done]["ts"] = order.order_id - 1 if by_order else order.exch_timestamp
                fills[done]["side"] = order.side
                fills[done]["tick"], fills[done]["lots"] = order.price_tick, round(executed / step_size)
                done += 1
            if order.status == EXPIRED:
                refused += 1
            if order.cancellable:
                working[side], ids[side] = order.price_tick, order.order_id
        hbt.clear_inactive_orders(0)
        if answer != 0:
            break
        wakes += 1
        depth = hbt.depth(0)
        limit = max_position - 0.5 * step_size
        has_bid = depth.best_bid == depth.best_bid  # an empty side's price is not a number
        has_ask = depth.best_ask == depth.best_ask
        wanted[0] = depth.best_bid_tick if has_bid and position < limit else GONE
        wanted[1] = depth.best_ask_tick if has_ask and -position < limit else GONE
        for side in range(2):
            if working[side] != GONE and working[side] != wanted[side]:
                hbt.cancel(0, ids[side], False)
        for side in range(2):
            if wanted[side] != GONE and working[side] != wanted[side]:
                price = wanted[side] * depth.tick_size
                orders += 1
                if side == 0:
                    hbt.submit_buy_order(0, orders, price, order_qty, GTX, LIMIT, False)
                else:
                    hbt.submit_sell_order(0, orders, price, order_qty, GTX, LIMIT, False)
    return answer, orders, done, refused, wakes, position


def main(path: str, exchange: str, repeats: int, out: str) -> None:
    stream = load(path)
    events = event_array(stream)
    partial = exchange == "partial"
    order_qty = ORDER_QTY - 1e-9 if partial else ORDER_QTY
    span = int(stream.ts_exch[-1] - stream.ts_exch[0])
    fills = np.zeros(2 * (span // WAKE_NS + 10), FILL)

    def job(hbt):  # type: ignore[no-untyped-def]
        return hbt, maker(hbt, WAKE_NS, order_qty, MAX_POSITION, stream.step_size, partial, fills)

    def figures(result):  # type: ignore[no-untyped-def]
        hbt, (answer, orders, done, refused, wakes, position) = result
        state = hbt.state_values(0)
        depth = hbt.depth(0)
        mid = (depth.best_bid + depth.best_ask) / 2.0
        return {
            "ended": "end of data" if answer == 1 else f"stopped with code {answer} at {hbt.current_timestamp}",
            "orders": orders,
            "fills": done,
            "refused": refused,
            "wakes": wakes,
            "volume": float(fills["lots"][:done].sum() * stream.step_size),
            "volume_of_peer": state.trading_volume,
            "fees": state.fee,
            "position": position,
            "position_of_peer": state.position,
            "equity": state.balance + state.position * mid - state.fee,
            "digest": digest(fills[:done]),
        }

    result = measure(
        job,
        repeats,
        STARTED,
        fresh=lambda: simulator(stream, events, partial),
        figures=figures,
        version=f"hftbacktest {hft.__version__}",
        events=len(stream),
        data_mb=events.nbytes / 2**20,
    )
    if out:
        np.save(out, fills[: result["fills"]])


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "")
