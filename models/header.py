"""The header of a model file: its title, grain, columns, rules, metrics and how upstream days become its own.

A header is the contract of its table. Whatever is written in it and not understood is an error, never ignored.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from guelta.errors import BadModel

PROVENANCE = ("on_chain", "platform", "third_party")  # from the strongest to the weakest
KINDS = ("sum", "stock", "ratio", "distinct", "quantile")
_KEYS = {"title", "grain", "columns", "rules", "metrics", "partition", "stats", "provenance", "types"}
_METRIC_KEYS = {"by", "unit", "from", "title", "definition", "caveat", "organic", "where"}
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Metric:
    """One number a table owns, and how it may be asked (50-surface §1)."""

    name: str
    title: str
    definition: str
    unit: str  # base units | count | share | ms | …
    kind: str  # one of KINDS
    table: str
    columns: tuple[str, ...]  # sum, stock: the number; ratio: its two terms; distinct: the key; quantile: bucket, count
    by: tuple[str, ...]  # allowed dimensions, the day column left out
    time: str | None  # the day column
    provenance: str
    where: tuple[tuple[str, tuple[str | int | bool, ...]], ...] = ()  # rows that count: column is one of the values
    quantile: Fraction | None = None
    terms: tuple["Metric", ...] = ()  # ratio: numerator and denominator as sums, filled in by models.question.registry
    organic: str | None = None
    caveat: str | None = None


@dataclass(frozen=True, slots=True)
class Partition:
    """How upstream days become days of the table: whole (``by`` None), or by day, widened by ``window``.

    ``window`` counts the days after a changed day that it can still change; None means every later day.
    ``affects`` holds, for an upstream without days, a query for the days that a change of it touches. A query that
    reads ``changed_days`` is for an upstream with days: it adds to those that changed the others they reach.
    """

    by: str | None = None
    window: int | None = 0
    affects: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Header:
    title: str
    grain: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]  # name, sentence; in file order
    rules: tuple[str, ...]
    metrics: tuple[Metric, ...]
    partition: Partition
    stats: tuple[str, ...]
    provenance: str | None
    types: tuple[tuple[str, str], ...]


def parse(table: str, source: str | Mapping[str, Any], where: str) -> Header:
    """Read a header.

    Args:
        table: the table's name, ``schema.name``.
        source: YAML text, or the mapping it stands for.
        where: the file, for messages.

    Raises:
        BadModel: anything missing, unknown or malformed, with the file and what to write instead.
    """
    raw = dict(source) if isinstance(source, Mapping) else _yaml(source, where)
    _refuse_unknown(raw, _KEYS, "header", where)
    for key in ("title", "grain", "columns"):
        if not raw.get(key):
            raise BadModel(f"{where}: the header has no {key}; every table says its title, grain and columns")
    columns = _sentences(raw["columns"], where)
    names = tuple(name for name, _ in columns)
    grain = _words(raw["grain"], "grain", where)
    stats = _words(raw.get("stats", []), "stats", where)
    _must_be_columns(grain, names, "grain", where)
    _must_be_columns(stats, names, "stats", where)
    provenance = raw.get("provenance")
    if provenance is not None and provenance not in PROVENANCE:
        raise BadModel(f"{where}: expected provenance {', '.join(PROVENANCE)}, found {provenance!r}")
    partition = _partition(raw.get("partition", "none"), grain, where)
    metrics = _metrics(table, raw.get("metrics") or {}, names, provenance, where)
    types = raw.get("types") or {}
    if not isinstance(types, Mapping):
        raise BadModel(f"{where}: expected types as {{column: type}}, found {types!r}")
    _must_be_columns(tuple(types), names, "types", where)
    return Header(
        title=str(raw["title"]),
        grain=grain,
        columns=columns,
        rules=rules(raw.get("rules") or [], where),
        metrics=metrics,
        partition=partition,
        stats=stats,
        provenance=provenance,
        types=tuple((str(name), str(kind)) for name, kind in types.items()),
    )


def rules(listed: Sequence[Any] | str, where: str) -> tuple[str, ...]:
    """The rule words of a header, each as ``word`` or ``word(arguments)``.

    YAML cuts ``[unique(a, b), fresh]`` at every comma; the parentheses put it together again.

    >>> rules(["unique(a", "b)", "fresh"], "x.sql")
    ('unique(a, b)', 'fresh')
    """
    parts = [listed] if isinstance(listed, str) else list(listed)
    if any(not isinstance(part, str) for part in parts):
        raise BadModel(f"{where}: expected rules as words like unique(a, b), found {parts!r}; quote what holds a colon")
    found, depth, start = [], 0, 0
    text = ", ".join(parts)
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            found.append(text[start:i].strip())
            start = i + 1
    found = [rule for rule in (*found, text[start:].strip()) if rule]
    for rule in found:
        if not re.fullmatch(r"[a-z_]\w*(\(.*\))?", rule, re.DOTALL) or rule.count("(") != rule.count(")"):
            raise BadModel(f"{where}: expected a rule like unique(a, b), found {rule!r}")
    return tuple(found)


def _yaml(text: str, where: str) -> dict[str, Any]:
    import yaml

    class Strict(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # C where libyaml is there
        pass

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        pairs = []
        for key_node, node_of_value in node.value:
            key = loader.construct_object(key_node, deep=True)
            listed = key == "rules" and isinstance(node_of_value, yaml.SequenceNode)
            # in_set(kind, 1, true) is cut at its commas: its parts stay the text they are written as
            value = [part.value for part in node_of_value.value] if listed else None
            pairs.append((key, value if listed else loader.construct_object(node_of_value, deep=True)))
        keys = [key for key, _ in pairs]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:  # YAML keeps the last one without a word
            raise BadModel(f"{where}: the header says {', '.join(twice)} twice; keep one")
        return dict(pairs)

    Strict.add_constructor("tag:yaml.org,2002:map", mapping)
    try:
        found = yaml.load(text, Loader=Strict)  # noqa: S506  # a safe loader with a stricter mapping
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1} of the header" if mark else ""
        reason = getattr(error, "problem", None) or error
        raise BadModel(f"{where}: the header is no YAML{line}: {reason}; quote a sentence that holds ': '") from error
    if not isinstance(found, dict):
        raise BadModel(
            f"{where}: expected a header of keys and values in the first comment, found {text.strip()[:60]!r}"
        )
    return found


def _refuse_unknown(raw: Mapping[str, Any], known: set[str], what: str, where: str) -> None:
    unknown = sorted(str(key) for key in raw if key not in known)
    if unknown:
        raise BadModel(f"{where}: unknown {what} keys {', '.join(unknown)}; known are {', '.join(sorted(known))}")


def _must_be_columns(found: Sequence[str], columns: Sequence[str], what: str, where: str) -> None:
    missing = [name for name in found if name not in columns]
    if missing:
        raise BadModel(f"{where}: {what} names {', '.join(missing)}, which are no columns of the table")


def _words(value: Any, what: str, where: str) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or any(not isinstance(word, str) for word in words):
        raise BadModel(f"{where}: expected {what} as a list of column names, found {value!r}")
    return tuple(words)


def _sentences(value: Any, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        raise BadModel(f"{where}: expected columns as 'name: sentence' lines, found {value!r}")
    for name, sentence in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise BadModel(f"{where}: {name!r} is no column name; write it in snake_case (quote yes, no, on, off)")
        if not isinstance(sentence, str) or not sentence.strip():
            raise BadModel(f"{where}: column {name} has no sentence; say what it holds (quote what holds ': ')")
    if "month" in value:
        raise BadModel(f"{where}: column month belongs to the writer, who derives it from day; leave it out")
    return tuple((name, " ".join(sentence.split())) for name, sentence in value.items())


def _partition(value: Any, grain: Sequence[str], where: str) -> Partition:
    if value in ("none", None):
        return Partition()
    if not isinstance(value, Mapping) or value.get("by") != "day":
        raise BadModel(f"{where}: expected partition none or {{by: day, window: 0}}, found {value!r}")
    _refuse_unknown(value, {"by", "window", "affects"}, "partition", where)
    if "day" not in grain:
        raise BadModel(f"{where}: partition by day needs day in the grain, found {', '.join(grain)}")
    window = str(value.get("window", 0))
    if not re.fullmatch(r"0|[1-9]\d*d|onward", window):
        raise BadModel(f"{where}: expected window 0, a number of days like 28d, or onward, found {window!r}")
    affects = value.get("affects") or {}
    if not isinstance(affects, Mapping):
        raise BadModel(f"{where}: expected affects as {{upstream: query for its days}}, found {affects!r}")
    days = None if window == "onward" else max(int(window.rstrip("d")) - 1, 0)  # 28d is the day itself and 27 more
    return Partition("day", days, tuple((str(name), str(query)) for name, query in affects.items()))


def _metrics(table: str, value: Any, columns: Sequence[str], provenance: str | None, where: str) -> tuple[Metric, ...]:
    if not isinstance(value, Mapping):
        raise BadModel(f"{where}: expected metrics as 'name: {{sum: column, by: […]}}' lines, found {value!r}")
    return tuple(_metric(table, str(name), form, columns, provenance, where) for name, form in value.items())


def _metric(table: str, name: str, form: Any, columns: Sequence[str], provenance: str | None, where: str) -> Metric:
    what = f"metric {name}"
    kinds = [kind for kind in KINDS if isinstance(form, Mapping) and kind in form]
    if not _NAME.fullmatch(name) or len(kinds) != 1:
        raise BadModel(f"{where}: expected {what} in snake_case with one of {', '.join(KINDS)}, found {form!r}")
    kind = kinds[0]
    _refuse_unknown(form, _METRIC_KEYS | {kind}, what, where)
    terms, quantile = _terms(form[kind], kind, columns, what, where)
    by = _words(form.get("by", []), f"{what}: by", where)
    if kind != "ratio":  # the terms of a ratio may be metrics; models.question.registry resolves them
        _must_be_columns(terms, columns, what, where)
    _must_be_columns(by, columns, f"{what}: by", where)
    rows = form.get("where") or {}
    if not isinstance(rows, Mapping):
        raise BadModel(f"{where}: {what}: expected where as {{column: value or [values]}}, found {rows!r}")
    _must_be_columns(tuple(rows), columns, f"{what}: where", where)
    source = form.get("from") or provenance or "platform"
    if source not in PROVENANCE:
        raise BadModel(f"{where}: {what}: expected from as one of {', '.join(PROVENANCE)}, found {source!r}")
    title = form.get("title") or name.replace("_", " ").capitalize()
    return Metric(
        name=name,
        title=str(title),
        definition=str(form.get("definition") or title),
        unit=str(form.get("unit") or {"ratio": "share", "quantile": "ms"}.get(kind, "count")),
        kind=kind,
        table=table,
        columns=terms,
        by=tuple(column for column in by if column != "day"),
        time="day" if "day" in columns else None,
        provenance=str(source),
        where=tuple((str(c), tuple(v) if isinstance(v, list | tuple) else (v,)) for c, v in rows.items()),
        quantile=quantile,
        organic=form.get("organic"),
        caveat=form.get("caveat"),
    )


def _terms(
    value: Any, kind: str, columns: Sequence[str], what: str, where: str
) -> tuple[tuple[str, ...], Fraction | None]:
    listed = list(value) if isinstance(value, list | tuple) else [value]
    if kind == "quantile":
        if len(listed) not in (2, 3) or not isinstance(listed[-1], float | int) or not 0 < listed[-1] < 1:
            raise BadModel(f"{where}: {what}: expected quantile: [bucket, count column, 0.95], found {value!r}")
        counts = listed[1:-1] or [column for column in ("calls", "count", "n") if column in columns][:1]
        return (*_words([listed[0], *counts], what, where),), Fraction(str(listed[-1]))
    sizes = {"sum": (1, 1), "stock": (1, 1), "ratio": (2, 2), "distinct": (1, 9)}[kind]
    if not sizes[0] <= len(listed) <= sizes[1]:
        wanted = "[numerator, denominator]" if kind == "ratio" else "a column"
        raise BadModel(f"{where}: {what}: expected {kind}: {wanted}, found {value!r}")
    return _words(listed, what, where), None
