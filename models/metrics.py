"""The metric layer: one question, one answer, for pages, reports and ``guelta ask`` alike.

Metrics stand in the headers of the tables that hold their numbers. An answer carries its SQL, the versions it was read
from, how far the chains were final, and what the gates said; money leaves as exact text beside a float to look at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guelta.errors import BadSetting
from models import Model, display, load
from models import question as questions
from models.header import PROVENANCE, Metric
from models.question import GRAINS, Question
from models.snapshot import AsOf, Gates, Snapshot

if TYPE_CHECKING:
    import polars as pl

    from guelta.lake import Lake, Pin

__all__ = ["LOCAL", "Answer", "AsOf", "Entry", "Gates", "Metric", "Viewer", "ask", "catalogue"]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks. ``rows`` narrows every answer: column to the values this viewer may see."""

    name: str = "local"
    rows: tuple[tuple[str, tuple[Any, ...]], ...] = ()


LOCAL = Viewer()  # the person at this machine sees all


@dataclass(frozen=True, slots=True)
class Answer:
    """Numbers, and what stands behind them.

    ``frame`` holds the keys (bucket of time under its grain's name, then the dimensions; addresses as ``0x`` text) and
    a column a metric. Money is text of base units, with ``NAME_f64`` in whole tokens (null where the token's decimals
    are unknown) and the token's ``symbol`` and ``decimals``; counts are integers, ratios and quantiles floats. With
    ``compare`` each metric has a ``NAME_previous`` of the same form.
    """

    frame: "pl.DataFrame"
    sql: str
    params: tuple[Any, ...]
    metrics: tuple[Metric, ...]
    as_of: AsOf
    gates: Gates
    partial: tuple[bool, bool]  # the first, the last bucket is incomplete
    truncated_at: int | None = None  # rows shown when there are more
    notes: tuple[str, ...] = ()  # what was added to the question so that the answer is right

    @property
    def provenance(self) -> str:
        """The weakest of its metrics'."""
        return max((metric.provenance for metric in self.metrics), key=PROVENANCE.index)


@dataclass(frozen=True, slots=True)
class Entry:
    """One metric in the dictionary."""

    metric: Metric
    formula: str
    dimensions: tuple[str, ...]
    sql: str  # of the plain question
    available: bool  # its table is in the lake


def ask(
    lake: "Lake",
    names: Sequence[str] | str,
    *,
    by: Sequence[str] = (),
    grain: str | None = None,
    since: date | str | None = None,
    until: date | str | None = None,
    where: Mapping[str, Any] | None = None,
    compare: str | None = None,
    order: Sequence[str] | str | None = None,
    limit: int | None = None,
    viewer: Viewer = LOCAL,
    pin: "Pin | None" = None,
    models_: Sequence[Model] | None = None,
) -> Answer:
    """Any metric by any of its dimensions.

    Args:
        lake: where to read.
        names: metrics; several are put side by side on the same keys.
        by: dimensions, ``_id`` may be left off; ``day``, ``week`` and ``month`` are grains.
        grain: ``day``, ``week`` (begins on Monday) or ``month``.
        since: first day, a date or ``2026-10-01``; ``2026-10`` is its first day.
        until: last day, included; ``2026-10`` is its last day.
        where: dimension to a value or several; a chain by number or name, a token by address or symbol.
        compare: ``previous``: the window of equal length before (whole months before whole months).
        order: columns of the answer; ``-name`` or ``name desc`` puts the largest first. Default: the keys.
        limit: most rows; ``truncated_at`` says when there were more.
        viewer: who asks.
        pin: table versions to read instead of the newest.
        models_: the model files to read metrics from instead of all.

    Raises:
        BadSetting: a metric, dimension, grain, filter or date that means nothing, with the nearest that do.
    """
    words = [names] if isinstance(names, str) else list(names)
    grain, dims = _grain(by, grain)
    known = questions.registry(_every_model() if models_ is None else models_)
    metrics = questions.choose(words, known, [*dims, *(where or {}), *([grain] if grain else [])])
    snapshot = Snapshot.of(lake, sorted({metric.table for metric in metrics}), pin)
    asked = Question(
        metrics=tuple(metrics),
        by=tuple(dict.fromkeys(questions.column(metrics[0], dim) or dim for dim in dims)),
        grain=grain,
        since=_day(since, last=False),
        until=_day(until, last=True),
        filters=_filters(where or {}, viewer, metrics, snapshot),
        limit=limit,
    )
    asked, notes = _one_token_a_row(asked, snapshot)
    asked = replace(asked, order=_order(order, asked))
    sql, params = questions.compose(asked, snapshot.specs, snapshot.keys)
    frame = snapshot.rows(sql, params)
    cut = limit if limit is not None and frame.height > limit else None
    frame = frame if cut is None else frame.head(cut)
    if compare is not None:
        frame = _with_previous(frame, asked, compare, snapshot)
    shown, unknown = display.dress(frame, asked, snapshot)
    return Answer(
        frame=shown,
        sql=sql,
        params=params,
        metrics=asked.metrics,
        as_of=snapshot.as_of(),
        gates=snapshot.gates(),
        partial=_partial(asked, snapshot),
        truncated_at=cut,
        notes=(*notes, *unknown),
    )


def catalogue(lake: "Lake", models_: Sequence[Model] | None = None) -> list[Entry]:
    """Every metric, for the dictionary: definition, formula, dimensions, SQL, and whether it can be asked now."""
    entries = []
    for metrics in questions.registry(_every_model() if models_ is None else models_).values():
        for metric in metrics:
            there = lake.exists(metric.table)
            sql = ""
            if there:
                snapshot = Snapshot.of(lake, [metric.table])
                sql, _ = questions.compose(Question((metric,), ()), snapshot.specs, snapshot.keys)
            dims = (*metric.by, *(GRAINS if metric.time else ()))
            entries.append(Entry(metric, _formula(metric), dims, sql, there))
    return sorted(entries, key=lambda entry: (entry.metric.name, entry.metric.table))


def _every_model() -> list[Model]:
    """Ours, and the tables another room makes: found as files, because models may not import quality."""
    found = find_spec("quality")
    folder = Path(found.origin).parent / "core" if found and found.origin else None
    return load(also=[folder] if folder and folder.is_dir() else [])


def _formula(metric: Metric) -> str:
    only = " and ".join(f"{name} in {values}" for name, values in metric.where)
    if metric.kind == "ratio":
        text = " / ".join(_formula(term) for term in metric.terms)
    elif metric.kind == "quantile":
        text = f"quantile {metric.quantile} over {metric.columns[0]}, counted by {metric.columns[1]}"
    else:
        text = (
            f"{ {'sum': 'sum', 'stock': 'last', 'distinct': 'distinct'}[metric.kind] } of {', '.join(metric.columns)}"
        )
    return f"{text} where {only}" if only and metric.kind != "ratio" else text


def _grain(by: Sequence[str], grain: str | None) -> tuple[str | None, list[str]]:
    named = [dim for dim in by if dim in GRAINS]
    found = {*named, *([grain] if grain else [])}
    if len(found) > 1 or (grain is not None and grain not in GRAINS):
        raise BadSetting(f"expected one grain of {', '.join(GRAINS)}, found {', '.join(sorted(found))}")
    return next(iter(found), None), [dim for dim in by if dim not in GRAINS]


def _day(value: date | str | None, *, last: bool) -> date | None:
    """A day from a date or its text; a month stands for its first or its last day."""
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    try:
        if isinstance(value, str) and len(value) == 7:
            first = date.fromisoformat(f"{value}-01")
            return _months_later(first, 1) - timedelta(days=1) if last else first
        if isinstance(value, str):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise BadSetting(f"expected a UTC day like 2026-10-01 or a month like 2026-10, found {value!r}")


def _filters(
    where: Mapping[str, Any], viewer: Viewer, metrics: Sequence[Metric], snapshot: Snapshot
) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    found = []
    for dimension, value in where.items():
        if dimension in GRAINS:
            raise BadSetting(f"expected since and until for a span of days, found where {dimension}={value}")
        values = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
        name = questions.column(metrics[0], dimension) or dimension
        found.append((name, display.values(name, values, snapshot)))
    for name, allowed in viewer.rows:
        blind = [metric.table for metric in metrics if name not in snapshot.specs[metric.table].schema.names]
        if blind:
            raise BadSetting(
                f"{viewer.name} sees only rows of its own {name}; {', '.join(blind)} cannot tell them apart"
            )
        found.append((name, display.values(name, allowed, snapshot)))
    return tuple(found)


def _one_token_a_row(asked: Question, snapshot: Snapshot) -> tuple[Question, tuple[str, ...]]:
    """Base units of two tokens are never added: where the question leaves the token open, it becomes a key."""
    money = [metric for metric in asked.metrics if questions.is_money(metric, snapshot.specs[metric.table])]
    if not money:
        return asked, ()
    fixed = {name for name, values in asked.filters if len(values) == 1}
    for metric in money:
        chained = "chain_id" in snapshot.specs[metric.table].schema.names
        for name in ("chain_id", "token") if chained else ("token",):
            if name in asked.by or name in fixed:
                continue
            asked = replace(asked, by=(*asked.by, name))
    added = [name for name in asked.by if name in ("chain_id", "token")]
    return asked, (f"by {', '.join(added)} too: base units of different tokens are not added up",) if added else ()


def _order(order: Sequence[str] | str | None, asked: Question) -> tuple[tuple[str, bool], ...]:
    words = [order] if isinstance(order, str) else list(order or ())
    known = {metric.name for metric in asked.metrics} | set(asked.keys)
    found = []
    for word in words:
        name = word.removeprefix("-").removesuffix(" desc").removesuffix(" asc").strip()
        name = name if name in known else f"{name}_id"
        if name not in known:
            raise BadSetting(f"cannot order by {word!r}; the answer has {', '.join(sorted(known))}")
        found.append((name, word.startswith("-") or word.endswith(" desc")))
    return tuple(found)


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, day.day)


def _with_previous(frame: "pl.DataFrame", asked: Question, compare: str, snapshot: Snapshot) -> "pl.DataFrame":
    """The same question one window earlier, beside it; buckets meet by their place in the window."""
    import polars as pl

    if compare != "previous" or asked.since is None:
        raise BadSetting(f"expected compare 'previous' together with since, found {compare!r} since {asked.since}")
    until = asked.until or max(
        (day for name in snapshot.versions if (day := snapshot.days(name)[1])), default=asked.since
    )
    length = max((until - asked.since).days + 1, 1)
    length += -length % 7 if asked.grain == "week" else 0
    after = until + timedelta(days=1)
    months = (after.year - asked.since.year) * 12 + after.month - asked.since.month
    whole = asked.since.day == 1 and after.day == 1 and asked.grain in (None, "month")
    if whole or asked.grain == "month":
        months = max(months, 1)
        window = (_months_later(asked.since.replace(day=1), -months), asked.since.replace(day=1) - timedelta(days=1))
        shift = pl.col(asked.grain or "month").dt.offset_by(f"{months}mo")
    else:
        window = (asked.since - timedelta(days=length), asked.since - timedelta(days=1))
        shift = pl.col(asked.grain or "day") + pl.duration(days=length)
    earlier = replace(asked, since=window[0], until=window[1], order=(), limit=None)
    sql, params = questions.compose(earlier, snapshot.specs, snapshot.keys)
    numbers = [name for metric in asked.metrics for name in questions.outputs(metric)]
    before = snapshot.rows(sql, params).rename({name: f"{name}__before" for name in numbers})
    if asked.grain:
        before = before.with_columns(shift.cast(pl.Date).alias(asked.grain))
    if not asked.keys:
        return pl.concat([frame, before], how="horizontal")
    return frame.join(before, on=list(asked.keys), how="left", nulls_equal=True, maintain_order="left")


def _partial(asked: Question, snapshot: Snapshot) -> tuple[bool, bool]:
    """Whether the first and the last bucket hold less than their whole span."""
    spans = [span for name in snapshot.versions if (span := snapshot.days(name))[0]]
    if asked.grain is None or not spans:
        return False, False
    first = min(span[0] for span in spans if span[0])
    last = max(span[1] for span in spans if span[1])
    begin, end = max(asked.since or first, first), min(asked.until or last, last)
    complete_before = snapshot.as_of().data_as_of or datetime.combine(last, datetime.min.time(), UTC)
    after = min(_bucket_after(end, asked.grain), date.max)
    cut = asked.until is not None and asked.until + timedelta(days=1) < after
    return begin > _bucket_start(begin, asked.grain), cut or complete_before < datetime.combine(
        after, datetime.min.time(), UTC
    )


def _bucket_start(day: date, grain: str) -> date:
    if grain == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if grain == "month" else day


def _bucket_after(day: date, grain: str) -> date:
    start = _bucket_start(day, grain)
    return _months_later(start, 1) if grain == "month" else start + timedelta(days=7 if grain == "week" else 1)
