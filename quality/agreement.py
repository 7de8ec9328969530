"""How far the people who labelled the same items agree, beyond chance.

Everything starts from counts: an array (items x classes) that says how many workers gave each label. The coincidence
matrix behind Krippendorff's alpha adds up, so the alpha of a month is read from the sum of its days.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from quality.intervals import Z95

Counts = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Scale = Literal["nominal", "ordinal", "interval", "ratio"]


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A coefficient with what it rests on; ``value`` is None where ``reason`` says why there is none."""

    value: float | None
    items: int
    reason: str | None = None
    ase: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Coincidence:
    """Pairable values c x k, summed over items (Krippendorff 2011); instances of the same classes add up."""

    observed: Reals
    items: int

    def __add__(self, other: "Coincidence") -> "Coincidence":
        return Coincidence(self.observed + other.observed, self.items + other.items)


def counts_of(item: npt.NDArray[np.integer], label: npt.NDArray[np.integer], items: int, classes: int) -> Counts:
    """Labels per item and class; ``item`` and ``label`` are dense codes from 0."""
    keys = item.astype(np.int64) * classes + label.astype(np.int64)
    return np.bincount(keys, minlength=items * classes).reshape(items, classes).astype(np.int64)


def percent(counts: Counts) -> Coefficient:
    """Share of agreeing pairs among all pairs of labels given to the same item."""
    per_item = counts.sum(axis=1)
    pairs = int((per_item * (per_item - 1)).sum())
    if pairs == 0:
        return Coefficient(None, 0, "no_pairs")
    agreeing = int((counts * (counts - 1)).sum())
    return Coefficient(agreeing / pairs, int((per_item >= 2).sum()))


def cohen(table: Counts, weights: Literal["linear", "quadratic"] | None = None) -> Coefficient:
    """Cohen's kappa of two raters' contingency table, with the asymptotic error of Fleiss, Cohen and Everitt (1969)."""
    n = int(table.sum())
    if n == 0:
        return Coefficient(None, 0, "no_pairs")
    p = table / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    agree = _agreement_weights(len(table), weights)
    po, pe = float((agree * p).sum()), float((agree * np.outer(rows, columns)).sum())
    if pe >= 1.0:
        return Coefficient(None, n, "no_variation")
    kappa = (po - pe) / (1 - pe)
    row_mean, column_mean = agree @ columns, rows @ agree
    spread = (p * (agree - (row_mean[:, None] + column_mean[None, :]) * (1 - kappa)) ** 2).sum()
    variance = (float(spread) - (kappa - pe * (1 - kappa)) ** 2) / (n * (1 - pe) ** 2)
    ase = float(np.sqrt(max(variance, 0.0)))
    return Coefficient(kappa, n, None, ase, kappa - Z95 * ase, kappa + Z95 * ase)


def fleiss(counts: Counts) -> Coefficient:
    """Fleiss' kappa: fixed marginals, the same number of labels on every item (otherwise use alpha)."""
    return _fixed_n(counts, marginals="fixed")


def randolph(counts: Counts) -> Coefficient:
    """Randolph's kappa: free marginals, chance is one in K."""
    return _fixed_n(counts, marginals="free")


def coincidence(counts: Counts) -> Coincidence:
    """The additive state of alpha; items with fewer than two labels hold no pair and stay out."""
    kept = counts[counts.sum(axis=1) >= 2].astype(np.float64)
    weight = 1.0 / (kept.sum(axis=1) - 1) if len(kept) else np.zeros(0)
    observed = kept.T @ (kept * weight[:, None])
    observed[np.diag_indices(counts.shape[1])] -= kept.T @ weight
    return Coincidence(observed, len(kept))


def krippendorff(state: Counts | Coincidence, scale: Scale = "nominal", values: Reals | None = None) -> Coefficient:
    """Krippendorff's alpha; ``values`` are the numbers the classes stand for (default 0, 1, 2 ...).

    Where everybody said the same there is nothing to agree about: value None with reason ``no_variation``, never 1.0.
    """
    pairs = state if isinstance(state, Coincidence) else coincidence(state)
    if pairs.items == 0:
        return Coefficient(None, 0, "no_pairs")
    totals = pairs.observed.sum(axis=0)
    n = float(totals.sum())
    expected = (np.outer(totals, totals) - np.diag(totals)) / (n - 1)
    distance = _distance(scale, totals, np.arange(len(totals), dtype=np.float64) if values is None else values)
    chance = float((expected * distance).sum())
    if chance == 0.0:
        return Coefficient(None, pairs.items, "no_variation")
    return Coefficient(1 - float((pairs.observed * distance).sum()) / chance, pairs.items)


def interval_alpha(item: npt.NDArray[np.integer], value: Reals) -> Coefficient:
    """Interval alpha of real numbers in one pass, without a domain of values; ``item`` is a dense code from 0."""
    per_item = np.bincount(item)
    keep = per_item[item] >= 2
    if not keep.any():
        return Coefficient(None, 0, "no_pairs")
    code, x = item[keep], value[keep] - value[keep].mean()  # centred: the squares below would cancel
    m = np.bincount(code, minlength=len(per_item)).astype(np.float64)
    s, s2 = np.bincount(code, x, minlength=len(m)), np.bincount(code, x * x, minlength=len(m))
    pairable = m >= 2
    m, s, s2 = m[pairable], s[pairable], s2[pairable]
    n = float(m.sum())
    within = float((2 * (m * s2 - s * s) / (m - 1)).sum()) / n
    overall = 2 * (n * float(s2.sum()) - float(s.sum()) ** 2) / (n * (n - 1))
    if overall == 0.0:
        return Coefficient(None, len(m), "no_variation")
    return Coefficient(1 - within / overall, len(m))


def _agreement_weights(classes: int, weights: Literal["linear", "quadratic"] | None) -> Reals:
    if weights is None or classes == 1:
        return np.eye(classes)
    apart = np.abs(np.subtract.outer(np.arange(classes), np.arange(classes))) / (classes - 1)
    return 1 - (apart if weights == "linear" else apart**2)


def _fixed_n(counts: Counts, *, marginals: Literal["fixed", "free"]) -> Coefficient:
    items, classes = counts.shape
    if items == 0:
        return Coefficient(None, 0, "no_pairs")
    n = int(counts[0].sum())
    if n < 2 or not (counts.sum(axis=1) == n).all():
        return Coefficient(None, items, "labels_per_item_vary")
    per_item = ((counts**2).sum(axis=1) - n) / (n * (n - 1))
    shares = counts.sum(axis=0) / (items * n)
    chance = float((shares**2).sum()) if marginals == "fixed" else 1 / classes
    if chance >= 1.0:
        return Coefficient(None, items, "no_variation")
    return Coefficient((float(per_item.mean()) - chance) / (1 - chance), items)


def _distance(scale: Scale, totals: Reals, values: Reals) -> Reals:
    across, down = values[None, :], values[:, None]
    if scale == "nominal":
        return np.asarray(across != down, dtype=np.float64)
    if scale == "interval":
        return np.asarray((across - down) ** 2)
    if scale == "ratio":
        total = across + down
        return np.asarray(np.divide(across - down, total, out=np.zeros_like(total), where=total != 0) ** 2)
    below = np.concatenate([[0.0], np.cumsum(totals)])  # ordinal: how many values lie from c to k, ends half
    c, k = np.minimum.outer(*(np.arange(len(totals)),) * 2), np.maximum.outer(*(np.arange(len(totals)),) * 2)
    return np.asarray((below[k + 1] - below[c] - (totals[c] + totals[k]) / 2) ** 2)
