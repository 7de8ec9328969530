"""Signs that somebody did not look: too fast, always the same answer, the same mistakes as somebody else.

Signals for a review queue, never verdicts: each says the numbers it rests on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log

import polars as pl

TOO_FAST = 0.01  # below this quantile of everybody else's seconds on the same task
FEWEST = 5  # labels or seconds of a worker before anything is said about it
SHARED = 20  # items two workers must share before they are compared
UNLIKELY = 1e-3  # of a run of equal labels, over all places it could begin
DISCOVERY = 0.01  # share of false pairs tolerated among the reported ones (Benjamini-Hochberg)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two workers who make the same mistakes: ``same`` of ``mistakes`` where ``expected`` would be chance."""

    first: str
    second: str
    shared: int
    mistakes: int
    same: int
    expected: float
    p: float


def too_fast(labels: pl.DataFrame) -> set[str]:
    """Workers whose median seconds lie below the 1 % quantile of the others on the task (columns worker, seconds)."""
    timed = labels.filter(pl.col("seconds").is_not_null())
    medians = timed.group_by("worker").agg(pl.col("seconds").median(), pl.len())
    found = set()
    for worker, median, n in medians.iter_rows():
        others = timed.filter(pl.col("worker") != worker)["seconds"]
        if n >= FEWEST and others.len() >= FEWEST and median < _quantile(others):
            found.add(worker)
    return found


def longest_runs(labels: pl.DataFrame) -> dict[str, tuple[int, int]]:
    """Worker -> (length, label) of the longest run of one label, in the order of ``at`` (columns worker, label, at)."""
    runs = (
        labels.sort("worker", "at", "item")
        .with_columns(pl.struct("worker", "label").rle_id().alias("run"))
        .group_by("worker", "run")
        .agg(pl.len().alias("n"), pl.col("label").first())
        .sort("worker", "n", "run", descending=[False, True, False])
        .unique("worker", keep="first", maintain_order=True)
    )
    return {worker: (n, label) for worker, n, label in runs.select("worker", "n", "label").iter_rows()}


def constant_labels(labels: pl.DataFrame) -> set[str]:
    """Workers with a run of one label too long for how often everybody else gives that label."""
    given = labels.group_by("worker", "label").len()
    of_worker = dict(given.group_by("worker").agg(pl.col("len").sum()).iter_rows())
    of_label = dict(given.group_by("label").agg(pl.col("len").sum()).iter_rows())
    own = {(worker, label): n for worker, label, n in given.iter_rows()}
    total, found = labels.height, set()
    for worker, (length, label) in longest_runs(labels).items():
        n = of_worker[worker]
        rest = total - n
        if n < FEWEST or rest < FEWEST:
            continue
        share = (of_label[label] - own[worker, label] + 0.5) / (rest + 1)
        if n * min(share, 1.0) ** length < UNLIKELY:
            found.add(worker)
    return found


def copying(labels: pl.DataFrame, aggregate: pl.DataFrame) -> list[Pair]:
    """Pairs of workers who share mistakes above chance.

    Agreement on right answers says nothing. For each mistake of one, the chance that the other makes the same one is
    how often everybody else on that item does: a hard item explains common mistakes by itself.

    Args:
        labels: item, worker, label.
        aggregate: item, label: what is taken for right.
    """
    votes = labels.select("item", "worker", "label").unique()
    right = aggregate.select("item", pl.col("label").alias("right"))
    counts = votes.group_by("item", "label").agg(pl.len().alias("gave"))
    sizes = votes.group_by("item").agg(pl.len().alias("votes"))
    judged = votes.join(right, on="item").join(counts, on=["item", "label"]).join(sizes, on="item")
    pairs = judged.join(votes, on="item", suffix="_other").filter(pl.col("worker") < pl.col("worker_other"))
    shared = pairs.group_by("worker", "worker_other").agg(pl.col("item").n_unique().alias("shared"))
    same = (pl.col("label") == pl.col("label_other")).cast(pl.Int32)
    # without the two: how many of the others on the item made this mistake, with one half added on each side
    others = (pl.col("gave") - 1 - same + 0.5) / (pl.col("votes") - 2 + 1).clip(lower_bound=1)
    tested = (
        pairs.filter(pl.col("label") != pl.col("right"))
        .with_columns(same.alias("same"), others.clip(0.01, 0.99).alias("chance"))
        .group_by("worker", "worker_other")
        .agg(pl.len().alias("mistakes"), pl.col("same").sum(), pl.col("chance").sum().alias("expected"))
        .join(shared.filter(pl.col("shared") >= SHARED), on=["worker", "worker_other"])
        .filter(pl.col("mistakes") >= FEWEST)
        .sort("worker", "worker_other")
    )
    made = [
        Pair(a, b, n, mistakes, k, expected, _tail(k, mistakes, expected / mistakes))
        for a, b, mistakes, k, expected, n in tested.iter_rows()
    ]
    return _discoveries(made)


def _quantile(seconds: pl.Series) -> float:
    value = seconds.quantile(TOO_FAST, "linear")
    return float(value) if value is not None else 0.0


def _tail(k: int, n: int, p: float) -> float:
    """P(X >= k) of a binomial."""
    if k <= 0:
        return 1.0
    terms = (
        lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) + i * log(p) + (n - i) * log(1 - p) for i in range(k, n + 1)
    )
    return min(1.0, sum(exp(term) for term in terms))


def _discoveries(pairs: Sequence[Pair]) -> list[Pair]:
    ranked = sorted(pairs, key=lambda pair: pair.p)
    last = max((i for i, pair in enumerate(ranked, 1) if pair.p <= DISCOVERY * i / len(ranked)), default=0)
    return ranked[:last]
