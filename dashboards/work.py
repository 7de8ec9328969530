"""How annotation work is laid out: tasks and workers by name, shares with their interval and their number."""

import polars as pl

from dashboards import figures

ESTIMATORS = {"mv": "Majority", "wawa": "Wawa", "one_coin": "One coin", "ds": "Dawid-Skene"}


def tasks(found: pl.DataFrame) -> pl.DataFrame:
    """Task rows with ``name``, ``gold`` (share, interval, n) and the published estimator's name."""
    twice = pl.col("title").is_duplicated()  # a chart's axis needs one name a task
    return found.with_columns(
        pl.when(twice).then(pl.format("{} ({})", "title", "task_id")).otherwise("title").alias("name"),
        _share().alias("gold"),
        pl.col("estimator").replace(ESTIMATORS).alias("estimator_name"),
    )


def workers(found: pl.DataFrame, tasks_: pl.DataFrame) -> pl.DataFrame:
    """Worker rows by name, those with most signals first."""
    if found.is_empty():
        return found
    return (
        found.with_columns(
            pl.col("name").alias("who"),
            pl.col("task_id").replace(dict(tasks_.select("task_id", "name").iter_rows())).alias("task"),
            pl.col("flags").fill_null("").str.replace_all("_", " ").str.replace_all(",", " · ").alias("signals"),
            _share().alias("gold"),
            pl.col("flags").fill_null("").str.count_matches(r"\w+").alias("signal_count"),
        )
        .sort("signal_count", "labels", "task_id", "worker", descending=[True, True, False, False])
        .drop("signal_count")
    )


def estimators(found: pl.DataFrame) -> pl.DataFrame:
    """One row a task and estimator: the share of gold items it has right."""
    rows = [
        (
            row["name"],
            label,
            figures.part(row[f"gold_{short}"], row["gold_items"]),
            f"{row[f'gold_{short}']} of {row['gold_items']}",
        )
        for row in found.iter_rows(named=True)
        for short, label in ESTIMATORS.items()
        if row["gold_items"] and row[f"gold_{short}"] is not None
    ]
    columns = {"name": pl.String, "estimator": pl.String, "accuracy": pl.Float64, "right": pl.String}
    return pl.DataFrame(rows, columns, orient="row")


def _share() -> pl.Expr:
    """``91.2 % (88.0–93.6), n 250``: a share without its interval and its number is half a number."""
    percent = {end: (pl.col(f"gold_{end}_f64") * 100).round(1).cast(pl.String) for end in ("accuracy", "low", "high")}
    return pl.when(pl.col("gold_accuracy_f64").is_not_null()).then(
        pl.format("{} % ({}–{}), n {}", percent["accuracy"], percent["low"], percent["high"], "gold_items")
    )
