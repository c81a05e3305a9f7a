"""The exponential moving-average cross."""

from math import nan

from simcore.indicators import ema_step
from simcore.strategy import LONG, SHORT, strategy


@strategy(
    on="bar",
    params={"fast": 20, "slow": 100},
    memory=("quick", "steady"),
    start={"quick": nan, "steady": nan},
    warmup="slow",
)
def ema_cross(market, position, params, memory, signal):
    """Long while the fast exponential average of closes is above the slow one, short while it is below.

    fast, slow: bars (weight 2 / (n + 1)). Always in the market once warm. Loses when prices go sideways, as every trend
    follower does; turns a little earlier than `sma_cross`, and so turns wrongly a little more often.
    """
    memory["quick"] = ema_step(memory["quick"], market["close"], params["fast"])
    memory["steady"] = ema_step(memory["steady"], market["close"], params["slow"])
    if market["bars"] < params["slow"]:
        return
    if memory["quick"] > memory["steady"]:
        signal["side"] = LONG
    elif memory["quick"] < memory["steady"]:
        signal["side"] = SHORT
