"""The work on one task, and every estimator's view of it: what the three quality tables share."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from models.build import Inputs
from quality.estimators import Fit, Votes, dawid_skene, labels_of, majority, one_coin, votes_of, wawa
from quality.estimators.votes import Reals
from quality.intervals import Rate, wilson

UPSTREAM = ("core.gold", "core.reviews", "core.submissions", "core.tasks")
ESTIMATORS = ("mv", "wawa", "one_coin", "ds")
GOLD_ENOUGH = 100  # gold items below which no estimator is chosen over the majority
DIFFER_MOST = 0.05  # share of items on which DS and MV may differ in a believed set


@dataclass(frozen=True)
class Work:
    """One task: its newest version, its submissions, the reviews of them and its gold items."""

    task_id: str
    chain_id: int | None
    dataset_id: int | None
    label_count: int | None
    submissions: pl.DataFrame  # submission_id item worker label value seconds hash at status day
    reviews: pl.DataFrame  # submission_id reviewer round decision
    gold: pl.DataFrame  # item gold

    @cached_property
    def labels(self) -> pl.DataFrame:
        return self.submissions.filter(pl.col("label").is_not_null())

    @cached_property
    def votes(self) -> Votes | None:
        return votes_of(self.labels, self.label_count) if self.labels.height else None

    @cached_property
    def fits(self) -> dict[str, Fit]:
        if self.votes is None:
            return {}
        codes = (self.votes.item, self.votes.worker, self.votes.label, self.votes.k)
        made = (majority, wawa, one_coin, dawid_skene)
        return {name: module.fit(*codes) for name, module in zip(ESTIMATORS, made, strict=True)}

    @cached_property
    def answers(self) -> pl.DataFrame:
        """One row an item: item, gold and the label each estimator gives."""
        assert self.votes is not None
        columns = [self.votes.items.alias("item")]
        columns += [self.votes.classes.gather(labels_of(fit)).alias(name) for name, fit in self.fits.items()]
        return pl.DataFrame(columns).join(self.gold, on="item", how="left", maintain_order="left")

    @cached_property
    def gold_right(self) -> dict[str, tuple[int, int]]:
        """Estimator -> (right, gold items with a label)."""
        known = self.answers.filter(pl.col("gold").is_not_null())
        return {name: (int((known[name] == known["gold"]).sum()), known.height) for name in ESTIMATORS}

    @cached_property
    def published(self) -> str:
        """The estimator whose labels count: the best on enough gold, else the majority, in this order among equals."""
        right, n = max((right for right, _ in self.gold_right.values()), default=0), self.gold_right["mv"][1]
        if n < GOLD_ENOUGH:
            return "mv"
        return next(name for name in ESTIMATORS if self.gold_right[name][0] == right)

    @cached_property
    def differing(self) -> int:
        return int((self.answers["ds"] != self.answers["mv"]).sum())

    def belief(self) -> tuple[str, str]:
        """Whether the labels are believed, and why."""
        items = self.answers.height
        if self.differing < DIFFER_MOST * items:
            return "believed", f"DS and MV differ on {self.differing} of {items} items"
        best = self.rate(self.published)
        other = self.rate("mv" if self.published == "ds" else "ds")
        enough = self.gold_right["mv"][1] >= GOLD_ENOUGH
        if enough and best.low is not None and other.high is not None and best.low > other.high:
            return "believed", f"{self.gold_right['mv'][1]} gold items decide for {self.published}"
        return "contested", f"DS and MV differ on {self.differing} of {items} items and no gold sample decides"

    def rate(self, estimator: str) -> Rate:
        return wilson(*self.gold_right[estimator])


def works(inputs: Inputs) -> Iterator[Work]:
    """Every task with a submission, in the order of its id."""
    tasks = (
        inputs.frame("core.tasks")
        .sort("task_id", "version")
        .unique("task_id", keep="last")
        .select("task_id", "chain_id", "dataset_id", "label_count")
        .collect()
    )
    known = {task: (chain, dataset, labels) for task, chain, dataset, labels in tasks.iter_rows()}
    submissions = (
        inputs.frame("core.submissions")
        .select(
            "task_id", "submission_id", pl.col("item_id").alias("item"), pl.col("annotator").alias("worker"), "label",
            pl.col("value_f64").alias("value"), "seconds", pl.col("content_hash").alias("hash"),
            pl.col("submitted_at").alias("at"), "status", "day",
        )
        .sort("task_id", "submission_id")
        .collect()
    )  # fmt: skip
    reviews = inputs.frame("core.reviews").select("submission_id", "reviewer", "round", "decision").collect()
    reviewed = reviews.join(submissions.select("submission_id", "task_id"), on="submission_id")
    gold = inputs.frame("core.gold").select("task_id", pl.col("item_id").alias("item"), pl.col("label").alias("gold"))
    of_gold = gold.collect().partition_by("task_id", as_dict=True, include_key=False)
    of_reviews = reviewed.partition_by("task_id", as_dict=True, include_key=False)
    no_gold = pl.DataFrame(schema={"item": pl.String, "gold": pl.Int32})
    parts = submissions.partition_by("task_id", as_dict=True, include_key=False, maintain_order=True)
    for (task_id,), frame in parts.items():
        chain, dataset, labels = known.get(task_id, (None, None, None))
        none = reviewed.clear().drop("task_id")
        yield Work(
            str(task_id),
            chain,
            dataset,
            labels,
            frame,
            of_reviews.get((task_id,), none),
            of_gold.get((task_id,), no_gold),
        )


def entropy_bits(posterior: Reals) -> Reals:
    """Entropy of each row in bits."""
    safe = np.where(posterior > 0, posterior, 1.0)
    return np.asarray(np.maximum(-(posterior * np.log2(safe)).sum(axis=1), 0.0))
