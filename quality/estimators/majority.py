"""Majority vote, with both tie rules: the first label in code order, and a share of one over the number tied."""

import numpy as np
import numpy.typing as npt

from quality.agreement import counts_of
from quality.estimators.votes import Codes, Fit, Reals


def fit(item: Codes, worker: Codes, label: Codes, classes: int) -> Fit:
    """The posterior is the label frequency of the item; skill is the share of own labels equal to the majority."""
    items, workers = int(item.max()) + 1, int(worker.max()) + 1
    counts = counts_of(item, label, items, classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    agrees = (label == counts.argmax(axis=1)[item]).astype(np.float64)
    skill = np.bincount(worker, agrees, minlength=workers) / np.maximum(np.bincount(worker, minlength=workers), 1)
    return Fit(shares, shares.mean(axis=0), skill)


def tied(posterior: Reals) -> npt.NDArray[np.int64]:
    """How many labels share the maximum of each item; 1 where there is no tie.

    Label shares of one item are quotients of the same total, so equal counts are equal floats.
    """
    return np.asarray((posterior == posterior.max(axis=1, keepdims=True)).sum(axis=1))


def half_tie_accuracy(posterior: Reals, truth: Codes) -> float:
    """Accuracy where a tie that holds the truth counts one over the number tied (MV½)."""
    top = posterior == posterior.max(axis=1, keepdims=True)
    hit = top[np.arange(len(truth)), truth]
    return float((hit / top.sum(axis=1)).mean())
