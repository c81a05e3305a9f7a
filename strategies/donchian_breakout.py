"""The Donchian channel breakout."""

from simcore.indicators import atr, highest_before, lowest_before
from simcore.strategy import FLAT, LONG, SHORT, strategy, window


@strategy(
    on="bar",
    params={"entry": 96, "exit": 48, "atr": 24, "stop_atr": 3.0},
    memory=("held", window("top", "entry"), window("bottom", "entry"), window("high_exit", "exit"), window("low_exit", "exit"),
            window("range", "atr")),
    warmup="entry",
)  # fmt: skip
def donchian_breakout(market, position, params, memory, signal):
    """Long when the close rises above the highest high of the `entry` bars before it, short below their lowest low.

    Leaves when the close crosses the opposite extreme of the last `exit` bars, or at a stop `stop_atr` average true ranges
    (over `atr` bars) from the entry; after a stop it waits for a new breakout. entry, exit, atr: bars.
    Loses when breakouts fail, which most do: it lives on few long moves, and dies of fees in a narrow range.
    """
    close = market["close"]
    top = highest_before(memory["top"], market["high"])
    bottom = lowest_before(memory["bottom"], market["low"])
    high_exit = highest_before(memory["high_exit"], market["high"])
    low_exit = lowest_before(memory["low_exit"], market["low"])
    span = atr(memory["range"], market["high"], market["low"], close)

    stopped = memory["held"] == 1.0 and position["side"] == FLAT
    left = (signal["side"] == LONG and close < low_exit) or (signal["side"] == SHORT and close > high_exit)
    if stopped or left:
        signal["side"] = FLAT
    if span > 0.0 and signal["side"] != LONG and close > top:
        signal["side"] = LONG
        signal["stop_distance"] = params["stop_atr"] * span
    elif span > 0.0 and signal["side"] != SHORT and close < bottom:
        signal["side"] = SHORT
        signal["stop_distance"] = params["stop_atr"] * span
    memory["held"] = 1.0 if position["side"] != FLAT and position["side"] == signal["side"] else 0.0
