"""An answer over time, laid out for a chart: buckets with their ends, and whether one is still running."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from dashboards.lookups import Token
from models.metrics import Answer


def over_time(answer: Answer, grain: str) -> pl.DataFrame:
    """The answer's frame with each bucket's ends (``from``, ``to``) and whether it is still running (``partial``)."""
    frame = answer.frame.with_columns(pl.col(grain).cast(pl.Date)).sort(grain)
    first, last = frame[grain].min(), frame[grain].max()
    cut_first, cut_last = answer.partial
    ends_cut = [day for day, cut in ((first, cut_first), (last, cut_last)) if cut and day is not None]
    running = pl.col(grain).is_in(ends_cut)
    step = {"day": "1d", "week": "1w", "month": "1mo"}[grain]
    ends = pl.col(grain).cast(pl.Datetime("us", "UTC"))
    return frame.with_columns(
        ends.alias("from"),
        (ends.dt.offset_by(step) - pl.duration(hours={"day": 4, "week": 20, "month": 48}[grain])).alias("to"),
        running.alias("partial"),
    )


def long(frame: pl.DataFrame, names: Mapping[str, str], token: Token) -> pl.DataFrame:
    """One row a bucket and money metric, for a stacked chart; ``exact`` and ``when`` are for reading."""
    parts = [
        frame.select(
            "from",
            "to",
            "partial",
            pl.lit(label).alias("who"),
            pl.col(f"{name}_f64").fill_null(0.0).alias("value"),
            pl.Series("exact", [token.exact(amount) for amount in frame[name]], pl.String),
            pl.col("from").dt.strftime("%Y-%m-%d").alias("when"),
        )
        for name, label in names.items()
    ]
    return pl.concat(parts)


def labelled(frame: pl.DataFrame, key: str, labels: Mapping[Any, str], name: str, token: Token) -> pl.DataFrame:
    """Like ``long`` for one money metric by ``key``: rows whose keys share a label are added up, exactly."""
    sums: dict[tuple[Any, ...], int] = {}
    for row in frame.iter_rows(named=True):
        place = (row["from"], row["to"], row["partial"], labels.get(row[key], "Others"))
        sums[place] = sums.get(place, 0) + int(row[name] or 0)
    kinds = frame.select("from", "to", "partial").schema | {"who": pl.String}
    return pl.DataFrame(list(sums), kinds, orient="row").with_columns(
        pl.Series("value", [token.shown(amount) for amount in sums.values()], pl.Float64),
        pl.Series("exact", [token.exact(amount) for amount in sums.values()], pl.String),
        pl.col("from").dt.strftime("%Y-%m-%d").alias("when"),
    )


def complete(frame: pl.DataFrame, column: str) -> list[float]:
    """The closed buckets of one column, for a sparkline."""
    return frame.filter(~pl.col("partial"))[column].cast(pl.Float64).fill_null(0.0).to_list()


def sparks(answer: Answer, key: Sequence[str], value: str, grain: str = "week") -> pl.DataFrame:
    """One row a key with its closed buckets as a list, gaps filled with 0: ``trend`` of a table."""
    frame = over_time(answer, grain).filter(~pl.col("partial"))
    if frame.is_empty():
        return pl.DataFrame(schema={name: answer.frame.schema[name] for name in key} | {"trend": pl.List(pl.Float64)})
    buckets = frame.select(grain).unique()
    grid = frame.select(key).unique().join(buckets, how="cross")
    filled = grid.join(
        frame.select(*key, grain, pl.col(value).cast(pl.Float64)), on=[*key, grain], how="left", nulls_equal=True
    )
    return filled.sort(grain).group_by(key).agg(pl.col(value).fill_null(0.0).alias("trend"))
