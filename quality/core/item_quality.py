"""What each labelled item most likely is, by every estimator, and where they disagree."""

from typing import Any

import numpy as np
import polars as pl

from models.build import Inputs
from quality.core._work import UPSTREAM, Work, entropy_bits, works
from quality.estimators import majority

header = """
title: Labelled items, with the estimators side by side
grain: [task_id, item_id]
columns:
  task_id: The task.
  item_id: The item.
  dataset_id: The dataset the task feeds; null where none is registered.
  day: UTC day of the last submission for the item.
  labels: Distinct labels given, one for each worker and label.
  workers: Workers who labelled it.
  mv: Majority vote; the first label among equals.
  mv_tied: How many labels share the majority; 1 where it is clear.
  wawa: Label by workers weighted with their agreement with the majority.
  one_coin: Label by the one-coin model.
  ds: Label by Dawid and Skene's model.
  published: The label that counts.
  estimator: Who gave it (mv, wawa, one_coin, ds).
  gold: The known label, where there is one.
  disagree: Whether the estimators give more than one label.
  support_f64: Share of the labels that say the published one.
  posterior_f64: Probability of the DS label.
  entropy_f64: Entropy of the DS posterior in bits; high means ask again.
rules:
  - unique(task_id, item_id)
  - not_null(mv, ds, published, estimator, disagree)
  - positive(labels, workers, mv_tied)
  - between(posterior_f64, 0, 1.000001)
  - nonnegative(entropy_f64)
  - in_set(estimator, mv, wawa, one_coin, ds)
metrics:
  labelled_items: {distinct: [task_id, item_id], by: [task_id, dataset_id, estimator, disagree], unit: count,
    title: Labelled items, definition: "Items with at least one label."}
"""
upstream = UPSTREAM
_TYPES: dict[str, Any] = {
    "task_id": pl.String, "item_id": pl.String, "dataset_id": pl.Int64, "day": pl.Date, "labels": pl.Int32,
    "workers": pl.Int32, "mv": pl.Int32, "mv_tied": pl.Int32, "wawa": pl.Int32, "one_coin": pl.Int32, "ds": pl.Int32,
    "published": pl.Int32, "estimator": pl.String, "gold": pl.Int32, "disagree": pl.Boolean, "support_f64": pl.Float64,
    "posterior_f64": pl.Float64, "entropy_f64": pl.Float64,
}  # fmt: skip


def build(inputs: Inputs) -> pl.DataFrame:
    parts = [_items(work) for work in works(inputs) if work.votes is not None]
    return pl.concat(parts) if parts else pl.DataFrame(schema=_TYPES)


def _items(work: Work) -> pl.DataFrame:
    assert work.votes is not None
    mv, ds = work.fits["mv"].posterior, work.fits["ds"].posterior
    seen = work.labels.group_by("item").agg(pl.col("day").max(), pl.col("worker").n_unique().alias("workers"))
    chosen = work.votes.classes.search_sorted(work.answers[work.published])
    frame = work.answers.with_columns(
        pl.lit(work.task_id).alias("task_id"),
        pl.lit(work.dataset_id, dtype=pl.Int64).alias("dataset_id"),
        pl.lit(work.published).alias("estimator"),
        pl.col(work.published).alias("published"),
        pl.Series("labels", np.bincount(work.votes.item, minlength=len(mv))),
        pl.Series("mv_tied", majority.tied(mv)),
        pl.Series("support_f64", mv[np.arange(len(mv)), chosen.to_numpy()]),
        pl.Series("posterior_f64", ds.max(axis=1)),
        pl.Series("entropy_f64", entropy_bits(ds)),
        pl.any_horizontal(pl.col("mv") != pl.col(name) for name in ("wawa", "one_coin", "ds")).alias("disagree"),
    )
    joined = frame.join(seen, on="item", maintain_order="left").rename({"item": "item_id"})
    return joined.select(pl.col(name).cast(kind) for name, kind in _TYPES.items())
