"""Shrinkage: how far a group's own mean is believed when it stands on few trades."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike


def exact_sum(values: ArrayLike) -> float:
    """Return the sum rounded once, so that the order of the values does not matter."""
    return math.fsum(np.asarray(values, float).ravel())


def dersimonian_laird(means: ArrayLike, variances: ArrayLike, groups: ArrayLike | None = None) -> float:
    """Return tau², the variance of the true means of groups, by the moments of DerSimonian and Laird (1986); 0 is possible.

    means, variances: one a group, the variance being that OF the mean (sd²/n), above 0. groups: a label a mean; means of one
    label vary about their own weighted average and all labels share one tau². Without it, one label for all.

    >>> dersimonian_laird([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
    0.0
    """
    mean, weight = np.asarray(means, float), 1.0 / np.asarray(variances, float)
    label = np.zeros(mean.size, np.int64) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    between, scale = [], []
    labels = int(label.max()) + 1 if label.size else 0
    for each in range(labels):
        m, w = mean[label == each], weight[label == each]
        total = exact_sum(w)
        centre = exact_sum(w * m) / total
        between.append(exact_sum(w * (m - centre) ** 2))
        scale.append(total - exact_sum(w * w) / total if m.size > 1 else 0.0)
    room = exact_sum(scale)
    return max(0.0, (exact_sum(between) - (mean.size - labels)) / room) if room > 0.0 else 0.0


def random_effects_mean(means: ArrayLike, variances: ArrayLike, tau2: float) -> tuple[float, float]:
    """Return the mean over groups whose true means vary by `tau2`, and its own variance."""
    weight = 1.0 / (tau2 + np.asarray(variances, float))
    total = exact_sum(weight)
    return exact_sum(weight * np.asarray(means, float)) / total, 1.0 / total


def shrink(
    mean: ArrayLike, variance: ArrayLike, parent: ArrayLike, tau2: float, parent_variance: ArrayLike = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (shrunk mean, weight on the own mean, posterior sd) of groups drawn towards their parent.

    weight = tau² / (tau² + variance), where variance is that of the own mean (infinite: nothing known, weight 0). The posterior
    variance is weight * variance (tau² where nothing is known) + (1 - weight)² * parent_variance: what is not known of the parent
    is not known of the child.
    """
    own, spread = np.asarray(mean, float), np.asarray(variance, float)
    weight = tau2 / (tau2 + spread)
    known = np.where(np.isfinite(own), own, 0.0)
    inner = np.where(np.isfinite(spread), weight * np.where(np.isfinite(spread), spread, 0.0), tau2)
    shrunk = weight * known + (1.0 - weight) * np.asarray(parent, float)
    return shrunk, weight, np.sqrt(inner + (1.0 - weight) ** 2 * np.asarray(parent_variance, float))


def james_stein(means: ArrayLike, variance: float) -> tuple[np.ndarray, float]:
    """Return means of equal known variance drawn to their grand mean, and the factor left of each distance (Efron-Morris).

    Needs four means or more. It is what `shrink` comes to where all variances are equal, and serves as its check.
    """
    own = np.asarray(means, float)
    centre = exact_sum(own) / own.size
    spread = exact_sum((own - centre) ** 2)
    factor = max(0.0, 1.0 - (own.size - 3) * variance / spread) if spread > 0.0 else 0.0
    return centre + factor * (own - centre), factor


def expected_luck(sigma: float, n: int) -> float:
    """Return the mean result, in the sample it was chosen on, of buckets with a positive mean when there is no edge.

    sigma * sqrt(2 / (pi n)): what scoring a policy on its own window shows on pure noise.
    """
    return sigma * math.sqrt(2.0 / (math.pi * n))
