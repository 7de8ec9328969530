"""The numbers a page begins with, each with its exact value, its change and its course."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import streamlit as st

from dashboards import figures, series, wording
from dashboards.lookups import Token
from models.metrics import Answer


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    value: float | int | str | None
    help: str = ""
    number: str | None = "compact"
    delta: float | None = None  # a share: 0.12 is +12 %
    against: str = ""
    spark: Sequence[float] = ()
    good: str = "normal"  # inverse where less is better, off where neither is


def row(items: Sequence[Tile], *, least_width: int = 168) -> None:
    """The numbers a page begins with, in one row that wraps on a narrow screen."""
    with st.grid(columns=len(items), min_column_width=least_width, gap="small"):
        for tile in items:
            st.metric(
                tile.label,
                tile.value,
                None if tile.delta is None else f"{tile.delta:+.1%}",
                help=tile.help or None,
                border=True,
                height="stretch",
                format=None if isinstance(tile.value, str) else tile.number,
                delta_color=tile.good if tile.delta is not None else "primary",
                delta_description=tile.against if tile.delta is not None else None,
                chart_data=list(tile.spark) if len(tile.spark) > 1 else None,
                chart_type="area",
            )


def money(label: str, answer: Answer, name: str, token: Token, against: str, flow: pl.DataFrame | None = None) -> Tile:
    """A tile of whole tokens; the tooltip holds every digit."""
    amount = figures.number(answer, name)
    spark = spark_of(flow, f"{name}_f64")
    return Tile(label, token.shown(amount), token.said(amount), "compact", figures.change(answer, name), against, spark)


def amount(label: str, units: int, token: Token, spark: Sequence[float] = ()) -> Tile:
    """A tile of an amount in base units."""
    return Tile(label, token.shown(units), token.said(units), "compact", spark=spark)


def milliseconds(label: str, answer: Answer, name: str, against: str, flow: pl.DataFrame | None = None) -> Tile:
    """A tile of a latency; less is better, and a histogram of 2 % buckets says no more than three digits."""
    value = figures.number(answer, name)
    spark = spark_of(flow, name)
    shown = None if value is None else f"{float(value):.3g} ms" if value < 1000 else f"{float(value) / 1000:.3g} s"
    says = "From a histogram of 2 % buckets: within 1 % of the truth."
    return Tile(label, shown, says, None, figures.change(answer, name), against, spark, "inverse")


def ratio(label: str, answer: Answer, name: str, says: str, against: str, flow: pl.DataFrame | None = None) -> Tile:
    """A tile of a share in percent; it moves in percentage points, so no delta in percent stands beside it."""
    spark = spark_of(flow, name)
    return Tile(label, figures.number(answer, name), says, "percent", None, against, spark)


def count(
    label: str, answer: Answer, name: str, against: str, flow: pl.DataFrame | None = None, good: str = "normal"
) -> Tile:
    amount = figures.number(answer, name)
    spark = spark_of(flow, name)
    said = f"Exactly {wording.grouped(str(amount))}" if isinstance(amount, int) else ""
    return Tile(label, amount, said, "compact", figures.change(answer, name), against, spark, good)


def spark_of(flow: pl.DataFrame | None, column: str) -> Sequence[float]:
    return () if flow is None or column not in flow.columns else series.complete(flow, column)
