"""Weights: how a total is shared out by score, by calm, or by risk."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

ROUNDS = 10_000


def capped_proportional(scores: ArrayLike, caps: ArrayLike, total: float) -> np.ndarray:
    """Return weights in proportion to the scores, none above its cap, adding up to `total` where the caps allow.

    What a cap cuts off is spread over the others in proportion to their scores. A higher score with no smaller cap never gets
    less. Scores and caps are 0 or more; a score of 0 gets nothing.

    >>> capped_proportional([0.9, 0.6, 0.3, 0.1], [0.25, 0.3, 0.3, 0.3], 0.8).round(4).tolist()
    [0.25, 0.3, 0.1875, 0.0625]
    """
    score, cap = np.asarray(scores, float), np.asarray(caps, float)
    weights = np.zeros(score.size)
    free = score > 0.0
    while free.any():
        left = max(0.0, total - math.fsum(weights[~free]))
        share = left * score[free] / math.fsum(score[free])
        over = np.zeros(score.size, bool)
        over[free] = share >= cap[free]
        if not over.any():
            weights[free] = share
            break
        weights[over] = cap[over]
        free &= ~over
    return np.minimum(weights, cap)


def inverse_volatility(sigmas: ArrayLike) -> np.ndarray:
    """Return weights in inverse proportion to the volatilities, adding up to one."""
    inverse = 1.0 / np.asarray(sigmas, float)
    return inverse / inverse.sum()


def inverse_variance(covariance: np.ndarray) -> np.ndarray:
    """Return weights in inverse proportion to the variances, adding up to one."""
    inverse = 1.0 / np.diag(covariance)
    return inverse / inverse.sum()


def equal_risk(covariance: np.ndarray) -> np.ndarray:
    """Return the one long-only portfolio to whose variance every member contributes the same (cyclical descent)."""
    n = covariance.shape[0]
    weights = 1.0 / np.sqrt(np.diag(covariance))
    for _ in range(ROUNDS):
        before = weights.copy()
        for i in range(n):
            others = float(covariance[i] @ weights - covariance[i, i] * weights[i])
            weights[i] = (-others + np.sqrt(others * others + 4.0 * covariance[i, i] / n)) / (2.0 * covariance[i, i])
        if np.abs(weights - before).max() <= 1e-14 * np.abs(weights).max():
            break
    return weights / weights.sum()


def risk_shares(weights: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the share of the portfolio's variance that each member brings."""
    parts = weights * (covariance @ weights)
    return parts / parts.sum()


def leaf_order(distance: np.ndarray) -> list[int]:
    """Return the members in the order of their single-linkage tree, each joint's older cluster first (López de Prado 2016)."""
    n = distance.shape[0]
    clusters: dict[int, list[int]] = {i: [i] for i in range(n)}
    for joint in range(n, 2 * n - 1):
        names = list(clusters)
        gaps = [(min(distance[i, j] for i in clusters[a] for j in clusters[b]), a, b) for x, a in enumerate(names) for b in names[x + 1 :]]
        _, a, b = min(gaps)
        clusters[joint] = clusters.pop(a) + clusters.pop(b)
    return next(iter(clusters.values()))


def hierarchical_risk_parity(returns: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Return López de Prado's HRP weights of return columns and the leaf order they depend on: not unique, so report both."""
    covariance = np.cov(returns, rowvar=False)
    distance = np.sqrt(np.clip((1.0 - np.corrcoef(returns, rowvar=False)) / 2.0, 0.0, None))
    features = np.sqrt(((distance[:, None, :] - distance[None, :, :]) ** 2).sum(axis=2))
    order = leaf_order(features)
    weights = np.ones(len(order))
    parts = [order]
    while parts:
        halves = [half for part in parts if len(part) > 1 for half in (part[: len(part) // 2], part[len(part) // 2 :])]
        for left, right in zip(halves[::2], halves[1::2], strict=True):
            risk_left, risk_right = cluster_variance(covariance, left), cluster_variance(covariance, right)
            share = 1.0 - risk_left / (risk_left + risk_right)
            weights[left] *= share
            weights[right] *= 1.0 - share
        parts = halves
    return weights, order


def cluster_variance(covariance: np.ndarray, members: list[int]) -> float:
    """Return the variance of a cluster held in inverse-variance weights."""
    own = covariance[np.ix_(members, members)]
    weights = inverse_variance(own)
    return float(weights @ own @ weights)
