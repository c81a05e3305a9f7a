"""A strategy of your own. Change the rule, then: simcore replay --config config --strategy my_strategy

It runs compiled. For breakpoints and prints, add --interpreted: the same file as plain Python, with the same result.
`simcore strategy check my_strategy --config config` proves that it repeats itself and sees no future.
"""

from simcore.indicators import sma
from simcore.strategy import FLAT, LONG, SHORT, strategy, window

# params: numbers you can change without touching this file (config/strategy_config.json, or --set my_strategy.fast=30).
# memory: what the strategy remembers from bar to bar, for each symbol by itself; a window is a ring of the last n values.
# warmup: bars to see before the first order.


@strategy(
    on="bar",
    params={"fast": 24, "slow": 96, "band_bps": 10.0},
    memory=(window("quick", "fast"), window("steady", "slow")),
    warmup="slow",
)
def my_strategy(market, position, params, memory, signal):
    """Long while the fast average is clearly above the slow one, short while clearly below, flat in between."""
    close = market["close"]  # the bar that just closed; also open, high, low, volume, mark, funding_rate, hour
    fast = sma(memory["quick"], close)
    slow = sma(memory["steady"], close)  # not a number until it has seen enough bars; comparisons are then false
    band = slow * params["band_bps"] / 10_000.0
    if fast > slow + band:
        signal["side"] = LONG
    elif fast < slow - band:
        signal["side"] = SHORT
    else:
        signal["side"] = FLAT
    # Also yours to set: signal["strength"] 0..1, signal["stop_distance"] and signal["target_distance"] in price units,
    # signal["horizon_s"], signal["urgency"] 0..1 (0 waits as a maker, 1 takes at once).
