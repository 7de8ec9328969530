"""What pages read: answers of the metric layer and rows of published tables, cached until the lake moves.

A page never opens the lake, never writes SQL and never sums money. Every answer and table it reads is noted, so that
the frame can say at the end which metrics, versions and gates stand behind what is shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypedDict

import polars as pl
import streamlit as st

from guelta.errors import GueltaError
from guelta.lake import Lake
from guelta.money import sum_by, whole
from guelta.settings import Settings, load
from models.metrics import Answer, Entry, ask, catalogue

ROWS = 5_000  # a browser stays quick below this; a table that was cut says so
THIN = "\u202f"  # narrow no-break space between groups of three digits


@dataclass(frozen=True, slots=True)
class Token:
    chain_id: int
    address: str  # 0x text
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


def dictionary() -> list[Entry]:
    """Every metric: its meaning, formula, dimensions and SQL."""
    found: list[Entry] = _dictionary(state())
    return found


def tokens() -> dict[tuple[int, str], Token]:
    """Every token by its chain and its address as 0x text."""
    return {
        (row["chain_id"], row["token"]): Token(
            row["chain_id"], row["token"], short(row["symbol"] or row["token"]), row["decimals"] or 0
        )
        for row in rows("marts.tokens", limit=100_000).iter_rows(named=True)
    }


def tokens_of(name: str, **where: Any) -> list[Token]:
    """The tokens the metric ``name`` has rows in, the most used first."""
    known = tokens()
    found = metric(name, by=["chain_id", "token"], where=where).frame
    have = {(row["chain_id"], row["token"]) for row in found.iter_rows(named=True)}
    # stable values first: whole units a person can picture; then by name
    return sorted(
        (known[key] for key in have if key in known), key=lambda one: (one.decimals, one.chain_id, one.symbol)
    )


@dataclass(frozen=True, slots=True)
class Assets:
    """What assets are called; the number stands where nobody named one."""

    rows: Mapping[tuple[int, int], tuple[str, str]]

    def names(self, chain_id: int) -> dict[int, str]:
        return {asset: name for (chain, asset), (name, _) in self.rows.items() if chain == chain_id}

    def frame(self) -> pl.DataFrame:
        """Columns ``chain_id``, ``asset_id`` and ``asset``, to join by."""
        kinds = {"chain_id": pl.Int64, "asset_id": pl.Int64, "asset": pl.String}
        return pl.DataFrame([(*key, name) for key, (name, _) in self.rows.items()], kinds, orient="row")

    def kinds(self, chain_id: int) -> dict[int, str]:
        return {asset: kind for (chain, asset), (_, kind) in self.rows.items() if chain == chain_id}


def assets() -> Assets:
    found = rows("marts.assets", limit=100_000)
    return Assets(
        {
            (row["chain_id"], row["asset_id"]): (row["name"] or f"asset {row['asset_id']}", row["kind"])
            for row in found.iter_rows(named=True)
        }
    )


def parties() -> pl.DataFrame:
    """Columns ``party``, ``name`` and ``roles`` (readable) of everyone the platform knows."""
    found = rows("marts.parties", limit=1_000_000)
    if found.is_empty():
        return pl.DataFrame(schema={"party": pl.String, "name": pl.String, "roles": pl.String})
    return found.select("party", "name", pl.col("roles").str.replace_all("_", " ").str.replace_all(",", " · "))


def balance_of(balances: pl.DataFrame, party: str, token: Token) -> dict[str, int]:
    """A party's exact balance in one token, over every kind of earning."""
    mine = balances.filter(
        (pl.col("party") == party) & (pl.col("chain_id") == token.chain_id) & (pl.col("token") == token.address)
    )
    return {side: sum(int(amount) for amount in mine[side]) for side in ("earned", "instructed", "paid", "open")}


def open_balances(token: Token) -> pl.DataFrame:
    """What each party is still owed in one token, as exact text: columns ``party`` and ``open``."""
    found = rows("marts.contributor_balances", {"chain_id": token.chain_id, "token": token.address}, limit=1_000_000)
    if found.is_empty():
        return pl.DataFrame(schema={"party": pl.String, "open": pl.String})
    owed = sum_by(found, ["party"], ["open"])
    return owed.select("party", pl.Series("open", [token.exact(int(amount)) for amount in owed["open"]], pl.String))


def values_of_assets(days: Days) -> tuple[pl.DataFrame, dict[str, str]]:
    """Gross value of each asset, a column of exact text a token; and the name of each token's column for the eye."""
    known = tokens()
    answer = metric("gross_value", by=["chain_id", "asset_id", "token"], **days)
    wide = pl.DataFrame(schema={"chain_id": pl.Int64, "asset_id": pl.Int64})
    shown = {}
    for (chain, address), part in answer.frame.group_by("chain_id", "token", maintain_order=True):
        if (token := known.get((int(str(chain)), str(address)))) is None:
            continue
        name = f"gross_value_{token.symbol}_{chain}"
        shown[f"{name}_display_f64"] = token.symbol
        columns = part.select(
            "chain_id",
            "asset_id",
            pl.Series(name, [token.exact(amount) for amount in part["gross_value"]], pl.String),
            pl.col("gross_value_f64").alias(f"{name}_display_f64"),
        )
        wide = wide.join(columns, on=["chain_id", "asset_id"], how="full", coalesce=True)
    return wide, shown


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


def tokens_among(frame: pl.DataFrame) -> list[Token]:
    """The described tokens of a table's rows."""
    known = tokens()
    have = set(frame.select("chain_id", "token").unique().iter_rows()) if frame.height else set()
    return in_order([known[key] for key in have if key in known])


def in_order(found: Iterable[Token]) -> list[Token]:
    """Few decimals first: stable values, which a person can picture; then by chain and name."""
    return sorted(found, key=lambda one: (one.decimals, one.chain_id, one.symbol))


def exact_sum(column: pl.Series) -> int:
    """The sum of a column of exact amounts, decimals or digits in text: Python's integers have no width."""
    return sum(int(amount) for amount in column if amount is not None)


def part(some: int, whole: int) -> float | None:
    """A share for the eye, from exact numbers; None of nothing."""
    return float(Fraction(some, whole)) if whole else None


def span(table: str) -> tuple[date | None, date | None]:
    """The first and the newest UTC day of a table: where a window ends."""
    ends = [rows(table, columns=["day"], order=["day"], descending=down, limit=1) for down in (False, True)]
    first, last = (None if end.is_empty() else end["day"][0] for end in ends)
    return first, last


def number(answer: Answer, name: str, previous: bool = False) -> Any:
    """The one value of an answer without dimensions; money as exact digits, None where there is none."""
    column = f"{name}_previous" if previous else name
    if answer.frame.is_empty() or column not in answer.frame.columns:
        return None
    return answer.frame[column][0]


def change(answer: Answer, name: str) -> float | None:
    """The share by which a number moved against the window before; None where there is nothing to compare."""
    now, before = number(answer, name), number(answer, name, previous=True)
    if now is None or before is None or not float(before):
        return None
    return float(now) / float(before) - 1


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


@dataclass(frozen=True, slots=True)
class Chain:
    chain_id: int
    name: str
    source: str  # live, recorded, devnet
    head: int | None
    finalized: int | None
    head_at: datetime | None

    def standing(self) -> str:
        if self.finalized is None or self.head is None:
            return f"{self.name} head {number_of(self.head)}"
        lag = self.head - self.finalized
        return f"{self.name} final at {number_of(self.finalized)}" + (f" · head +{number_of(lag)}" if lag else "")

    def said(self) -> str:
        return (
            f"chain {self.chain_id}, {self.source}: newest block {number_of(self.head)} of {utc(self.head_at)} UTC, "
            f"final up to {number_of(self.finalized)}"
        )


def chains() -> list[Chain]:
    """Every chain with blocks, the one with the newest block first."""
    found = [
        Chain(row["chain_id"], row["name"], row["source"], row["head"], row["finalized"], row["head_at"])
        for row in rows("marts.chains", note=False).iter_rows(named=True)
        if row["head"] is not None
    ]
    return sorted(found, key=lambda one: (one.head_at or datetime.min.replace(tzinfo=UTC), -one.chain_id), reverse=True)


def blocks() -> list[Answer]:
    """An answer to read freshness from, on a page that asks for no metric."""
    return [metric("indexed_blocks")] if "marts.chains" in versions() else []


def as_of(answers: Sequence[Answer]) -> datetime | None:
    """How fresh the numbers are: the newest final block behind the answers, or the newest block where nobody asked."""
    stood = [answer.as_of.data_as_of for answer in answers if answer.as_of.data_as_of]
    return max(stood) if stood else max((one.head_at for one in chains() if one.head_at), default=None)


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
    """One row a table and rule: what the newest run over each table said."""
    results = rows("ops.gate_results", limit=1_000_000, note=False)
    if results.is_empty():
        return results
    order = ["version", "day", "run_id"]
    last = results.sort(order, nulls_last=False).group_by("table_name").last().select("table_name", "run_id")
    return results.join(last, on=["table_name", "run_id"]).sort("table_name", "rule_id")


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


def number_of(value: int | None) -> str:
    return "unknown" if value is None else grouped(str(value))


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


@st.cache_data(ttl="1h", max_entries=2, show_spinner=False)  # type: ignore[untyped-decorator]
def _dictionary(state: str) -> list[Entry]:  # noqa: ARG001  # part of the key
    return catalogue(_lake(_settings().lake))
