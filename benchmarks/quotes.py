"""The market maker of the book benchmarks, in numbers: every job plays this rule on the same events.

Wakes are at `first ts_exch + k * WAKE_NS`, k = 1, 2, ..., as long as an event or an order's report is still to come. At a
wake the maker has seen every feed event with `ts_local <= wake` and every report that has arrived by then. Then, a side:

1. The wanted price is the local book's best price of that side. A side with an empty book wants nothing.
2. No bid is wanted when the position it knows (all reported fills) is at or above +MAX_POSITION, no ask at or below
   -MAX_POSITION.
3. A resting quote at the wanted price stays, and keeps its place in the queue. One at another price, or no longer wanted,
   is cancelled.
4. Where a price is wanted and no quote stays, one limit order of ORDER_QTY is sent: post-only (GTX), good till cancelled.

Requests reach the exchange LATENCY_NS after the wake, cancels before new orders, and after the market events of the same
nanosecond; reports come back LATENCY_NS later. The maker believes in a quote until a report says otherwise, so a fill in
the last 5 ms before a wake is not known to it: it may cancel what is gone already (rejected), and send the next one.
A refused post-only order is tried again at the next wake, at the price wanted then.
Fees are MAKER_FEE of the notional. Final equity: cash - fees + position at the last local mid.
"""

from __future__ import annotations

WAKE_NS = 100_000_000
LATENCY_NS = 5_000_000
ORDER_QTY = 0.01
MAX_POSITION = 0.5
MAKER_FEE = 0.0002
TAKER_FEE = 0.0005
