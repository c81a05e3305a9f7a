"""The cross-sectional momentum."""

from math import nan

from simcore.indicators import rate_of_change
from simcore.strategy import FLAT, LONG, SHORT, strategy, window


@strategy(
    on="cross",
    params={"lookback": 168, "hold": 24, "k": 2},
    memory=("past_return", "bars", window("closes", "lookback")),
    start={"past_return": nan},
    warmup="lookback",
)
def xs_momentum(market, position, params, memory, signal, n):
    """Long the `k` symbols that rose most over `lookback` bars, short the `k` that rose least, chosen anew every `hold` bars.

    lookback, hold: bars; k: symbols a side. Symbols without a bar now or without a full history are left out and flat, and
    nothing is held while fewer than 2k are ranked; equal returns rank by name. Loses when leaders and laggards swap places,
    most of all in a sharp rebound after a fall.
    """
    for i in range(n):
        if market[i]["fresh"] == 1:
            memory[i]["past_return"] = rate_of_change(memory[i]["closes"], market[i]["close"])
        else:
            memory[i]["past_return"] = nan
    memory[0]["bars"] += 1.0
    if memory[0]["bars"] <= params["lookback"] or (memory[0]["bars"] - params["lookback"] - 1.0) % params["hold"] != 0.0:
        return

    for i in range(n):
        mine = memory[i]["past_return"]
        above = 0
        below = 0
        for j in range(n):
            other = memory[j]["past_return"]
            if other > mine or (other == mine and j < i):
                above += 1
            elif other < mine or (other == mine and j > i):
                below += 1
        side = FLAT
        if mine == mine and above + below + 1 >= 2 * params["k"]:
            if above < params["k"]:
                side = LONG
            elif below < params["k"]:
                side = SHORT
        signal[i]["side"] = side
