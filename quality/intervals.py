"""Rates that say how sure they are: Wilson intervals, and rates shrunk towards the cohort."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

Z95 = 1.959963985  # two-sided 95 % of the normal distribution


class Rate(NamedTuple):
    """``k`` of ``n`` with its 95 % bounds; all three None when n is 0: no evidence is not a rate of zero."""

    value: float | None
    low: float | None
    high: float | None


def wilson(k: int, n: int, z: float = Z95) -> Rate:
    if not 0 <= k <= n:
        raise ValueError(f"expected 0 <= k <= n, found {k} of {n}")
    if n == 0:
        return Rate(None, None, None)
    p, z2 = k / n, z * z
    scale = 1 + z2 / n
    centre = (p + z2 / (2 * n)) / scale
    half = z * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / scale
    return Rate(p, max(0.0, centre - half), min(1.0, centre + half))


def beta_prior(counts: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """The cohort's beta(a, b) by the method of moments over (k, n) pairs; (1, 1) where it cannot be told."""
    rates = [(k / n, n) for k, n in counts if n > 0]
    if len(rates) < 2:
        return 1.0, 1.0
    mean = sum(rate for rate, _ in rates) / len(rates)
    spread = sum((rate - mean) ** 2 for rate, _ in rates) / (len(rates) - 1)
    chance = sum(mean * (1 - mean) / n for _, n in rates) / len(rates)  # what binomial sampling alone would spread
    true_spread = spread - chance
    if true_spread <= 0 or not 0 < mean < 1:
        return 1.0, 1.0
    strength = mean * (1 - mean) / true_spread - 1
    return (mean * strength, (1 - mean) * strength) if strength > 0 else (1.0, 1.0)


def shrunk(k: int, n: int, prior: tuple[float, float]) -> float:
    a, b = prior
    return (k + a) / (n + a + b)
