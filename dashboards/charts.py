"""The house's few chart shapes. Colours, fonts and themes come from .streamlit/config.toml; a shape sets the marks.

The bucket of a period that is still running is drawn pale and dashed: otherwise the right edge shows a fall that
never happened. Shapes take frames of numbers made for the eye; exact digits travel along as text for the tooltips.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import polars as pl
import streamlit as st
from altair.utils import schemapi

schemapi.disable_debug_mode()  # each part would be checked when made, and the whole again when drawn
HEIGHT = 300
PALE = 0.35
PADDING = {"top": 0, "left": 2, "right": 14, "bottom": 4}
NEUTRAL = "#9498a0"  # the palette's grey: 3:1 or more on both backgrounds


def show(chart: alt.TopLevelMixin, *, says: str) -> None:
    """Draw ``chart``; ``says`` is what a person who cannot see it should know."""
    st.altair_chart(chart, width="stretch", alt=says)


def bars(
    frame: pl.DataFrame,
    value: str,
    series: str,
    *,
    unit: str,
    order: Sequence[str],
    tips: Mapping[str, str],
    share: bool = False,
    height: int = HEIGHT,
) -> alt.TopLevelMixin:
    """Stacked bars over time: columns ``from`` and ``to`` (the bucket), ``partial``, the value and the series."""
    places = {name: place for place, name in enumerate(order)}
    placed = frame.with_columns(pl.col(series).replace_strict(places, default=len(places)).alias("place"))
    if share:
        whole = pl.col(value).sum().over("from")
        placed = placed.with_columns(pl.when(whole > 0).then(pl.col(value) / whole).otherwise(0.0).alias(value))
    stacked = placed.sort("from", "place").with_columns(pl.col(value).cum_sum().over("from").alias("top"))
    return (
        alt.Chart(
            stacked.with_columns(
                (pl.col("top") - pl.col(value)).alias("bottom"), pl.col("partial").cast(pl.Int8).alias("pale")
            )
        )
        .mark_rect(stroke=None, cornerRadius=1)
        .encode(
            alt.X("from:T", axis=_days(), scale=alt.Scale(type="utc")),
            alt.Y(
                "bottom:Q",
                axis=_values(".0%" if share else "~s", unit if len(order) == 1 else None),
                scale=alt.Scale(zero=True),
            ),
            x2="to:T",
            y2="top:Q",
            color=_colour(series, order, unit),
            opacity=alt.Opacity("pale:Q", scale=alt.Scale(domain=[0, 1], range=[0.95, PALE]), legend=None),
            tooltip=_tips(tips),
        )
        .properties(height=height, padding=PADDING)
    )


def lines(
    frame: pl.DataFrame,
    value: str,
    series: str,
    *,
    unit: str,
    order: Sequence[str],
    tips: Mapping[str, str],
    log: bool = False,
    height: int = HEIGHT,
) -> alt.TopLevelMixin:
    """A line a series over the buckets' ``from``; the way into a running bucket is dashed."""
    last = frame.filter(~pl.col("partial")).group_by(series).agg(pl.col("from").max().alias("last"))
    marked = frame.join(last, on=series, how="left", maintain_order="left")
    tail = marked.filter(pl.col("from") >= pl.col("last"))
    scale = alt.Scale(type="log", nice=False) if log else alt.Scale(zero=True)
    y = alt.Y(
        f"{value}:Q",
        axis=_values("~s", unit if len(order) == 1 else None, _decades(frame[value]) if log else None),
        scale=scale,
    )
    common = {
        "x": alt.X("from:T", axis=_days(), scale=alt.Scale(type="utc")),
        "y": y,
        "color": _colour(series, order, unit, "stroke"),
        "tooltip": _tips(tips),
    }
    whole = (
        alt.Chart(frame.filter(~pl.col("partial"))).mark_line(strokeWidth=2, interpolate="monotone").encode(**common)
    )
    running = alt.Chart(tail).mark_line(strokeWidth=1.5, strokeDash=[4, 3], opacity=0.7).encode(**common)
    touch = alt.Chart(frame).mark_point(size=90, opacity=0).encode(**common)
    return (whole + running + touch).properties(height=height, padding=PADDING)


def lorenz(points: pl.DataFrame, *, height: int = HEIGHT) -> alt.TopLevelMixin:
    """Columns ``people`` and ``held``: the share of earners, poorest first, and the share of earnings they hold."""
    x = alt.X("people:Q", axis=_plain(".0%", "of earners, from the least to the most"), scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("held:Q", axis=_values(".0%", "of earnings"), scale=alt.Scale(domain=[0, 1]))
    even = (
        alt.Chart(pl.DataFrame({"people": [0.0, 1.0], "held": [0.0, 1.0]}))
        .mark_line(strokeDash=[4, 4], strokeWidth=1.2, color=NEUTRAL)
        .encode(x, y)
    )
    tips = _tips({"people": "share of earners", "held": "share of earnings"}, number=".1%")
    held = alt.Chart(points).mark_area(line={"strokeWidth": 2}, opacity=0.22).encode(x, y, tooltip=tips)
    return (held + even).properties(height=height, padding=PADDING)


def intervals(
    frame: pl.DataFrame,
    label: str,
    value: str,
    low: str,
    high: str,
    *,
    colour: str,
    order: Sequence[str],
    unit: str,
    tips: Mapping[str, str],
) -> alt.TopLevelMixin:
    """A dot with its interval per label, best first: a number without its interval is half a number."""
    y = alt.Y(f"{label}:N", sort=alt.EncodingSortField(value, order="descending"), axis=_names())
    domain = alt.Scale(zero=False, nice=True)
    span = alt.Chart(frame).mark_rule(strokeWidth=2.5, opacity=0.5, strokeCap="round")
    dots = alt.Chart(frame).mark_point(filled=True, size=90, opacity=1)
    x = alt.X(f"{value}:Q", axis=_plain(".0%", unit), scale=domain)
    return (
        span.encode(
            alt.X(f"{low}:Q", scale=domain, axis=_plain(".0%", unit)),
            y,
            x2=f"{high}:Q",
            color=_colour(colour, order, symbol=None),
        )
        + dots.encode(x, y, color=_colour(colour, order, symbol=None), shape=_shape(colour, order), tooltip=_tips(tips))
    ).properties(height=max(120, 26 * frame.height + 40))


def dots(
    frame: pl.DataFrame,
    label: str,
    value: str,
    series: str,
    *,
    order: Sequence[str],
    sort: Sequence[str],
    unit: str,
    tips: Mapping[str, str],
) -> alt.TopLevelMixin:
    """Several values a label on one line: where they part is where to look."""
    return (
        alt.Chart(frame)
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(
            alt.X(f"{value}:Q", axis=_plain(".0%", unit), scale=alt.Scale(zero=False, nice=True)),
            alt.Y(f"{label}:N", sort=list(sort), axis=_names()),
            yOffset=alt.YOffset(f"{series}:N", sort=list(order)),
            color=_colour(series, order, symbol=None),
            shape=_shape(series, order),
            tooltip=_tips(tips),
        )
        .properties(height=max(120, 26 * len(sort) + 40))
    )


def ranked(
    frame: pl.DataFrame, label: str, value: str, *, unit: str, tips: Mapping[str, str], height: int | None = None
) -> alt.TopLevelMixin:
    """One horizontal bar a label, in the frame's order."""
    return (
        alt.Chart(frame)
        .mark_bar(cornerRadiusEnd=3, height={"band": 0.68})
        .encode(
            alt.X(f"{value}:Q", axis=_plain("~s", unit, step=1 if frame[value].dtype.is_integer() else 0)),
            alt.Y(f"{label}:N", sort=frame[label].to_list(), axis=_names()),
            tooltip=_tips(tips),
        )
        .properties(height=height or max(110, 28 * frame.height + 40))
    )


def bridge(frame: pl.DataFrame, *, unit: str, tips: Mapping[str, str], height: int = HEIGHT) -> alt.TopLevelMixin:
    """A walk from one balance to another: columns ``step``, ``low``, ``high``, ``kind`` in walking order."""
    order = ["balance", "adds", "takes away"]
    return (
        alt.Chart(frame)
        .mark_bar(cornerRadius=2, width={"band": 0.62})
        .encode(
            alt.X(
                "step:N",
                sort=frame["step"].to_list(),
                axis=alt.Axis(title=None, labelAngle=0, ticks=False, labelLimit=90),
            ),
            alt.Y("low:Q", axis=_values("~s", None)),
            y2="high:Q",
            color=_colour("kind", order, unit),
            tooltip=_tips(tips),
        )
        .properties(height=height, padding=PADDING)
    )


def _values(number: str, title: str | None, ticks: Sequence[float] | None = None) -> alt.Axis:
    """Faint horizontal rules, and the unit where the eye starts: above the axis, upright."""
    return alt.Axis(
        # Below one, "~s" would say 500m for a half.
        labelExpr=f"abs(datum.value) < 1 ? format(datum.value, '~g') : format(datum.value, '{number}')"
        if number == "~s"
        else f"format(datum.value, '{number}')",
        title=title,
        titleAngle=0,
        titleAlign="left",
        titleAnchor="end",
        titleX=0,
        titleY=-12,
        titleFontWeight="normal",
        **({"values": list(ticks)} if ticks else {"tickCount": 5}),
        domain=False,
        ticks=False,
        labelPadding=8,
    )


def _decades(values: pl.Series) -> list[float]:
    """1, 2 and 5 of each power of ten within the values: the ticks of a logarithmic axis a person can read."""
    present = [float(value) for value in values.drop_nulls()] or [1.0]
    steps = [mantissa * 10.0**power for power in range(-3, 12) for mantissa in (1, 2, 5)]
    return [step for step in steps if min(present) <= step <= max(present)]


def _plain(number: str, title: str, step: float = 0) -> alt.Axis:
    """``step`` 1 for counts: half a line is nothing."""
    return alt.Axis(
        format=number,
        title=title,
        titleFontWeight="normal",
        tickCount=6,
        tickMinStep=step,
        ticks=False,
        labelPadding=6,
    )


def _days() -> alt.Axis:
    return alt.Axis(title=None, grid=False, tickCount=7, format="%-d %b", labelOverlap="parity", labelPadding=6)


def _names() -> alt.Axis:
    return alt.Axis(title=None, ticks=False, domain=False, grid=False, labelLimit=190, labelPadding=8)


def _colour(series: str, order: Sequence[str], unit: str | None = None, symbol: str | None = "circle") -> alt.Color:
    """One colour a name, in the order of the palette; the legend begins with the unit."""
    legend = _legend(unit, symbol)
    return alt.Color(f"{series}:N", scale=alt.Scale(domain=list(order)), legend=legend if len(order) > 1 else None)


def _legend(unit: str | None = None, symbol: str | None = None) -> alt.Legend:
    return alt.Legend(
        orient="top",
        direction="horizontal",
        offset=8,
        title=unit,
        titleOrient="left",
        titlePadding=14,
        titleFontWeight="normal",
        titleLimit=300,
        symbolOpacity=1,
        **({"symbolType": symbol, "symbolStrokeWidth": 3 if symbol == "stroke" else 0} if symbol else {}),
    )


def _shape(series: str, order: Sequence[str]) -> alt.Shape:
    """Never colour alone; the legend is one with the colour's."""
    shapes = ["circle", "diamond", "square", "triangle-up"][: max(len(order), 1)]
    return alt.Shape(f"{series}:N", scale=alt.Scale(domain=list(order), range=shapes), legend=_legend())


def _tips(tips: Mapping[str, str], number: str | None = None) -> list[Any]:
    return [alt.Tooltip(name, title=title, **({"format": number} if number else {})) for name, title in tips.items()]
