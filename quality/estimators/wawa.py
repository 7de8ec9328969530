"""Wawa: workers weighted by their agreement with the majority. Two counts, cheap enough for every refresh."""

import numpy as np

from quality.estimators import majority
from quality.estimators.votes import Codes, Fit


def fit(item: Codes, worker: Codes, label: Codes, classes: int) -> Fit:
    base = majority.fit(item, worker, label, classes)
    items = len(base.posterior)
    keys = item.astype(np.int64) * classes + label
    weight = np.bincount(keys, base.skill[worker], minlength=items * classes).reshape(items, classes)
    total = weight.sum(axis=1, keepdims=True)
    # An item labelled only by workers of skill 0 has no weight at all: its majority stands.
    posterior = np.where(total > 0, weight / np.where(total > 0, total, 1), base.posterior)
    return Fit(posterior, posterior.mean(axis=0), base.skill)
