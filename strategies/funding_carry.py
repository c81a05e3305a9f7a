"""The funding carry."""

from simcore.strategy import FLAT, LONG, SHORT, strategy


@strategy(
    on="bar",
    params={"enter_bps": 3.0, "leave_bps": 0.5, "stop_pct": 0.05},
    memory=("held", "settled_s"),
    warmup=1,
)
def funding_carry(market, position, params, memory, signal):
    """Receive funding: short after a settlement above `enter_bps`, long after one below minus `enter_bps`.

    Keeps the side while settlements stay beyond `leave_bps` on it and leaves otherwise, when funding is overdue by a whole
    interval, or at a stop `stop_pct` of the price away (a fraction: 0.05 is 5 %). Basis points a settlement.
    Loses when the crowd that pays is right: high funding comes in strong trends, and one move costs many settlements.
    """
    rate_bps = market["funding_rate"] * 10_000.0
    settled_s = market["funding_ts_ns"] // 1_000_000_000 * 1.0
    overdue = market["ts_ns"] - market["funding_ts_ns"] > 2 * market["funding_interval_ns"]
    if (memory["held"] == 1.0 and position["side"] == FLAT) or overdue:
        signal["side"] = FLAT
    elif settled_s != memory["settled_s"]:
        toward = SHORT if rate_bps > 0.0 else LONG
        if abs(rate_bps) > params["enter_bps"]:
            signal["side"] = toward
            signal["stop_distance"] = params["stop_pct"] * market["close"]
        elif not abs(rate_bps) > params["leave_bps"] or toward != signal["side"]:
            signal["side"] = FLAT
    memory["settled_s"] = settled_s
    memory["held"] = 1.0 if position["side"] != FLAT and position["side"] == signal["side"] else 0.0
