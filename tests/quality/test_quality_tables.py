"""Item, worker and dataset quality in a lake: from submissions and reviews to rows behind their gate."""

import os
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import quality
from guelta.lake import Lake
from guelta.lake.schema import Bytes, Day, Float64, Int32, Int64, Text, Timestamp, spec
from models.build import build
from quality.check import check
from quality.core.dataset_quality import score
from quality.core.worker_quality import reviewer_agreement
from quality.fraud import constant_labels, copying, too_fast

SHARED = Path(os.environ.get("GUELTA_SHARED", Path(__file__).parents[3] / "shared"))
CROWD = next((p for p in (SHARED / "crowd", SHARED / "data" / "crowd") if p.is_dir()), None)
START = datetime(2026, 9, 1, tzinfo=UTC)

SUBMISSIONS = spec(
    "core.submissions",
    {
        "submission_id": Text, "task_id": Text, "item_id": Text, "annotator": Text, "label": Int32,
        "value_f64": Float64, "seconds": Int32, "content_hash": Bytes, "submitted_at": Timestamp, "status": Text,
        "day": Day,
    },
    key=("submission_id",),
)  # fmt: skip
REVIEWS = spec(
    "core.reviews",
    {"review_id": Text, "submission_id": Text, "reviewer": Text, "round": Int32, "decision": Text},
    key=("review_id",),
)
GOLD = spec("core.gold", {"task_id": Text, "item_id": Text, "label": Int32}, key=("task_id", "item_id"))
TASKS = spec(
    "core.tasks",
    {"task_id": Text, "version": Int32, "chain_id": Int64, "dataset_id": Int64, "label_count": Int32},
    key=("task_id", "version"),
)
NAMES = ("core.item_quality", "core.worker_quality", "core.dataset_quality")


def submissions(task: str, labels: pl.DataFrame, *, column: str = "label") -> pl.DataFrame:
    """Rows of core.submissions from item, worker, label; every tenth is rejected, contents are distinct."""
    n = labels.height
    return pl.DataFrame(
        {
            "submission_id": [f"{task}-{i}" for i in range(n)],
            "task_id": task,
            "item_id": labels["item"].cast(pl.String),
            "annotator": labels["worker"].cast(pl.String),
            "label": labels["label"].cast(pl.Int32) if column == "label" else pl.Series([None] * n, dtype=pl.Int32),
            "value_f64": labels["label"].cast(pl.Float64)
            if column != "label"
            else pl.Series([None] * n, dtype=pl.Float64),
            "seconds": pl.Series([20 + i % 30 for i in range(n)], dtype=pl.Int32),
            "content_hash": [f"{task}{i - 1 if i == 9 else i}".encode() for i in range(n)],
            "submitted_at": [START + timedelta(seconds=i) for i in range(n)],
            "status": ["rejected" if i % 10 == 9 else "approved" for i in range(n)],
            "day": date(2026, 9, 1),
        }
    )


def a_lake(folder: Path, work: pl.DataFrame, gold: pl.DataFrame, tasks: list[tuple[str, int | None]]) -> Lake:
    lake = Lake(folder / "lake")
    lake.create(SUBMISSIONS).append(work.with_columns(pl.col("submitted_at").dt.cast_time_unit("us")))
    first = work["submission_id"][0]
    said = [("r1", "ann", "approve"), ("r2", "bob", "approve"), ("r3", "cat", "disapprove")]
    reviews = pl.DataFrame(
        [(i, first, who, 1, what) for i, who, what in said], orient="row", schema=REVIEWS.schema.names
    )
    lake.create(REVIEWS).append(reviews.with_columns(pl.col("round").cast(pl.Int32)))
    lake.create(GOLD).append(gold)
    rows = [(task, 1, 1337, n, k) for n, (task, k) in enumerate(tasks)]
    kinds = {
        "task_id": pl.String,
        "version": pl.Int32,
        "chain_id": pl.Int64,
        "dataset_id": pl.Int64,
        "label_count": pl.Int32,
    }
    lake.create(TASKS).append(pl.DataFrame(rows, orient="row", schema=kinds))
    return lake


def read(lake: Lake, name: str) -> pl.DataFrame:
    frame = pl.from_arrow(lake.table(name).read())
    assert isinstance(frame, pl.DataFrame)
    return frame


def test_a_task_of_classes_and_a_task_of_numbers_reach_the_three_tables(tmp_path):
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 120)
    votes = [(i, f"w{w}", int(truth[i] if rng.random() < 0.9 else 1 - truth[i])) for i in range(120) for w in range(5)]
    classes = pl.DataFrame(votes, orient="row", schema=["item", "worker", "label"])
    numbers = pl.DataFrame(
        [(i, f"w{w}", i + w) for i in range(6) for w in range(3)], orient="row", schema=["item", "worker", "label"]
    )
    work = pl.concat([submissions("kinds", classes), submissions("sizes", numbers, column="value")])
    gold = pl.DataFrame({"task_id": "kinds", "item_id": [str(i) for i in range(110)], "label": truth[:110]})
    lake = a_lake(tmp_path, work, gold.with_columns(pl.col("label").cast(pl.Int32)), [("kinds", 2), ("sizes", None)])
    build(lake, quality.tables(), selection=NAMES, gate=quality.gate(lake))

    items, datasets = read(lake, "core.item_quality"), read(lake, "core.dataset_quality")
    assert items.height == 120
    assert (items["published"].to_numpy() == truth[items["item_id"].cast(pl.Int64).to_numpy()]).mean() > 0.97
    kinds, sizes = datasets.sort("task_id").to_dicts()
    assert (kinds["items"], kinds["labels"], kinds["workers"], kinds["duplicates"]) == (120, 600, 5, 1)
    assert (kinds["approved"], kinds["decided"], kinds["belief"]) == (540, 600, "believed")
    assert kinds["gold_items"] == 110
    assert max(kinds[f"gold_{e}"] for e in ("mv", "wawa", "one_coin", "ds")) == kinds[f"gold_{kinds['estimator']}"]
    assert (sizes["scale"], sizes["items"], sizes["labels"], sizes["belief"]) == ("interval", 6, 18, None)
    assert 0 < sizes["alpha_f64"] < 1
    workers = read(lake, "core.worker_quality").filter(pl.col("task_id") == "kinds")
    by_name = {row["worker"]: row for row in workers.to_dicts()}
    assert (by_name["w0"]["approved"], by_name["w0"]["reviewed"], by_name["w0"]["annotator_accuracy_f64"]) == (
        1,
        1,
        1.0,
    )
    assert (by_name["ann"]["agreed_numerator"], by_name["ann"]["agreed_denominator"]) == (1, 2)
    assert (by_name["cat"]["reviewer_accuracy_f64"], by_name["cat"]["submissions"]) == (0.0, 0)
    assert by_name["w1"]["gold_low_f64"] < by_name["w1"]["gold_accuracy_f64"] < by_name["w1"]["gold_high_f64"]

    report = check(lake, [*NAMES, "core.gold"])
    assert (report.passed, [one.rule_id for one in report.failing if one.severity == "critical"]) == (True, [])


def test_reviewer_accuracy_is_the_share_of_the_other_reviewers_who_decided_the_same():
    said = {"s1": "aab", "s2": "ab", "s3": "a"}  # decisions of r0, r1, r2 on three annotations
    rows = [(s, f"r{i}", 1, d) for s, decisions in said.items() for i, d in enumerate(decisions)]
    rows.append(("s2", "r1", 2, "a"))  # r1 thought again in the second round
    reviews = pl.DataFrame(rows, orient="row", schema=["submission_id", "reviewer", "round", "decision"])
    assert reviewer_agreement(reviews) == {
        "r0": (Fraction(1, 2) + 1, 2, 1),
        "r1": (Fraction(1, 2) + 1, 2, 0),
        "r2": (Fraction(0), 1, 0),
    }


def test_signals_point_at_the_fast_the_constant_and_the_copying_and_at_nobody_else():
    rng = np.random.default_rng(11)
    truth, rows = rng.integers(0, 4, 200), []
    wrong = {w: [int(x) for x in rng.integers(0, 4, 200)] for w in range(8)}
    wrong[7] = wrong[6]  # w7 copies w6's answers, mistakes and all
    miss = {w: rng.random(200) < 0.3 for w in range(8)}
    miss[7] = miss[6]
    for w in range(8):
        for i in range(200):
            label = wrong[w][i] if miss[w][i] else int(truth[i])
            rows.append((i, f"w{w}", 2 if w == 5 else label, 3 if w == 4 else 30 + (i * 7 + w) % 20, i))
    labels = pl.DataFrame(rows, orient="row", schema=["item", "worker", "label", "seconds", "at"])
    assert too_fast(labels) == {"w4"}
    assert constant_labels(labels) == {"w5"}
    aggregate = pl.DataFrame({"item": np.arange(200), "label": truth})
    assert [(pair.first, pair.second) for pair in copying(labels, aggregate)] == [("w6", "w7")]


def test_the_score_is_the_mean_of_the_parts_that_exist():
    parts = {"acceptance": 0.5, "agreement": None, "gold": 1.0, "consensus": 0.75, "uniqueness": 0.75}
    assert score(parts) == 0.75
    assert score(dict.fromkeys(parts)) is None


@pytest.mark.skipif(CROWD is None, reason=f"no recorded crowd sets below {SHARED}: set GUELTA_SHARED")
def test_recorded_sets_are_judged_by_the_estimator_that_their_gold_prefers(tmp_path):
    chosen = {"bluebird": ("ds", 97), "MS": ("wawa", 559)}
    frames, golds = [], []
    for name in chosen:
        task = f"crowd:{name}"
        frames.append(submissions(task, pl.read_csv(CROWD / name / "label.csv.gz")))
        truth = pl.read_csv(CROWD / name / "truth.csv").unique("item")
        golds.append(
            truth.select(
                task_id=pl.lit(task), item_id=pl.col("item").cast(pl.String), label=pl.col("truth").cast(pl.Int32)
            )
        )
    lake = a_lake(tmp_path, pl.concat(frames), pl.concat(golds), [(f"crowd:{name}", None) for name in chosen])
    build(lake, quality.tables(), selection=["core.dataset_quality"])
    found = {row["task_id"]: row for row in read(lake, "core.dataset_quality").to_dicts()}
    for name, (estimator, right) in chosen.items():
        row = found[f"crowd:{name}"]
        assert (row["estimator"], row[f"gold_{estimator}"]) == (estimator, right)
