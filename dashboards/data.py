"""What pages read: answers of the metric layer and rows of published tables, cached until the lake moves.

A page never opens the lake, never writes SQL and never sums money. Every answer and table it reads is noted, so that
the frame can say at the end which metrics, versions and gates stand behind what is shown.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypedDict

import polars as pl
import streamlit as st

from guelta.errors import GueltaError
from guelta.lake import Lake
from guelta.settings import Settings, load
from models.metrics import Answer, Entry, ask, catalogue

ROWS = 5_000  # a browser stays quick below this; a table that was cut says so


class Days(TypedDict):
    """A span of UTC days, both included; None is open."""

    since: date | None
    until: date | None


@dataclass(slots=True)
class Reading:
    """What one run of a page has read."""

    answers: list[Answer] = field(default_factory=list)
    tables: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] | None = None  # one look at the lake's versions a run: a page shows one state


reading: ContextVar[Reading | None] = ContextVar("reading", default=None)


def metric(
    *names: str,
    by: Sequence[str] = (),
    grain: str | None = None,
    since: date | None = None,
    until: date | None = None,
    where: Mapping[str, Any] | None = None,
    compare: str | None = None,
    order: str | None = None,
    limit: int | None = None,
) -> Answer:
    """The metrics called ``names`` by the dimensions ``by``: the same call as ``guelta ask``."""
    filters = tuple(sorted((where or {}).items(), key=lambda item: item[0]))
    answer: Answer = _answer(state(), names, tuple(by), grain, since, until, filters, compare, order, limit)
    if (now := reading.get()) is not None:
        now.answers.append(answer)
        now.tables |= {one.table: versions().get(one.table, 0) for one in answer.metrics}
    return answer


def rows(
    table: str,
    where: Mapping[str, Any] | None = None,
    *,
    columns: Sequence[str] = (),
    order: Sequence[str] = (),
    descending: bool | Sequence[bool] = False,
    limit: int = ROWS,
    note: bool = True,
) -> pl.DataFrame:
    """Rows of a published table, at most ``limit``; an absent table has none and no columns.

    With ``note`` off the table does not count as one of the page's own (the frame's reads).
    """
    version = versions().get(table)
    if version is None:
        return pl.DataFrame()
    if note and (now := reading.get()) is not None:
        now.tables[table] = version
    filters = tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in (where or {}).items())
    down = descending if isinstance(descending, bool) else tuple(descending)
    found: pl.DataFrame = _rows(state(), table, version, filters, tuple(columns), tuple(order), down, limit)
    return found


def span(table: str) -> tuple[date | None, date | None]:
    """The first and the newest UTC day of a table: where a window ends."""
    ends = [rows(table, columns=["day"], order=["day"], descending=down, limit=1) for down in (False, True)]
    first, last = (None if end.is_empty() else end["day"][0] for end in ends)
    return first, last


def dictionary() -> list[Entry]:
    """Every metric: its meaning, formula, dimensions and SQL."""
    found: list[Entry] = _dictionary(state())
    return found


def settings() -> Settings:
    """Read at the door of this process, once."""
    known: Settings = _settings()
    return known


def lake() -> Lake | None:
    """The lake, or None while nobody has made one."""
    place = settings().lake
    if "://" not in place and not Path(place).is_dir():
        return None
    opened: Lake = _lake(place)
    return opened


def readable() -> bool:
    try:
        return lake() is not None
    except GueltaError:
        return False


def versions() -> dict[str, int]:
    """The version of every table a page may read, at most a few seconds old."""
    now = reading.get()
    if now is not None and now.held is not None:
        return now.held
    found: dict[str, int] = {} if lake() is None else _versions(settings().lake)
    if now is not None:
        now.held = found
    return found


def state() -> str:
    """A name for what the lake holds now: the key under which answers are kept."""
    return blake2b(repr((settings().lake, sorted(versions().items()))).encode(), digest_size=12).hexdigest()


# Streamlit is read without types (see pyproject.toml): its decorators are untyped to mypy.
@st.cache_resource(show_spinner=False)  # type: ignore[untyped-decorator]
def _settings() -> Settings:
    return load()


@st.cache_resource(show_spinner=False)  # type: ignore[untyped-decorator]
def _lake(place: str) -> Lake:
    known = _settings()
    return Lake(place, storage=known.storage or None, memory=known.memory, threads=known.threads)


@st.cache_data(ttl=10, show_spinner=False, refresh_mode="background")  # type: ignore[untyped-decorator]
def _versions(place: str) -> dict[str, int]:
    source = _lake(place)
    seen = [name for name in source.tables() if name.startswith(("marts.", "ops.")) or name in READ_BESIDE]
    return {name: source.table(name).version() for name in seen}


READ_BESIDE = ("raw.heads", "raw.chains")  # the header strip's


@st.cache_data(ttl="5m", max_entries=400, show_spinner=False, refresh_mode="background")  # type: ignore[untyped-decorator]
def _answer(
    state: str,  # noqa: ARG001  # part of the key: another lake state is another answer
    names: tuple[str, ...],
    by: tuple[str, ...],
    grain: str | None,
    since: date | None,
    until: date | None,
    where: tuple[tuple[str, Any], ...],
    compare: str | None,
    order: str | None,
    limit: int | None,
) -> Answer:
    source = _lake(_settings().lake)
    return ask(
        source,
        list(names),
        by=by,
        grain=grain,
        since=since,
        until=until,
        where=dict(where) or None,
        compare=compare,
        order=order,
        limit=limit,
    )


@st.cache_data(ttl="5m", max_entries=200, show_spinner=False, refresh_mode="background")  # type: ignore[untyped-decorator]
def _rows(
    state: str,  # noqa: ARG001  # part of the key
    table: str,
    version: int,  # noqa: ARG001  # likewise
    filters: tuple[tuple[str, Any], ...],
    columns: tuple[str, ...],
    order: tuple[str, ...],
    descending: bool | tuple[bool, ...],
    limit: int,
) -> pl.DataFrame:
    frame = _lake(_settings().lake).scan(table)
    for name, value in filters:
        frame = frame.filter(pl.col(name).is_in(value) if isinstance(value, tuple) else pl.col(name) == value)
    if columns:
        frame = frame.select(columns)
    if order:
        frame = frame.sort(order, descending=list(descending) if isinstance(descending, tuple) else descending)
    found: pl.DataFrame = frame.head(limit).collect()
    return found


@st.cache_data(ttl="1h", max_entries=2, show_spinner=False)  # type: ignore[untyped-decorator]
def _dictionary(state: str) -> list[Entry]:  # noqa: ARG001  # part of the key
    return catalogue(_lake(_settings().lake))
