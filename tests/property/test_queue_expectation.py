"""Mean fills of every queue model against true FIFO queues that it cannot see: which are never better, and by how much others may be.

Every lot of a level is as likely to be cancelled as any other. RISK_AVERSE, POWER3 and LOG2 then place at least the true share
of a decrease behind us, and POWER with n = 1 exactly that share: in expectation they never fill more than FIFO. POWER with
n = 3 and LOG move the share towards the larger part of the level and beat FIFO by less than 1 %, if at all. POWER2 with n > 1 assumes that
most cancels come from the front: it beats FIFO wherever they do not, and equals it only where they do.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import njit

from simcore.domain.enums import QueueModel
from simcore.domain.records import ORDER
from simcore.engine.queue import join_queue_nb, on_depth_nb, on_trade_nb, share_behind_nb

# Displayed ahead at the start, order, largest quantity of a step, steps, shares of trades and of arrivals.
MARKETS = [(30, 3, 5, 30, 0.2, 0.4), (30, 3, 5, 30, 0.2, 0.2), (100, 20, 50, 20, 0.3, 0.3), (30, 1000, 5, 40, 0.3, 0.3)]
ANY_LOT, AS_THE_MODEL_SAYS = 0, 1
RUNS = 20_000


@njit
def fills_nb(rng, order, model, n, law, ahead, qty, largest, steps, trades, arrivals):
    """Play one true queue, `front` and `back` around our order; return (lots FIFO fills, lots the model fills)."""
    front, back, leaves, by_model = ahead, 0, qty, 0
    order["leaves_lots"] = qty
    join_queue_nb(order, ahead)
    for _ in range(steps):
        prev, draw = front + back, rng.random()
        if draw < trades:
            left = rng.integers(1, 2 * largest + 1)
            got = on_trade_nb(order, left)
            order["leaves_lots"] -= got
            by_model += got
            gone = min(left, front)
            front -= gone
            ours = min(left - gone, leaves)
            leaves -= ours
            back -= min(left - gone - ours, back)
        elif draw < trades + arrivals:
            back += rng.integers(1, largest + 1)
        elif prev > 0:
            for _cancelled in range(rng.integers(1, min(prev, largest) + 1)):
                behind = back / (front + back)
                if law == AS_THE_MODEL_SAYS and front > 0 and back > 0:
                    behind = share_behind_nb(model, n, 1.0, float(front), float(back))
                if rng.random() < behind:
                    back -= 1
                else:
                    front -= 1
        on_depth_nb(order, prev, front + back, model, n, 1.0)
    return qty - leaves, by_model


@njit
def means_nb(rng, orders, runs, model, n, law, ahead, qty, largest, steps, trades, arrivals):
    """Return (mean fill of FIFO, mean of model less FIFO, standard error of the latter)."""
    fifo, more, squares = 0.0, 0.0, 0.0
    for _ in range(runs):
        true, guessed = fills_nb(rng, orders[0], model, n, law, ahead, qty, largest, steps, trades, arrivals)
        fifo += true / runs
        more += (guessed - true) / runs
        squares += (guessed - true) ** 2 / runs
    return fifo, more, math.sqrt(max(0.0, squares - more * more) / runs)


def means(model, n, law, market):
    return means_nb(np.random.default_rng(20_241_122), np.zeros(1, ORDER), RUNS, model.value, n, law, *market)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize(
    "model, n",
    [(QueueModel.RISK_AVERSE, 1.0), (QueueModel.POWER, 1.0), (QueueModel.POWER3, 3.0), (QueueModel.LOG2, 1.0), (QueueModel.FIFO, 1.0)],
)
def test_fifo_is_never_beaten_in_expectation(model, n, market):
    _fifo, more, error = means(model, n, ANY_LOT, market)
    assert more <= 3.0 * error


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("model, n", [(QueueModel.POWER, 3.0), (QueueModel.LOG, 1.0)])
def test_the_central_models_beat_fifo_by_a_hundredth_at_most(model, n, market):
    fifo, more, error = means(model, n, ANY_LOT, market)
    assert more <= 0.01 * fifo + 3.0 * error


@pytest.mark.parametrize("market", MARKETS)
def test_power2_beats_fifo_where_cancels_fall_on_any_lot_so_it_is_the_optimistic_one(market):
    _fifo, more, error = means(QueueModel.POWER2, 3.0, ANY_LOT, market)
    assert more > 3.0 * error


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("model, n", [(m, 3.0) for m in QueueModel])
def test_no_model_beats_the_queue_it_assumes_by_more_than_rounding(model, n, market):
    fifo, more, error = means(model, n, AS_THE_MODEL_SAYS, market)
    assert more <= 0.004 * fifo + 3.0 * error
