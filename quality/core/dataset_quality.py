"""Whether to believe a dataset's labels: acceptance, agreement, gold, estimators that differ, duplicates, a score."""

from typing import Any

import numpy as np
import polars as pl

from models.build import Inputs
from quality.agreement import Coefficient, counts_of, interval_alpha, krippendorff, percent
from quality.core._work import ESTIMATORS, UPSTREAM, Work, works

header = """
title: Datasets, task by task
grain: [task_id]
columns:
  task_id: The task whose labels these are.
  chain_id: Chain of the dataset; null where none is registered.
  dataset_id: The dataset the task feeds; null where none is registered.
  day: UTC day of the last submission.
  scale: What is labelled, classes (nominal) or numbers (interval).
  items: Items with at least one answer.
  labels: Answers, repeats counted once.
  workers: Workers who gave them.
  contradictory_labels: Times a worker gave one item a second, different label.
  submissions: Attempts handed in.
  approved: Attempts approved.
  decided: Attempts approved or rejected.
  acceptance_f64: approved over decided.
  percent_agreement_f64: Share of pairs of answers to one item that are equal; null for numbers.
  alpha_f64: Krippendorff's alpha; null where alpha_reason says why.
  alpha_reason: Why there is no alpha (no_pairs, no_variation).
  estimator: Whose labels are published (mv, wawa, one_coin, ds); null for numbers.
  gold_items: Gold items with a label.
  gold_mv: Of these, right by the majority vote.
  gold_wawa: Right by Wawa.
  gold_one_coin: Right by the one-coin model.
  gold_ds: Right by Dawid and Skene's model.
  gold_accuracy_f64: Share of gold items the published labels have right; null without gold.
  gold_low_f64: Lower end of its 95 % Wilson interval.
  gold_high_f64: Upper end.
  differing_items: Items on which DS and the majority differ.
  differing_f64: Their share of the items.
  belief: believed or contested; null for numbers.
  belief_reason: What decides it.
  duplicates: Attempts with the same content as an earlier one.
  part_acceptance_f64: Part of the score, acceptance.
  part_agreement_f64: Part of the score, alpha where it is above zero.
  part_gold_f64: Part of the score, lower end of the gold interval.
  part_consensus_f64: Part of the score, share of items on which DS and the majority agree.
  part_uniqueness_f64: Part of the score, share of attempts that repeat nothing.
  score_f64: Weighted mean of the parts that exist.
  score_version: Version of the weights.
rules:
  - unique(task_id)
  - nonnegative(items, labels, workers, submissions, approved, decided, differing_items, duplicates, gold_items)
  - at_most(approved, decided)
  - at_most(decided, submissions)
  - at_most(gold_ds, gold_items)
  - in_set(belief?, believed, contested)
  - in_set(scale, nominal, interval)
  - between(score_f64?, 0, 1)
  - warn(not_null(dataset_id))
metrics:
  acceptance: {ratio: [approved, decided], by: [task_id, chain_id, dataset_id], title: Acceptance,
    definition: "Approved attempts over decided ones."}
  disagreement: {ratio: [differing_items, items], by: [task_id, chain_id, dataset_id], title: Disagreement,
    definition: "Share of items on which DS and the majority differ; it says where to spend reviews."}
  labels: {sum: labels, by: [task_id, chain_id, dataset_id, belief], title: Labels, definition: "Distinct answers."}
"""
upstream = UPSTREAM
# Equal weights until somebody has a reason for others; a change is a new version beside the old numbers.
SCORE_VERSION, WEIGHTS = "1", {"acceptance": 1, "agreement": 1, "gold": 1, "consensus": 1, "uniqueness": 1}
_TYPES: dict[str, Any] = {
    "task_id": pl.String, "chain_id": pl.Int64, "dataset_id": pl.Int64, "day": pl.Date, "scale": pl.String,
    "items": pl.Int64, "labels": pl.Int64, "workers": pl.Int64, "contradictory_labels": pl.Int64,
    "submissions": pl.Int64, "approved": pl.Int64, "decided": pl.Int64, "acceptance_f64": pl.Float64,
    "percent_agreement_f64": pl.Float64, "alpha_f64": pl.Float64, "alpha_reason": pl.String, "estimator": pl.String,
    "gold_items": pl.Int64, "gold_mv": pl.Int64, "gold_wawa": pl.Int64, "gold_one_coin": pl.Int64, "gold_ds": pl.Int64,
    "gold_accuracy_f64": pl.Float64, "gold_low_f64": pl.Float64, "gold_high_f64": pl.Float64,
    "differing_items": pl.Int64, "differing_f64": pl.Float64, "belief": pl.String, "belief_reason": pl.String,
    "duplicates": pl.Int64, "part_acceptance_f64": pl.Float64, "part_agreement_f64": pl.Float64,
    "part_gold_f64": pl.Float64, "part_consensus_f64": pl.Float64, "part_uniqueness_f64": pl.Float64,
    "score_f64": pl.Float64, "score_version": pl.String,
}  # fmt: skip


def build(inputs: Inputs) -> pl.DataFrame:
    return pl.DataFrame([_dataset(work) for work in works(inputs)], schema=_TYPES)


def _dataset(work: Work) -> dict[str, Any]:
    statuses = dict(work.submissions["status"].value_counts().iter_rows())
    approved, decided = statuses.get("approved", 0), statuses.get("approved", 0) + statuses.get("rejected", 0)
    hashes = work.submissions["hash"].drop_nulls()
    total, duplicates = work.submissions.height, hashes.len() - hashes.n_unique()
    row: dict[str, Any] = {
        "task_id": work.task_id,
        "chain_id": work.chain_id,
        "dataset_id": work.dataset_id,
        "day": work.submissions["day"].max(),
        "submissions": total,
        "approved": approved,
        "decided": decided,
        "acceptance_f64": approved / decided if decided else None,
        "duplicates": duplicates,
        "score_version": SCORE_VERSION,
    }
    row |= _classes(work) if work.votes is not None else _numbers(work)
    parts = {
        "acceptance": row["acceptance_f64"],
        "agreement": None if row["alpha_f64"] is None else min(max(row["alpha_f64"], 0.0), 1.0),
        "gold": row["gold_low_f64"],
        "consensus": None if row["differing_f64"] is None else 1 - row["differing_f64"],
        "uniqueness": 1 - duplicates / total,
    }
    return row | {f"part_{name}_f64": value for name, value in parts.items()} | {"score_f64": score(parts)}


def score(parts: dict[str, float | None]) -> float | None:
    """The weighted mean of the parts that exist; a set without gold is not punished for it, its part shows null."""
    known = {name: value for name, value in parts.items() if value is not None}
    weight = sum(WEIGHTS[name] for name in known)
    return sum(WEIGHTS[name] * value for name, value in known.items()) / weight if weight else None


def _classes(work: Work) -> dict[str, Any]:
    votes = work.votes
    assert votes is not None
    counts = counts_of(votes.item, votes.label, len(votes.items), votes.k)
    alpha, rate = krippendorff(counts, "nominal"), work.rate(work.published)
    belief, reason = work.belief()
    return {
        "scale": "nominal",
        "items": len(votes.items),
        "labels": len(votes.item),
        "workers": len(votes.workers),
        "contradictory_labels": votes.contradictory_labels,
        "percent_agreement_f64": percent(counts).value,
        **_alpha(alpha),
        "estimator": work.published,
        "gold_items": work.gold_right["mv"][1],
        **{f"gold_{name}": work.gold_right[name][0] for name in ESTIMATORS},
        "gold_accuracy_f64": rate.value,
        "gold_low_f64": rate.low,
        "gold_high_f64": rate.high,
        "differing_items": work.differing,
        "differing_f64": work.differing / len(votes.items),
        "belief": belief,
        "belief_reason": reason,
    }


def _numbers(work: Work) -> dict[str, Any]:
    """A task that asks for a number: agreement on the interval scale, no classes to estimate."""
    given = (
        work.submissions.filter(pl.col("value").is_not_null())
        .unique(["item", "worker", "value"])
        .sort("item", "worker")
    )
    items = given["item"].unique().sort()
    codes = items.search_sorted(given["item"]).to_numpy().astype(np.int64)
    alpha = interval_alpha(codes, given["value"].to_numpy()) if given.height else Coefficient(None, 0, "no_pairs")
    none = dict.fromkeys(
        ("percent_agreement_f64", "estimator", "gold_accuracy_f64", "gold_low_f64", "gold_high_f64", "differing_f64",
         "belief", "belief_reason")
    )  # fmt: skip
    return {
        **none,
        "scale": "interval",
        "items": items.len(),
        "labels": given.height,
        "workers": given["worker"].n_unique(),
        "contradictory_labels": given.height - given.select("item", "worker").unique().height,
        **_alpha(alpha),
        "gold_items": 0,
        **{f"gold_{name}": 0 for name in ESTIMATORS},
        "differing_items": 0,
    }


def _alpha(alpha: Coefficient) -> dict[str, Any]:
    return {"alpha_f64": alpha.value, "alpha_reason": alpha.reason}
