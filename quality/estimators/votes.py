"""Annotations as dense integer codes, and what an estimator makes of them."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

Codes = npt.NDArray[np.integer]
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """``posterior`` is items x classes, ``skill`` one number a worker, ``confusion`` (worker, true, given) if any."""

    posterior: Reals
    prior: Reals
    skill: Reals
    loss: tuple[float, ...] = ()
    iterations: int = 0
    stopped_by: str = "closed_form"
    confusion: Reals | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Votes:
    """Distinct (item, worker, label) triples; ``items``, ``workers``, ``classes`` translate the codes back."""

    item: Codes
    worker: Codes
    label: Codes
    items: pl.Series
    workers: pl.Series
    classes: pl.Series
    contradictory_labels: int

    @property
    def k(self) -> int:
        return len(self.classes)


def votes_of(frame: pl.DataFrame, classes: int | None = None) -> Votes:
    """Codes of a frame with columns item, worker, label; repeats count once, contradictions stay and are counted.

    Args:
        frame: one row an annotation; rows without a label are left out.
        classes: how many labels the task offers (0 .. classes-1); by default the labels that were seen.
    """
    triples = frame.select("item", "worker", "label").drop_nulls().unique().sort("item", "worker", "label")
    pairs = triples.select("item", "worker").unique().height
    seen = triples["label"].unique().sort()
    # A label outside 0 .. classes-1 stays a label of its own: it is somebody's answer, not an error of ours.
    offered = pl.Series("label", range(classes or 0), dtype=seen.dtype)
    kinds = pl.concat([offered, seen]).unique().sort()
    items, workers = triples["item"].unique().sort(), triples["worker"].unique().sort()
    return Votes(
        item=items.search_sorted(triples["item"]).to_numpy().astype(np.int32),
        worker=workers.search_sorted(triples["worker"]).to_numpy().astype(np.int32),
        label=kinds.search_sorted(triples["label"]).to_numpy().astype(np.int16),
        items=items,
        workers=workers,
        classes=kinds,
        contradictory_labels=triples.height - pairs,
    )


def labels_of(fit: Fit) -> Codes:
    """The most probable class of each item; among equals the first in code order (the published tie rule)."""
    return np.asarray(fit.posterior.argmax(axis=1))
