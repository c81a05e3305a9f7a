"""Candidates: every position that a strategy wishes at the moment a session stands at, and what the pipeline would say to it.

The pipeline's own functions answer, on a copy of the core: `size_entry_nb` sizes and asks the gate, the screener's mask names
every condition. No cap is written down here, so none can differ from the gate's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from replay_data.interval import iso
from simcore.decision.market import steps_seen_nb
from simcore.decision.pipeline import size_entry_nb
from simcore.decision.risk_gate import check_order
from simcore.decision.screener import would_emit
from simcore.domain.enums import Screen
from simcore.domain.records import MAX_SYMBOLS
from simcore.jit import kernel
from simcore.replay.session import Session

OF_THE_GATE = (Screen.GATE.name.lower(), Screen.SIZE_ZERO.name.lower())


@kernel
def judge_entry_nb(core: Any, strategy: int, symbol: int, side: int) -> tuple[int, int]:
    """Return (the strategy's own bars seen, 1 when the sized entry passes the gate); the order it judged is in `core["intent"]`."""
    passed = 1 if size_entry_nb(core, strategy, symbol, side) else 0
    return steps_seen_nb(core, strategy, symbol), passed


def candidates(session: Session, nav: float | None = None) -> Iterator[dict[str, Any]]:
    """Yield one object a wished position, strategies in registry order and symbols by name; the session is left as it was.

    nav: judge as if the account were worth this much (quote units), with what it holds unchanged. A position that is held or being
    entered already is judged as if it were to be entered once more. Quotes are not asked about: they have no single order.
    """
    core = session.core
    for strategy, use in enumerate(session.plan.uses):
        for symbol, name in enumerate(session.feed.symbols):
            index = strategy * MAX_SYMBOLS + symbol
            signal = core["signal"][index]
            if signal["side"] != 0 and signal["quote_levels"] == 0 and core["sleeve"][index]["barred"] == 0:
                yield {"strategy": use.name, "symbol": name, **judged(session, strategy, symbol, nav)}


def judged(session: Session, strategy: int, symbol: int, nav: float | None) -> dict[str, Any]:
    """Return the verdict on one wish, with every reason against it and the caps it was held against."""
    core = session.cores.copy()[0]
    index = strategy * MAX_SYMBOLS + symbol
    if nav is not None:
        revalue(core["account"], nav)
    signal, sleeve, instrument = core["signal"][index], core["sleeve"][index], core["instrument"][symbol]
    now, limits = int(core["now_ns"]), core["limits"][index]
    bars, passed = judge_entry_nb(core, strategy, symbol, int(signal["side"]))
    market, order = core["market"][symbol].copy(), core["intent"]
    market["bars"] = bars
    _, screened = would_emit(
        signal, market, core["policy"][symbol], limits, screen=core["screen"][index], instrument=instrument, sleeve=sleeve,
        order=order, account=core["account"], now=now,
    )  # fmt: skip
    veto, gate = check_order(order, core["account"], limits, now)
    reasons = [reason_of(each, each["bound"]) for each in screened["failing"] if each["reason"] not in OF_THE_GATE]
    reasons += [{**reason_of(each, each["cap"]), "reason": f"gate.{each['reason']}"} for each in gate["failing"]]
    if not passed and not veto:
        reasons.append({"reason": "size_zero", "value": 0.0, "bound": None, "source": "strategy_config.json: sizing"})
    lots = int(order["qty_lots"])
    return {
        "time": iso(now),
        "side": "long" if signal["side"] > 0 else "short",
        "verdict": not reasons,
        "reasons": reasons,
        "neutral": screened["neutral"],
        "held": float(sleeve["side"] * sleeve["qty_lots"] * instrument["step_size"]),
        "qty": round(lots * float(instrument["step_size"]), 12),
        "price": round(float(order["price"]), 12),
        "notional": float(order["notional"]),
        "headroom": finite(gate["headroom"]),
        "headroom_clamp": gate["headroom_clamp"],
        "tradable_nav": gate["tradable_nav"],
        "caps": {key: finite(limits[key]) for key in limits.dtype.names if key.startswith(("max_", "min_"))},
    }


def revalue(account: Any, nav: float) -> None:
    """Say that the account is worth `nav`, its losses of the day and from the peak staying the shares they were."""
    before = float(account["nav"])
    for name in ("day_start_nav", "peak_nav"):
        account[name] *= nav / before if before > 0.0 else 1.0
    account["nav"] = nav


def reason_of(failed: dict[str, Any], bound: float) -> dict[str, Any]:
    """Return a condition that failed as plain values."""
    return {"reason": failed["reason"], "value": finite(failed["value"]), "bound": finite(bound), "source": failed["source"]}


def finite(value: Any) -> float | None:
    """Return a number that JSON can hold; None for an open bound or an unknown value."""
    return float(value) if math.isfinite(value) else None
