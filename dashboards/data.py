"""What pages read: answers of the metric layer and rows of published tables, cached until the lake moves.

A page never opens the lake, never writes SQL and never sums money. Every answer and table it reads is noted, so that
the frame can say at the end which metrics, versions and gates stand behind what is shown.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st
from models.metrics import Answer, ask

from guelta.lake import Lake
from guelta.money import whole
from guelta.settings import Settings, load

ROWS = 5_000  # a browser stays quick below this; a table that was cut says so
THIN = "\u202f"  # narrow no-break space between groups of three digits


@dataclass(frozen=True, slots=True)
class Token:
    chain_id: int
    address: bytes
    symbol: str
    decimals: int

    def exact(self, amount: int | str | None) -> str:
        """Whole tokens, every digit: ``1 234 567.25``."""
        return "" if amount is None else grouped(whole(int(amount), self.decimals))

    def shown(self, amount: int | str | None) -> float:
        """For charts and tiles only."""
        return float(whole(int(amount or 0), self.decimals))

    def said(self, amount: int | str | None) -> str:
        """The sentence of a tooltip: exact whole tokens and exact base units."""
        return f"Exactly {self.exact(amount or 0)} {self.symbol} = {grouped(str(int(amount or 0)))} base units"


@dataclass(slots=True)
class Reading:
    """What one run of a page has read."""

    answers: list[Answer] = field(default_factory=list)
    tables: dict[str, int] = field(default_factory=dict)


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
    answer = _answer(state(), names, tuple(by), grain, since, until, filters, compare, order, limit)
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
) -> pl.DataFrame:
    """Rows of a published table, at most ``limit``; an absent table has none and no columns."""
    version = versions().get(table)
    if version is None:
        return pl.DataFrame()
    if (now := reading.get()) is not None:
        now.tables[table] = version
    filters = tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in (where or {}).items())
    down = descending if isinstance(descending, bool) else tuple(descending)
    found: pl.DataFrame = _rows(state(), table, version, filters, tuple(columns), tuple(order), down, limit)
    return found


def tokens() -> dict[tuple[int, bytes], Token]:
    table = rows("marts.tokens")
    return {
        (row["chain_id"], row["token"]): Token(
            row["chain_id"], row["token"], row["symbol"] or short(row["token"]), row["decimals"] or 0
        )
        for row in table.iter_rows(named=True)
    }


@dataclass(frozen=True, slots=True)
class Chain:
    chain_id: int
    name: str
    source: str  # live, recorded, devnet
    head: int
    finalized: int
    as_of: datetime | None

    @property
    def lag(self) -> int:
        return self.head - self.finalized

    def said(self) -> str:
        head, final = grouped(str(self.head)), grouped(str(self.finalized))
        return f"chain {self.chain_id}, {self.source}: head {head}, final at {final} of {utc(self.as_of)} UTC"


def chains() -> list[Chain]:
    """Every indexed chain, the one with the newest final block first."""
    found = [
        Chain(
            row["chain_id"],
            row["name"],
            row["source"],
            row["head_block"] or 0,
            row["finalized_block"] or 0,
            row["finalized_at"],
        )
        for row in rows("marts.chains").iter_rows(named=True)
    ]
    return sorted(found, key=lambda one: (one.as_of or datetime.min.replace(tzinfo=UTC), -one.chain_id), reverse=True)


@dataclass(frozen=True, slots=True)
class Gates:
    passed: int
    total: int
    failing: tuple[str, ...]

    def said(self) -> str:
        return ", ".join(self.failing) + " failed" if self.failing else "all passed"


def gates(tables: Sequence[str] = ()) -> Gates:
    """What the newest run of every rule said, of ``tables`` or of all."""
    results = newest_gates()
    if tables and not results.is_empty():
        results = results.filter(pl.col("table_name").is_in(list(tables)))
    if results.is_empty():
        return Gates(0, 0, ())
    bad = results.filter(~pl.col("passed"))
    failing = tuple(f"{table}: {rule}" for table, rule in bad.select("table_name", "rule_id").iter_rows())
    return Gates(results.height - bad.height, results.height, failing)


def newest_gates() -> pl.DataFrame:
    """One row a table and rule: the result of the newest version that was checked."""
    results = rows("ops.gate_results", limit=1_000_000)
    if results.is_empty():
        return results
    return results.sort("version", "day").unique(["table_name", "rule_id"], keep="last").sort("table_name", "rule_id")


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


def versions() -> dict[str, int]:
    """The version of every table a page may read, at most a few seconds old."""
    place = lake()
    return {} if place is None else _versions(settings().lake)


def state() -> str:
    """A name for what the lake holds now: the key under which answers are kept."""
    return blake2b(repr((settings().lake, sorted(versions().items()))).encode(), digest_size=12).hexdigest()


def grouped(digits: str) -> str:
    """Thin separators between groups of three, in front of the point only.

    >>> grouped("-1234567.25").replace(THIN, " ")
    '-1 234 567.25'
    """
    sign, rest = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    units, point, fraction = rest.partition(".")
    head = len(units) % 3 or 3
    groups = [units[:head], *(units[i : i + 3] for i in range(head, len(units), 3))]
    return f"{sign}{THIN.join(groups)}{point}{fraction}"


def hexed(value: bytes | None) -> str:
    return "" if value is None else f"0x{value.hex()}"


def short(value: bytes | str | None) -> str:
    """An address a person can compare: ``0x12ab…89ef``. Names that are short already stay whole."""
    text = hexed(value) if isinstance(value, bytes) else value or ""
    return f"{text[:6]}…{text[-4:]}" if text.startswith("0x") and len(text) > 14 else text


def utc(moment: datetime | None) -> str:
    return "unknown" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


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
