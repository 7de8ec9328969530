"""Recorded label sets: a folder for each, with who gave which item which label, and the truth where it is known."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from guelta.lake import Lake
from guelta.settings import Settings
from indexer.sources import tables
from indexer.sources.landing import Landing, PullResult, Visit

if TYPE_CHECKING:
    from indexer.sources import Progress

TITLE = "Label sets"
TABLES = (tables.TASKS, tables.SUBMISSIONS, tables.GOLD)
UNDATED = "1970-01-01T00:00:00Z"  # the sets carry no times, and none is made up
_LABELS, _ANSWERS, _TRUTH = "label.csv.gz", "answer.csv", "truth.csv"
_COLUMNS = {
    _LABELS: ("item", "worker", "label"),
    _ANSWERS: ("question", "worker", "answer"),
    _TRUTH: ("item", "truth"),
}


def absent(settings: Settings) -> str | None:
    folder = settings.annotations
    if folder is None or not Path(folder).is_dir():
        return "no folder of label sets is named; set GUELTA_ANNOTATIONS to one that holds SET/label.csv.gz"
    return None


def pull(settings: Settings, lake: Lake, visit: Visit, progress: "Progress | None" = None) -> Iterator[PullResult]:
    """Read every set whose files changed. A folder that cannot be read is named, and the others are read."""
    landings = [Landing(lake, "annotations", contract, full=visit.full) for contract in TABLES]
    sets, marks, notes = list[Path](), dict[str, str](), list[str]()
    for folder in sorted(path for path in Path(settings.annotations or "").iterdir() if path.is_dir()):
        try:
            mark = _fingerprint(folder)
            if any(landing.seen.get(folder.name) != mark for landing in landings):
                _readable(folder)
        except (OSError, EOFError, UnicodeDecodeError, pl.exceptions.PolarsError, _NoSet) as error:
            notes.append(f"{folder.name} is not read: {str(error).partition(chr(10))[0]}")
            continue
        sets.append(folder)
        marks[folder.name] = mark
    for contract, landing, read in zip(TABLES, landings, (_task, _submissions, _gold), strict=True):
        changed = [folder for folder in sets if landing.seen.get(folder.name) != marks[folder.name]]
        rows = pl.concat([read(folder) for folder in changed], how="diagonal") if changed else pl.DataFrame()
        result = landing.land(rows, landing.seen | marks, notes=notes)
        if progress:
            progress(contract.table, result.rows)
        yield result


class _NoSet(Exception):
    """A folder whose files are not those of a label set."""


def _readable(folder: Path) -> None:
    if not any((folder / name).is_file() for name in (_LABELS, _ANSWERS)):
        raise _NoSet(f"it holds neither {_LABELS} nor {_ANSWERS}")
    used = (_ANSWERS,) if (folder / _ANSWERS).is_file() else (_LABELS, _TRUTH)
    for name in used:
        if (folder / name).is_file():
            columns = _COLUMNS[name]
            found = pl.read_csv(folder / name, infer_schema=False).columns
            if not set(columns) <= set(found):
                raise _NoSet(f"in {name}: expected the columns {', '.join(columns)}, found {', '.join(found)}")


def _task(folder: Path) -> pl.DataFrame:
    numeric = (folder / _ANSWERS).is_file()
    labels = 0 if numeric else _labels(folder)["label"].n_unique()
    return pl.DataFrame(
        {
            "task_id": [f"crowd:{folder.name}"],
            "version": ["1"],
            "title": [f"Recorded label set {folder.name}"],
            "data_type": ["numeric" if numeric else "label"],
            "label_count": [str(labels)],
            "valid_from": [UNDATED],
            "updated_at": [UNDATED],
        }
    )


def _submissions(folder: Path) -> pl.DataFrame:
    task = f"crowd:{folder.name}"
    if (folder / _ANSWERS).is_file():
        rows = pl.read_csv(folder / _ANSWERS, infer_schema=False)
        rows = rows.rename({"question": "item", "answer": "value_f64"})
    else:
        rows = _labels(folder)
    # The number of the line names the row: a worker may label an item twice, and both are kept.
    return rows.with_row_index("line", offset=2).select(
        pl.format("{}:{}", pl.lit(task), pl.col("line")).alias("submission_id"),
        pl.lit(task).alias("task_id"),
        pl.format("{}:{}", pl.lit(task), pl.col("item")).alias("item_id"),
        pl.format("{}:{}", pl.lit(task), pl.col("worker")).alias("annotator_id"),
        *(pl.col(name) for name in ("label", "value_f64") if name in rows.columns),
        pl.lit(UNDATED).alias("submitted_at"),
        pl.lit("submitted").alias("status"),
        pl.lit(UNDATED).alias("updated_at"),
    )


def _gold(folder: Path) -> pl.DataFrame:
    if not (folder / _TRUTH).is_file() or (folder / _ANSWERS).is_file():
        return pl.DataFrame(schema=dict.fromkeys(("task_id", "item_id", "label", "updated_at"), pl.String))
    task = f"crowd:{folder.name}"
    return pl.read_csv(folder / _TRUTH, infer_schema=False).select(
        pl.lit(task).alias("task_id"),
        pl.format("{}:{}", pl.lit(task), pl.col("item")).alias("item_id"),
        pl.col("truth").alias("label"),
        pl.lit(UNDATED).alias("updated_at"),
    )


def _labels(folder: Path) -> pl.DataFrame:
    return pl.read_csv(folder / _LABELS, infer_schema=False)


def _fingerprint(folder: Path) -> str:
    files = [folder / name for name in (_LABELS, _ANSWERS, _TRUTH)]
    return sha256(b"".join(file.read_bytes() for file in files if file.is_file())).hexdigest()[:32]
