"""The z-score mean reversion."""

from simcore.indicators import rolling_std, zscore
from simcore.strategy import FLAT, LONG, SHORT, strategy, window


@strategy(
    on="bar",
    params={"length": 96, "enter": 2.5, "leave": 0.5, "stop": 3.0},
    memory=("held", "side_tried", window("closes", "length"), window("spread", "length")),
    warmup="length",
)
def zscore_reversion(market, position, params, memory, signal):
    """Long when the close lies more than `enter` standard deviations below its mean of `length` bars, short when above.

    Leaves once it is back within `leave` deviations, or at a stop `stop` deviations (of the entry bar) away; after a stop it
    stays out on that side until the price was back at its mean. length: bars; the others in standard deviations.
    Loses when a move is a trend: it stands against every breakout, wins little and often, and loses much at once.
    """
    z = zscore(memory["closes"], market["close"])
    deviation = rolling_std(memory["spread"], market["close"])
    if memory["held"] == 1.0 and position["side"] == FLAT:
        memory["side_tried"] = signal["side"]
        signal["side"] = FLAT
    if abs(z) < params["leave"]:
        memory["side_tried"] = FLAT
        signal["side"] = FLAT
    elif abs(z) > params["enter"] and deviation > 0.0:
        wanted = SHORT if z > 0.0 else LONG
        if signal["side"] != wanted and memory["side_tried"] != wanted:
            signal["side"] = wanted
            signal["stop_distance"] = params["stop"] * deviation
    memory["held"] = 1.0 if position["side"] != FLAT and position["side"] == signal["side"] else 0.0
