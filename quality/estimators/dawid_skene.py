"""Dawid and Skene (1979): a confusion matrix for each worker and the true labels, estimated together by EM.

The objective is the evidence lower bound: the prior enters once per item, and it never falls. ``stop="parity"`` adds it
once per label instead, as crowd-kit does; that sum can fall, and then the fit ends after a few rounds. It is kept only
to compare results one to one.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from quality.agreement import counts_of
from quality.estimators.votes import Codes, Fit, Reals

FLOOR = 1e-10  # of an expected count: a label that a worker never gave to a class stays possible


def fit(
    item: Codes,
    worker: Codes,
    label: Codes,
    classes: int,
    *,
    gold: Codes | None = None,
    n_iter: int = 100,
    tol: float = 1e-5,
    stop: Literal["elbo", "parity"] = "elbo",
) -> Fit:
    """EM from the majority's label shares.

    Args:
        item: dense codes, as ``worker`` and ``label``.
        worker: who gave the label.
        label: what was given.
        classes: K, the number of labels.
        gold: a class per item, -1 where unknown; known items are held at their class.
        n_iter: the most rounds.
        tol: a round that gains less ends the fit.
        stop: which objective decides the end.
    """
    order = np.lexsort((label, worker, item))  # sums are then taken in one order whatever the order of the rows
    item, worker, label = item[order], worker[order], label[order]
    items, workers = int(item.max()) + 1, int(worker.max()) + 1
    key = worker.astype(np.int64) * classes + label
    observed = np.bincount(key, minlength=workers * classes) > 0
    starts = np.flatnonzero(np.r_[True, item[1:] != item[:-1]])
    labels_per_item = np.bincount(item, minlength=items)

    q = counts_of(item, label, items, classes) / labels_per_item[:, None]
    q = _held(q, gold)
    prior = q.mean(axis=0)
    errors, _ = _m_step(q[item], key, workers, classes, observed)
    loss: list[float] = []
    stopped_by = "n_iter"
    for _ in range(n_iter):
        log_prior = np.log(np.maximum(prior, np.finfo(float).tiny))
        ll = log_prior + np.add.reduceat(np.log(errors)[key], starts, axis=0)
        ll -= ll.max(axis=1, keepdims=True)
        q = np.exp(ll)
        q = _held(q / q.sum(axis=1, keepdims=True), gold)
        prior = q.mean(axis=0)
        errors, responsibilities = _m_step(q[item], key, workers, classes, observed)
        weights = labels_per_item if stop == "parity" else None
        loss.append(_objective(q, prior, errors, responsibilities, weights) / len(label))
        if len(loss) > 1 and loss[-1] - loss[-2] < tol:
            stopped_by = "tol"
            break
    confusion = errors.reshape(workers, classes, classes).transpose(0, 2, 1)
    skill = np.einsum("wcc,c->w", confusion, prior)  # probability of a right answer under the prior
    return Fit(q, prior, skill, tuple(loss), len(loss), stopped_by, confusion)


def _m_step(
    q_of_label: Reals, key: Codes, workers: int, classes: int, observed: npt.NDArray[np.bool_]
) -> tuple[Reals, Reals]:
    """errors[worker*K + given label][true class], and the expected counts they were made from."""
    counts = np.column_stack([np.bincount(key, q_of_label[:, c], minlength=workers * classes) for c in range(classes)])
    floored = np.where(observed[:, None], np.maximum(counts, FLOOR), 0.0)
    totals = floored.reshape(workers, classes, classes).sum(axis=1)
    errors = (floored.reshape(workers, classes, classes) / totals[:, None, :]).reshape(workers * classes, classes)
    # Labels that the worker never gave carry no vote and are never looked up; one keeps their logarithm finite.
    return np.where(observed[:, None], errors, 1.0), counts.astype(np.float64)


def _objective(q: Reals, prior: Reals, errors: Reals, counts: Reals, labels_per_item: Codes | None) -> float:
    log_prior = np.log(np.maximum(prior, np.finfo(float).tiny))
    weight = q.sum(axis=0) if labels_per_item is None else labels_per_item @ q
    entropy = -float((q * np.log(np.where(q > 0, q, 1.0))).sum())
    # sum over labels of q log e = sum over (worker, label) of expected count x log e: no second pass over the labels
    return float((counts * np.log(errors)).sum()) + float(weight @ log_prior) + entropy


def _held(q: Reals, gold: Codes | None) -> Reals:
    if gold is None:
        return q
    known = np.flatnonzero(gold >= 0)
    q = q.copy()
    q[known] = 0.0
    q[known, gold[known]] = 1.0
    return q
