"""A question about metrics as one SELECT with bound parameters: dimensions, buckets of time, filters, kinds.

Names of metrics and dimensions come from headers only; every value is a parameter. Money is never summed across tokens.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from guelta.errors import BadModel, BadSetting
from models import Model
from models.header import Metric

if TYPE_CHECKING:
    from guelta.lake import TableSpec

GRAINS = ("day", "week", "month")


@dataclass(frozen=True, slots=True)
class Question:
    """Metrics by columns, resolved: every name in it exists, every value has its column's type."""

    metrics: tuple[Metric, ...]
    by: tuple[str, ...]  # columns, the bucket of time left out
    grain: str | None = None
    since: date | None = None  # first day
    until: date | None = None  # last day
    filters: tuple[tuple[str, tuple[Any, ...]], ...] = ()  # column is one of the values; None among them is null
    order: tuple[tuple[str, bool], ...] = ()  # metric or key, descending
    limit: int | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        return ((self.grain,) if self.grain else ()) + self.by


def registry(models: Sequence[Model]) -> dict[str, tuple[Metric, ...]]:
    """Every metric by name; one name may be owned by several tables, when it means the same in all of them.

    Raises:
        BadModel: a ratio of what is neither a metric nor a column of its table.
    """
    found: dict[str, list[Metric]] = {}
    for model in models:
        own = {metric.name: metric for metric in model.metrics}
        for metric in model.metrics:
            resolved = _with_terms(metric, own, model) if metric.kind == "ratio" else metric
            found.setdefault(metric.name, []).append(resolved)
    # pages read marts: where a mart has the dimensions, it answers
    return {name: tuple(sorted(each, key=lambda m: not m.table.startswith("marts."))) for name, each in found.items()}


def conflict(owners: Sequence[Metric]) -> str | None:
    """One name with two meanings, in words; None when all its owners mean the same."""
    first = owners[0]
    for other in owners[1:]:
        if (first.kind, first.unit) != (other.kind, other.unit):
            here, there = (f"a {one.kind} in {one.unit} in {one.table}" for one in (first, other))
            return f"metric {first.name} is {here} and {there}; rename one"
    return None


def choose(names: Iterable[str], known: Mapping[str, Sequence[Metric]], dimensions: Sequence[str]) -> list[Metric]:
    """The metric of each name, in the first table that has all the dimensions asked for.

    Raises:
        BadSetting: an unknown metric or dimension, with the nearest ones.
        BadModel: a name with two meanings.
    """
    chosen = []
    for name in dict.fromkeys(name.replace("-", "_") for name in names):
        if name not in known:
            raise BadSetting(f"unknown metric {name!r}; {_near(name, known, 'the Dictionary page lists them all')}")
        owners = known[name]
        if two_meanings := conflict(owners):
            raise BadModel(two_meanings)
        fits = [metric for metric in owners if all(column(metric, dim) for dim in dimensions)]
        if not fits:
            allowed = sorted({dim for one in owners for dim in (*one.by, *(GRAINS if one.time else ()))})
            missing = [dim for dim in dimensions if not any(column(one, dim) for one in owners)] or list(dimensions)
            hint = _near(missing[0], allowed, f"it can be asked by {', '.join(allowed) or 'nothing'}")
            raise BadSetting(f"metric {name} has no dimension {', '.join(map(repr, missing))}; {hint}")
        chosen.append(fits[0])
    if not chosen:
        raise BadSetting("expected the name of a metric, found none; the Dictionary page lists them all")
    return chosen


def column(metric: Metric, dimension: str) -> str | None:
    """The column a dimension names: itself, or with the ``_id`` that may be left off; a grain where there is time."""
    if dimension in GRAINS:
        return dimension if metric.time else None
    return next((found for found in (dimension, f"{dimension}_id") if found in metric.by), None)


def numbers(metric: Metric) -> tuple[str, ...]:
    """The columns whose values are added up."""
    if metric.kind == "ratio":
        return tuple(term.columns[0] for term in metric.terms)
    return metric.columns[:1] if metric.kind in ("sum", "stock") else ()


def is_money(metric: Metric, spec: "TableSpec") -> bool:
    """Base units of a token: never added to those of another."""
    import pyarrow as pa

    tokens = "token" in spec.schema.names
    return tokens and any(pa.types.is_decimal(spec.schema.field(name).type) for name in numbers(metric))


def outputs(metric: Metric) -> tuple[str, ...]:
    """The columns of the SELECT that carry a metric."""
    return (f"{metric.name}_num", f"{metric.name}_den") if metric.kind == "ratio" else (metric.name,)


def compose(
    question: Question, specs: Mapping[str, "TableSpec"], grains: Mapping[str, Sequence[str]]
) -> tuple[str, tuple[Any, ...]]:
    """The SQL and its parameters: a CTE a metric, put side by side; columns are the keys, then ``outputs`` of each."""
    ctes, params = [], []
    for metric in question.metrics:
        sql, values = _SELECTS[metric.kind](metric, question, specs[metric.table], grains[metric.table])
        ctes.append(f"{metric.name}_rows as (\n{_indented(sql)}\n)")
        params += values
    if len(question.metrics) > 1:
        ctes.append(f"answer_rows as (\n{_indented(_side_by_side(question))}\n)")
    source = "answer_rows" if len(question.metrics) > 1 else f"{question.metrics[0].name}_rows"
    kinds = {field.name: str(field.type) for spec in specs.values() for field in spec.schema}
    picked = [f"'0x' || lower(hex({key})) as {key}" if kinds.get(key) == "binary" else key for key in question.keys]
    picked += [name for metric in question.metrics for name in outputs(metric)]
    sql = f"with {', '.join(ctes)}\nselect {', '.join(picked)}\nfrom {source}"
    order = [*question.order, *((key, False) for key in question.keys if key not in dict(question.order))]
    if order:
        sql += "\norder by " + ", ".join(
            f"{_sortable(name, question)}{' desc' * down} nulls last" for name, down in order
        )
    if question.limit is not None:
        sql += "\nlimit ?"
        params.append(question.limit + 1)  # one more tells whether something was cut
    return sql, tuple(params)


def _with_terms(metric: Metric, own: Mapping[str, Metric], model: Model) -> Metric:
    terms = []
    for term in metric.columns:
        other = own.get(term)
        if other and other.kind == "sum":
            terms.append(replace(other, where=(*other.where, *metric.where)))
        elif term in model.columns:
            terms.append(replace(metric, kind="sum", columns=(term,), unit="count"))
        else:
            raise BadModel(f"{model.path}: ratio {metric.name} takes {term}, neither a sum metric nor a column of it")
    return replace(metric, terms=tuple(terms))


def _side_by_side(question: Question) -> str:
    every = [(metric, name) for metric in question.metrics for name in outputs(metric)]
    rows = "\nunion all\n".join(
        f"select {', '.join([*question.keys, *(name if one is metric else f'null as {name}' for one, name in every)])} "
        f"from {metric.name}_rows"
        for metric in question.metrics
    )
    merged = ", ".join([*question.keys, *(f"max({name}) as {name}" for _, name in every)])  # one of them is not null
    return f"select {merged}\nfrom (\n{_indented(rows)}\n) as metric_rows{_grouped(question)}"


def _sum(metric: Metric, question: Question, spec: "TableSpec", grain: Sequence[str]) -> tuple[str, list[Any]]:
    del grain
    condition, params = _condition(metric, question, metric.where)
    return _select(question, [f"{_total(metric.columns[0], spec)} as {metric.name}"], metric.table, condition), params


def _stock(metric: Metric, question: Question, spec: "TableSpec", grain: Sequence[str]) -> tuple[str, list[Any]]:
    """The last row of each thing in the bucket, then added up; snapshots of different days are never added."""
    condition, params = _condition(metric, question, metric.where)
    source = metric.table
    if metric.time:
        thing = [name for name in grain if name != metric.time]
        within = [*thing, *([_bucket(question.grain)] if question.grain else [])]
        last = f"row_number() over ({_partition(within)}order by {metric.time} desc nulls last) = 1"
        source = f"(select * from {metric.table}{condition} qualify {last}) as newest"
        condition = ""
    return _select(question, [f"{_total(metric.columns[0], spec)} as {metric.name}"], source, condition), params


def _ratio(metric: Metric, question: Question, spec: "TableSpec", grain: Sequence[str]) -> tuple[str, list[Any]]:
    """Both sums, exact; they are divided when the answer is shown, never here."""
    del grain
    totals, params = [], []
    for name, term in zip(outputs(metric), metric.terms, strict=True):
        only, values = _among(term.where)
        total = f"sum({term.columns[0]})" + (f" filter (where {only})" if only else "")
        totals.append(f"{_exact(total, spec, term.columns[0])} as {name}")
        params += values
    condition, more = _condition(metric, question, ())
    return _select(question, totals, metric.table, condition), params + more


def _distinct(metric: Metric, question: Question, spec: "TableSpec", grain: Sequence[str]) -> tuple[str, list[Any]]:
    del spec, grain
    condition, params = _condition(metric, question, metric.where)
    what = metric.columns[0] if len(metric.columns) == 1 else f"({', '.join(metric.columns)})"
    return _select(question, [f"count(distinct {what}) as {metric.name}"], metric.table, condition), params


def _quantile(metric: Metric, question: Question, spec: "TableSpec", grain: Sequence[str]) -> tuple[str, list[Any]]:
    """The lowest bucket whose running count reaches ``q * (n - 1) + 1``, in integers."""
    del spec, grain
    assert metric.quantile is not None
    condition, params = _condition(metric, question, metric.where)
    bucket, count = metric.columns
    rows = replace(question, by=(*question.by, bucket))
    counts = _select(rows, [f"cast(sum({count}) as bigint) as n"], metric.table, condition)
    top, bottom = metric.quantile.numerator, metric.quantile.denominator
    over = _partition(question.keys)
    seen = f"sum(n) over ({over}order by {bucket}) as seen, sum(n) over ({over.strip()}) as total"
    keys = "".join(f"{key}, " for key in question.keys)
    return (
        f"select {keys}min({bucket}) as {metric.name}\nfrom (\n"
        f"    select {keys}{bucket}, {seen}\n"
        f"    from (\n{_indented(_indented(counts))}\n    ) as counts\n) as ranked\n"
        f"where seen * {bottom} >= {top} * (total - 1) + {bottom}{_grouped(question)}"
    ), params


_SELECTS = {"sum": _sum, "stock": _stock, "ratio": _ratio, "distinct": _distinct, "quantile": _quantile}


def _select(question: Question, totals: Sequence[str], source: str, condition: str) -> str:
    keys = [f"{_bucket(question.grain)} as {question.grain}"] if question.grain else []
    return f"select {', '.join([*keys, *question.by, *totals])}\nfrom {source}{condition}{_grouped(question)}"


def _grouped(question: Question) -> str:
    return "\ngroup by all" if question.keys else ""


def _bucket(grain: str | None) -> str:
    return "day" if grain == "day" else f"cast(date_trunc('{grain}', day) as date)"


def _partition(names: Sequence[str]) -> str:
    return f"partition by {', '.join(names)} " if names else ""


def _total(name: str, spec: "TableSpec") -> str:
    return _exact(f"sum({name})", spec, name)


def _exact(total: str, spec: "TableSpec", name: str) -> str:
    import pyarrow as pa

    kind = spec.schema.field(name).type
    if pa.types.is_floating(kind):
        return total
    return f"cast({total} as {'decimal(38,0)' if pa.types.is_decimal(kind) else 'bigint'})"


def _condition(metric: Metric, question: Question, own: Sequence[tuple[str, Sequence[Any]]]) -> tuple[str, list[Any]]:
    clauses, params = [], []
    for operator, day in ((">=", question.since), ("<=", question.until)):
        if day is not None and metric.time:
            clauses.append(f"{metric.time} {operator} ?")
            params.append(day)
    among, values = _among((*question.filters, *own))
    clauses += [among] if among else []
    return (f"\nwhere {' and '.join(clauses)}" if clauses else ""), params + values


def _among(filters: Sequence[tuple[str, Sequence[Any]]]) -> tuple[str, list[Any]]:
    clauses, params = [], []
    for name, values in filters:
        present = [value for value in values if value is not None]
        either = [f"{name} in ({', '.join('?' * len(present))})"] if present else []
        either += [f"{name} is null"] if len(present) < len(values) else []
        either += [] if values else ["false"]
        clauses.append(f"({' or '.join(either)})" if len(either) > 1 else either[0])
        params += present
    return " and ".join(clauses), params


def _sortable(name: str, question: Question) -> str:
    metric = next((one for one in question.metrics if one.name == name), None)
    if metric is None or metric.kind != "ratio":
        return name
    top, bottom = outputs(metric)  # an order only; the number shown is divided from the exact sums
    return f"cast({top} as double) / nullif(cast({bottom} as double), 0)"


def _indented(sql: str) -> str:
    return "\n".join(f"    {line}" for line in sql.splitlines())


def _near(word: str, known: Iterable[str], otherwise: str) -> str:
    close = get_close_matches(word, list(known), 3, 0.5)
    return f"did you mean {', '.join(close)}?" if close else otherwise
