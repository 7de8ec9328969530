"""What the true labels are, and how far to believe each worker: one estimator a file, one contract.

Every file has ``fit(item, worker, label, classes, ...) -> Fit``: a pure function of dense codes from 0,
deterministic, and blind to the order of the rows. No estimator wins everywhere (41-quality-usage §3.4): they are
published side by side.
"""

from quality.estimators.votes import Codes, Fit, Votes, labels_of, votes_of

__all__ = ["Codes", "Fit", "Votes", "labels_of", "votes_of"]
