"""The inventory-skewed market maker."""

from math import log, nan

from simcore.strategy import strategy


@strategy(
    on="timer",
    every="100ms",
    params={"gamma": 0.1, "kappa": 1.0, "horizon_s": 10.0, "span": 600, "min_half_bps": 0.5, "max_usd": 10_000.0},
    memory=("mid", "variance"),
    start={"mid": nan},
    warmup="span",
)
def market_maker(market, position, params, memory, signal):
    """Quote both sides around a price that leans against the inventory, as wide as the market moves (Avellaneda and Stoikov 2008).

    With q the inventory as a share of `max_usd` and s the volatility over `horizon_s`, in basis points: the centre lies
    gamma * q * s^2 from the mid, the quotes 0.5 * gamma * s^2 + log(1 + gamma / kappa) / gamma around it, at least
    `min_half_bps`. s is an exponential average over `span` calls. A side that would take q beyond 1 is not quoted.
    Loses when prices run: the side that fills is the wrong one (see the markouts in the report).
    """
    mid = market["close"]
    move_bps = (mid / memory["mid"] - 1.0) * 1e4 if memory["mid"] > 0.0 else 0.0
    memory["mid"] = mid
    memory["variance"] += (move_bps * move_bps - memory["variance"]) * 2.0 / (params["span"] + 1.0)
    risk_bps2 = memory["variance"] * params["horizon_s"] * 10.0
    inventory = position["side"] * position["qty"] * mid / params["max_usd"]

    centre = mid * (1.0 - params["gamma"] * inventory * risk_bps2 * 1e-4)
    half_bps = 0.5 * params["gamma"] * risk_bps2 + log(1.0 + params["gamma"] / params["kappa"]) / params["gamma"]
    half = mid * max(half_bps, params["min_half_bps"]) * 1e-4
    signal["quote_levels"] = 1
    signal["bid"] = centre - half if inventory < 1.0 else nan
    signal["ask"] = centre + half if inventory > -1.0 else nan
