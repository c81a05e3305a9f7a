"""The moving-average cross."""

from simcore.indicators import sma
from simcore.strategy import LONG, SHORT, strategy, window


@strategy(
    on="bar",
    params={"fast": 20, "slow": 100},
    memory=(window("quick", "fast"), window("steady", "slow")),
    warmup="slow",
)
def sma_cross(market, position, params, memory, signal):
    """Long while the mean close of the last `fast` bars is above that of the last `slow` bars, short while it is below.

    fast, slow: bars. Always in the market once warm. Loses when prices go sideways: it buys after each rise and sells after
    each fall, and pays fees both times.
    """
    quick = sma(memory["quick"], market["close"])
    steady = sma(memory["steady"], market["close"])
    if quick > steady:
        signal["side"] = LONG
    elif quick < steady:
        signal["side"] = SHORT
