"""The evidence: what a policy's out-of-sample returns say against its baseline, with every trial counted.

Returns are per period and net of all costs; policy and baseline ran under common random numbers on the same periods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simcore.domain.errors import DataError
from simcore.validation.overfitting import Overfitting, overfitting
from simcore.validation.resampling import PairedDifference, paired_difference
from simcore.validation.sharpe import (
    Deflated,
    Moments,
    deflated_sharpe,
    effective_trials,
    moments,
    probabilistic_sharpe,
    probabilistic_sharpe_correlated,
    trial_clusters,
)
from simcore.validation.trials import Trials

if TYPE_CHECKING:
    from simcore.config.validation import Statistics


@dataclass(frozen=True)
class Evidence:
    """What the statistics say of one policy. psr and dsr are the more doubtful of independent and autocorrelated returns.

    n_counted: distinct trials in the ledger. n_trials: the number the deflation used. overfitting: None without a table of
    the trials' returns.
    """

    gain: PairedDifference
    moments: Moments
    psr: float
    dsr: Deflated
    overfitting: Overfitting | None
    n_counted: int
    n_trials: float

    @property
    def pbo(self) -> float:
        """The probability of backtest overfitting; NaN where it could not be measured."""
        return self.overfitting.pbo if self.overfitting else math.nan


def weigh(
    policy: np.ndarray,
    baseline: np.ndarray,
    trials: Trials,
    statistics: Statistics,
    trial_returns: np.ndarray | None = None,
) -> Evidence:
    """Return the evidence for a policy [n] against its baseline [n].

    trials: of the ledger, those that competed for this choice, scored on the same period length; the judged run is among them.
    trial_returns: [T, N], one column a competing trial. Only if it holds them all does their likeness reduce their number.
    Raises DataError when the ledger holds no trial: a result whose trials were not counted cannot be judged.
    """
    counted = trials.count()
    if not counted:
        raise DataError(f"{trials.path}: holds no trial of this study. Record every scored run with append_trials, the judged one too.")
    rng = np.random.Generator(np.random.PCG64(statistics.seed))
    gain = paired_difference(policy, baseline, rng, draws=statistics.bootstrap_draws, confidence=statistics.confidence)
    own = moments(policy)
    number = effective_number(counted, trial_returns, statistics.min_cluster_correlation)
    table = trial_returns is not None and trial_returns.shape[1] > 1
    return Evidence(
        gain=gain,
        moments=own,
        psr=doubtful_sharpe(own),
        dsr=doubtful_deflated(own, number, trials.sharpe_variance()),
        overfitting=overfitting(trial_returns, statistics.pbo_blocks) if trial_returns is not None and table else None,
        n_counted=counted,
        n_trials=number,
    )


def effective_number(counted: int, trial_returns: np.ndarray | None, min_correlation: float) -> float:
    """Return how many trials to deflate by: those counted, unless the table [T, N] holds them all and shows that they are alike.

    Then it is the larger of the eigenvalue count and the number of clusters. A trial that was not counted is one more.
    """
    if trial_returns is None or trial_returns.shape[1] < counted:
        return float(counted)
    clusters = len(np.unique(trial_clusters(trial_returns, min_correlation)))
    return max(effective_trials(trial_returns), float(clusters))


def doubtful_sharpe(own: Moments, sr0: float = 0.0) -> float:
    """Return the lower of the probabilistic Sharpe ratios with and without autocorrelation."""
    plain = probabilistic_sharpe(own.sr, own.n, own.skew, own.kurt, sr0)
    correlated = probabilistic_sharpe_correlated(own.sr, own.n, own.skew, own.kurt, own.rho, sr0)
    return _lower(plain, correlated)


def doubtful_deflated(own: Moments, n_trials: float, var_sr: float) -> Deflated:
    """Return the lower of the deflated Sharpe ratios with and without autocorrelation."""
    plain = deflated_sharpe(own.sr, own.n, own.skew, own.kurt, n_trials, var_sr)
    return Deflated(doubtful_sharpe(own, plain.sr0), plain.sr0, plain.n_trials, plain.var_sr)


def _lower(a: float, b: float) -> float:
    """Return the smaller; NaN if either is not determined."""
    return math.nan if math.isnan(a) or math.isnan(b) else min(a, b)
