"""The book imbalance."""

from simcore.strategy import FLAT, LONG, SHORT, strategy


@strategy(
    on="book",
    params={"enter": 0.6, "leave": 0.1, "span": 10, "horizon_s": 5.0},
    memory=("lean",),
    warmup="span",
)
def book_imbalance(market, position, params, memory, signal):
    """Take the side on which more is waiting: long when the bids of the top levels outweigh the asks, short when asks do.

    The imbalance, (bids - asks) / (bids + asks) between -1 and 1, is averaged over `span` changes of the touch; beyond `enter` it
    takes at once, within `leave` it goes flat, and after `horizon_s` it leaves in any case.
    Loses the spread and two taker fees on every trade: what the book foretells is rarely worth that much.
    """
    waiting = market["bid_depth"] + market["ask_depth"]
    if waiting > 0.0:
        now = (market["bid_depth"] - market["ask_depth"]) / waiting
        memory["lean"] += (now - memory["lean"]) * 2.0 / (params["span"] + 1.0)
    signal["urgency"] = 1.0
    signal["horizon_s"] = params["horizon_s"]
    if memory["lean"] > params["enter"]:
        signal["side"] = LONG
    elif memory["lean"] < -params["enter"]:
        signal["side"] = SHORT
    elif abs(memory["lean"]) < params["leave"]:
        signal["side"] = FLAT
