"""The grid."""

from math import floor, nan

from simcore.strategy import strategy


@strategy(
    on="timer",
    every="1s",
    params={"spacing_bps": 10.0, "levels": 3, "max_usd": 15_000.0},
    memory=("line", "held"),
    start={"line": nan},
)
def grid(market, position, params, memory, signal):
    """Rest buys below and sells above the line of the last fill, `levels` a side and `spacing_bps` apart.

    A buy moves the line down to where it filled, so that the next sell stands a spacing above it, and the other way round. Flat
    and further than all levels from its line, the grid is laid anew around the mid. Inventory beyond `max_usd` is not added to.
    Loses when prices leave for good: it has bought all the way down, or sold all the way up.
    """
    mid, line = market["close"], memory["line"]
    held = position["side"] * position["qty"]
    gap = line * params["spacing_bps"] * 1e-4
    if not line > 0.0 or (held == 0.0 and abs(mid - line) > params["levels"] * gap):
        line = mid
        gap = line * params["spacing_bps"] * 1e-4
    elif held > memory["held"]:
        line -= gap * max(1.0, floor((line - mid) / gap))
    elif held < memory["held"]:
        line += gap * max(1.0, floor((mid - line) / gap))
    memory["line"] = line
    memory["held"] = held
    signal["quote_levels"] = int(params["levels"])
    signal["quote_step"] = gap
    signal["bid"] = line - gap if held * mid < params["max_usd"] else nan
    signal["ask"] = line + gap if -held * mid < params["max_usd"] else nan
