"""How good each worker is on each task, by review, by gold, by agreement, and what looks odd."""

from collections import defaultdict
from fractions import Fraction
from typing import Any

import polars as pl

from models.build import Inputs
from quality.core._work import UPSTREAM, Work, works
from quality.fraud import constant_labels, copying, longest_runs, too_fast
from quality.intervals import beta_prior, shrunk, wilson

header = """
title: Workers, task by task
grain: [task_id, worker]
columns:
  task_id: The task.
  worker: The party that annotated or reviewed.
  dataset_id: The dataset the task feeds; null where none is registered.
  day: UTC day of the worker's last submission; null for one who only reviewed.
  submissions: Attempts handed in.
  labels: Labels given, repeats counted once.
  contradictory_labels: Items to which the worker gave more than one label.
  approved: Own annotations that were reviewed and approved.
  reviewed: Own annotations that were reviewed.
  annotator_accuracy_f64: approved over reviewed, the platform's own definition.
  accept_shrunk_f64: The same, drawn towards the task's other workers where few were reviewed.
  reviews: Reviews given on annotations that somebody else reviewed too.
  reviews_alone: Reviews that nobody else can confirm.
  agreed_numerator: Reviewer accuracy, numerator of the exact fraction.
  agreed_denominator: Its denominator; null without reviews.
  reviewer_accuracy_f64: Mean share of the other reviewers of an annotation who decided the same.
  gold_right: Gold items labelled right.
  gold_items: Gold items labelled.
  gold_accuracy_f64: The share.
  gold_low_f64: Lower end of its 95 % Wilson interval.
  gold_high_f64: Upper end.
  wawa_skill_f64: Share of own labels equal to the majority.
  one_coin_skill_f64: Probability of a right label in the one-coin model.
  ds_skill_f64: The same in Dawid and Skene's model; null below K x K labels, which it has as parameters.
  median_seconds_f64: Median seconds for an item.
  longest_run: Longest run of one label in the order of submission.
  too_fast: Faster than nearly everybody else on the task.
  constant_labels: A run of one label too long to be chance.
  copies: Workers with the same mistakes beyond chance, comma-separated; a signal for review, never a verdict.
  flags: The signals that are set, comma-separated.
rules:
  - unique(task_id, worker)
  - nonnegative(submissions, labels, approved, reviewed, reviews, reviews_alone, gold_right, gold_items)
  - at_most(approved, reviewed)
  - at_most(gold_right, gold_items)
  - between(annotator_accuracy_f64?, 0, 1)
  - between(reviewer_accuracy_f64?, 0, 1)
metrics:
  annotator_accuracy: {ratio: [approved, reviewed], by: [task_id, dataset_id, worker], title: Annotator accuracy,
    definition: "Approved over own annotations that were reviewed."}
  workers: {distinct: worker, by: [task_id, dataset_id], title: Workers,
    definition: "Parties who annotated or reviewed."}
"""
upstream = UPSTREAM
_TYPES: dict[str, Any] = {
    "task_id": pl.String, "worker": pl.String, "dataset_id": pl.Int64, "day": pl.Date, "submissions": pl.Int64,
    "labels": pl.Int64, "contradictory_labels": pl.Int64, "approved": pl.Int64, "reviewed": pl.Int64,
    "annotator_accuracy_f64": pl.Float64, "accept_shrunk_f64": pl.Float64, "reviews": pl.Int64,
    "reviews_alone": pl.Int64, "agreed_numerator": pl.Int64, "agreed_denominator": pl.Int64,
    "reviewer_accuracy_f64": pl.Float64, "gold_right": pl.Int64, "gold_items": pl.Int64,
    "gold_accuracy_f64": pl.Float64, "gold_low_f64": pl.Float64, "gold_high_f64": pl.Float64,
    "wawa_skill_f64": pl.Float64, "one_coin_skill_f64": pl.Float64, "ds_skill_f64": pl.Float64,
    "median_seconds_f64": pl.Float64, "longest_run": pl.Int32, "too_fast": pl.Boolean, "constant_labels": pl.Boolean,
    "copies": pl.String, "flags": pl.String,
}  # fmt: skip


def build(inputs: Inputs) -> pl.DataFrame:
    rows = [row for work in works(inputs) for row in _workers(work)]
    return pl.DataFrame(rows, schema=_TYPES)


def _workers(work: Work) -> list[dict[str, Any]]:
    counts = _counts(work)
    reviews = reviewer_agreement(work.reviews)
    skills, golden, odd = _skills(work), _golden(work), _odd(work)
    prior = beta_prior([(row["approved"], row["reviewed"]) for row in counts.values()])
    rows = []
    for worker in sorted(counts.keys() | reviews.keys()):
        own = counts.get(worker, _NOTHING)
        agreed, confirmed, alone = reviews.get(worker, (Fraction(0), 0, 0))
        share = agreed / confirmed if confirmed else None
        right, items = golden.get(worker, (0, 0))
        gold = wilson(right, items)
        signals = odd.get(worker, {})
        rows.append(
            {
                "task_id": work.task_id,
                "worker": worker,
                "dataset_id": work.dataset_id,
                **own,
                "annotator_accuracy_f64": own["approved"] / own["reviewed"] if own["reviewed"] else None,
                "accept_shrunk_f64": shrunk(own["approved"], own["reviewed"], prior) if own["submissions"] else None,
                "reviews": confirmed,
                "reviews_alone": alone,
                "agreed_numerator": share.numerator if share is not None else None,
                "agreed_denominator": share.denominator if share is not None else None,
                "reviewer_accuracy_f64": float(share) if share is not None else None,
                "gold_right": right,
                "gold_items": items,
                "gold_accuracy_f64": gold.value,
                "gold_low_f64": gold.low,
                "gold_high_f64": gold.high,
                **skills.get(worker, _NO_SKILL),
                "longest_run": signals.get("longest_run", 0),
                "too_fast": signals.get("too_fast", False),
                "constant_labels": signals.get("constant_labels", False),
                "copies": ",".join(signals.get("copies", ())) or None,
                "flags": ",".join(name for name in ("too_fast", "constant_labels", "copies") if signals.get(name))
                or None,
            }
        )
    return rows


_NOTHING: dict[str, Any] = {
    "day": None, "submissions": 0, "labels": 0, "contradictory_labels": 0, "approved": 0, "reviewed": 0,
    "median_seconds_f64": None,
}  # fmt: skip
_NO_SKILL = dict.fromkeys(("wawa_skill_f64", "one_coin_skill_f64", "ds_skill_f64"))


def reviewer_agreement(reviews: pl.DataFrame) -> dict[str, tuple[Fraction, int, int]]:
    """Reviewer -> (sum over annotations of the share of other reviewers who decided the same, annotations, alone).

    The platform's definition, exact: "if 50% of other reviewers approved the annotations you approved, your accuracy
    is 50%". The last round of a reviewer on an annotation counts.
    """
    last = reviews.sort("submission_id", "reviewer", "round").unique(["submission_id", "reviewer"], keep="last")
    by_annotation: dict[str, dict[str, str]] = defaultdict(dict)
    for submission, reviewer, decision in last.select("submission_id", "reviewer", "decision").iter_rows():
        by_annotation[submission][reviewer] = decision
    agreed: dict[str, Fraction] = defaultdict(Fraction)
    confirmed: dict[str, int] = defaultdict(int)
    alone: dict[str, int] = defaultdict(int)
    for decisions in by_annotation.values():
        for reviewer, decision in decisions.items():
            others = len(decisions) - 1
            if others == 0:
                alone[reviewer] += 1
                continue
            same = sum(other == decision for other in decisions.values()) - 1
            agreed[reviewer] += Fraction(same, others)
            confirmed[reviewer] += 1
    return {name: (agreed[name], confirmed[name], alone[name]) for name in sorted(confirmed.keys() | alone.keys())}


def _counts(work: Work) -> dict[str, dict[str, Any]]:
    reviewed = pl.col("submission_id").is_in(work.reviews["submission_id"].unique().implode())
    per_item = work.labels.group_by("worker", "item").agg(pl.col("label").n_unique().alias("given"))
    labels = per_item.group_by("worker").agg(
        pl.col("given").sum().alias("labels"), (pl.col("given") > 1).sum().alias("contradictory_labels")
    )
    frame = (
        work.submissions.group_by("worker")
        .agg(
            pl.col("day").max(),
            pl.len().alias("submissions"),
            (reviewed & (pl.col("status") == "approved")).sum().alias("approved"),
            reviewed.sum().alias("reviewed"),
            pl.col("seconds").median().cast(pl.Float64).alias("median_seconds_f64"),
        )
        .join(labels, on="worker", how="left")
        .with_columns(pl.col("labels", "contradictory_labels").fill_null(0))
    )
    return {row.pop("worker"): row for row in frame.to_dicts()}


def _skills(work: Work) -> dict[str, dict[str, float | None]]:
    if work.votes is None:
        return {}
    enough = work.votes.k**2
    given = dict(pl.Series("code", work.votes.worker).value_counts().iter_rows())
    found: dict[str, dict[str, float | None]] = {}
    for code, worker in enumerate(work.votes.workers):
        ds = float(work.fits["ds"].skill[code])
        found[worker] = {
            "wawa_skill_f64": float(work.fits["wawa"].skill[code]),
            "one_coin_skill_f64": float(work.fits["one_coin"].skill[code]),
            "ds_skill_f64": ds if given.get(code, 0) >= enough else None,
        }
    return found


def _golden(work: Work) -> dict[str, tuple[int, int]]:
    """Worker -> (gold items labelled right, gold items labelled); a contradictory worker is wrong."""
    marks = (
        work.labels.join(work.gold, on="item")
        .group_by("worker", "item")
        .agg((pl.col("label") == pl.col("gold")).all().alias("right"))
        .group_by("worker")
        .agg(pl.col("right").sum(), pl.len())
    )
    return {worker: (right, items) for worker, right, items in marks.iter_rows()}


def _odd(work: Work) -> dict[str, dict[str, Any]]:
    if work.votes is None:
        return {}
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for worker, (length, _) in longest_runs(work.labels).items():
        found[worker]["longest_run"] = length
    for worker in too_fast(work.labels):
        found[worker]["too_fast"] = True
    for worker in constant_labels(work.labels):
        found[worker]["constant_labels"] = True
    pairs = copying(work.labels, work.answers.select("item", pl.col(work.published).alias("label")))
    for pair in sorted(pairs, key=lambda pair: (pair.first, pair.second)):
        found[pair.first].setdefault("copies", []).append(pair.second)
        found[pair.second].setdefault("copies", []).append(pair.first)
    return found
