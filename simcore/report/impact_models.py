"""Impact models of the literature, to hold the venue's square-root law and a run's execution costs against. None fills an order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AlmgrenCost:
    """Costs in basis points: what stays after the order, what goes with it, and what it pays (half of the first and the second)."""

    permanent_bps: float
    temporary_bps: float
    realised_bps: float


def almgren_cost(
    sigma_day: float,
    participation: float,
    shares_out_over_adv: float,
    days: float,
    gamma: float = 0.314,
    eta: float = 0.142,
    beta: float = 0.6,
    delta: float = 0.25,
) -> AlmgrenCost:
    """Return the cost of `participation` (order over daily volume) traded evenly over `days`: Almgren, Thum, Hauptmann, Li 2005.

    >>> cost = almgren_cost(sigma_day=0.0157, participation=0.1, shares_out_over_adv=263, days=0.1)
    >>> round(cost.permanent_bps), round(cost.temporary_bps), round(cost.realised_bps)
    (20, 22, 32)
    """
    permanent = gamma * sigma_day * participation * shares_out_over_adv**delta * 1e4
    temporary = eta * sigma_day * (participation / days) ** beta * 1e4
    return AlmgrenCost(permanent, temporary, permanent / 2.0 + temporary)


def almgren_chriss(
    qty: float, time: float, steps: int, sigma: float, eta: float, gamma: float, risk_aversion: float
) -> tuple[float, np.ndarray]:
    """Return (kappa, holdings at the steps + 1 times) of the optimal schedule of Almgren and Chriss 2000.

    `sigma` is the price's absolute volatility a unit of time, `eta` and `gamma` temporary and permanent impact. Without risk
    aversion the schedule is a straight line.
    """
    step = time / steps
    kappa_squared = risk_aversion * sigma**2 / (eta - gamma * step / 2.0)
    kappa = math.acosh(kappa_squared * step**2 / 2.0 + 1.0) / step
    left = time - np.arange(steps + 1) * step
    if kappa == 0.0:
        return 0.0, qty * left / time
    return kappa, qty * np.sinh(kappa * left) / math.sinh(kappa * time)


def obizhaeva_wang(qty: float, resilience: float, time: float) -> tuple[float, float]:
    """Return (first block, which is also the last, and the rate between them) of Obizhaeva and Wang 2013, risk neutral.

    >>> block, rate = obizhaeva_wang(100_000.0, 2.231, 1.0)
    >>> round(block), round(rate)
    (23635, 52730)
    """
    block = qty / (resilience * time + 2.0)
    return block, resilience * block


def next_move_up_probability(bid_queue: int, ask_queue: int, points: int = 256) -> float:
    """Return how probable it is that the next price move is up, under balanced flow: Cont and de Larrard 2013.

    Queues are in orders of the mean size; the integral is a Gauss-Legendre sum over `points` nodes, some for each order of a queue.

    >>> round(next_move_up_probability(2, 1), 4)
    0.6977
    """
    nodes, weights = np.polynomial.legendre.leggauss(points)
    t = (nodes + 1.0) * math.pi / 2.0
    calm = 2.0 - np.cos(t)
    decay = (calm - np.sqrt(calm**2 - 1.0)) ** ask_queue
    return float(np.sum(weights * decay * np.sin(bid_queue * t) * np.cos(t / 2.0) / np.sin(t / 2.0)) / 2.0)
