"""One-coin model: each worker is right with one probability and wrong evenly. Few parameters, good with few labels."""

import numpy as np

from quality.agreement import counts_of
from quality.estimators.votes import Codes, Fit, Reals

FLOOR = 1e-10


def fit(item: Codes, worker: Codes, label: Codes, classes: int, *, n_iter: int = 100, tol: float = 1e-5) -> Fit:
    """EM from the majority's label shares; ``tol`` bounds the gain of the evidence lower bound per label."""
    order = np.lexsort((label, worker, item))
    item, worker, label = item[order], worker[order], label[order].astype(np.int64)
    items, workers = int(item.max()) + 1, int(worker.max()) + 1
    given = np.bincount(worker, minlength=workers)
    cell = item.astype(np.int64) * classes + label
    wrong_ways = max(classes - 1, 1)

    q = counts_of(item, label, items, classes) / np.bincount(item, minlength=items)[:, None]
    prior = q.mean(axis=0)
    skill = _skill(q, item, worker, label, given)
    loss: list[float] = []
    stopped_by = "n_iter"
    for _ in range(n_iter):
        log_right, log_wrong = np.log(skill), np.log((1 - skill) / wrong_ways)
        base = np.bincount(item, log_wrong[worker], minlength=items)
        gain = np.bincount(cell, (log_right - log_wrong)[worker], minlength=items * classes).reshape(items, classes)
        ll = np.log(np.maximum(prior, np.finfo(float).tiny)) + base[:, None] + gain
        ll -= ll.max(axis=1, keepdims=True)
        q = np.exp(ll)
        q /= q.sum(axis=1, keepdims=True)
        prior = q.mean(axis=0)
        skill = _skill(q, item, worker, label, given)
        right = np.bincount(worker, q[item, label], minlength=workers)
        fit_term = float((right * np.log(skill) + (given - right) * np.log((1 - skill) / wrong_ways)).sum())
        prior_term = float(q.sum(axis=0) @ np.log(np.maximum(prior, np.finfo(float).tiny)))
        entropy = -float((q * np.log(np.where(q > 0, q, 1.0))).sum())
        loss.append((fit_term + prior_term + entropy) / len(label))
        if len(loss) > 1 and loss[-1] - loss[-2] < tol:
            stopped_by = "tol"
            break
    return Fit(q, prior, skill, tuple(loss), len(loss), stopped_by)


def _skill(q: Reals, item: Codes, worker: Codes, label: Codes, given: Codes) -> Reals:
    right = np.bincount(worker, q[item, label], minlength=len(given)) / np.maximum(given, 1)
    return np.asarray(np.clip(right, FLOOR, 1 - FLOOR))
