"""One frozen state of the lake behind an answer: its views, how far the chains were final, what the gates said.

Small tables and the DuckDB views are kept by version: asking again opens no file twice. A table's version is looked up
on each question, so an answer is never older than the lake.
"""

import atexit
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from threading import RLock
from typing import TYPE_CHECKING, Any

from guelta.errors import BadSetting

if TYPE_CHECKING:
    import duckdb
    import polars as pl

    from guelta.lake import Lake, Pin, TableSpec

_KEPT = 32  # sets of views, and small results, per process
_LOCK = RLock()


@dataclass(frozen=True, slots=True)
class Final:
    """How far a chain is final, and how far ahead the newest block is."""

    chain_id: int
    block: int
    block_hash: str
    at: datetime | None
    head: int

    @property
    def lag(self) -> int:
        return self.head - self.block


@dataclass(frozen=True, slots=True)
class AsOf:
    versions: dict[str, int]  # of every table read
    finalized: tuple[Final, ...]  # one a chain, when raw.heads is there
    data_as_of: datetime | None  # newest final block; without a chain, the newest day of the tables


@dataclass(frozen=True, slots=True)
class Gates:
    passed: int
    total: int
    failing: tuple[str, ...]  # "table: rule"


@dataclass(frozen=True, slots=True)
class Token:
    symbol: str | None
    decimals: int | None


@dataclass
class Snapshot:
    """Tables at fixed versions. Make one with ``Snapshot.of``."""

    lake: "Lake"
    versions: dict[str, int]
    specs: "dict[str, TableSpec]"
    _views: "_Views"

    @classmethod
    def of(cls, lake: "Lake", names: Sequence[str], pin: "Pin | None" = None) -> "Snapshot":
        missing = [name for name in names if not lake.exists(name)]
        if missing:
            raise BadSetting(f"the lake has no table {', '.join(missing)} yet; run guelta build {' '.join(missing)}")
        tables = {name: lake.table(name) for name in names}
        versions = {name: _version(lake, name, pin) for name in names}
        views = _kept(("views", lake.root, *sorted(versions.items())), lambda: _Views(lake, versions))
        return cls(lake, versions, {name: table.spec for name, table in tables.items()}, views)

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        return {name: spec.key for name, spec in self.specs.items()}

    def rows(self, sql: str, params: Sequence[Any] = ()) -> "pl.DataFrame":
        return self._views.rows(sql, params)

    def days(self, name: str) -> tuple[date | None, date | None]:
        """The first and the last day of a table."""
        if "day" not in self.specs[name].schema.names:
            return None, None
        frame = self._views.once(f"select min(day) as first, max(day) as last from {name}")
        first, last = frame.row(0)
        return first, last

    def tokens(self) -> dict[tuple[int, bytes], Token]:
        """By chain and address; marts write addresses as text."""
        rows = self._small("marts.tokens") or self._small("core.tokens")
        found = {}
        for row in rows:
            address = row["token"]
            address = bytes.fromhex(address.removeprefix("0x")) if isinstance(address, str) else address
            found[row["chain_id"], address] = Token(row["symbol"], row["decimals"])
        return found

    def chains(self) -> dict[str, int]:
        """Chain names to their ids."""
        rows = self._small("marts.chains") or self._small("core.chains")
        return {row["name"]: row["chain_id"] for row in rows}

    def as_of(self) -> AsOf:
        finalized = self._finalized()
        times = [final.at for final in finalized if final.at]
        last = [day for name in self.versions if (day := self.days(name)[1])]
        start_of_last = datetime.combine(max(last), datetime.min.time(), UTC) if last else None
        return AsOf(dict(self.versions), finalized, max(times) if times else start_of_last)

    def gates(self) -> Gates:
        """Of every table read: the rules of its newest run, by the count of runs over it."""
        newest: dict[str, tuple[Any, ...]] = {}
        results: dict[str, dict[str, bool]] = {}
        for row in self._small("ops.gate_results"):
            table = row["table_name"]
            place = row["version"] if row.get("seq") is None else row["seq"]  # a lake from before seq was kept
            run = (-1 if place is None else place, row["day"], row["run_id"])
            if table not in self.versions or run < newest.get(table, run):
                continue
            if run > newest.get(table, (-2,)):
                newest[table], results[table] = run, {}
            results[table][row["rule_id"]] = row["passed"]
        failing = tuple(
            f"{table}: {rule}" for table in sorted(results) for rule, ok in results[table].items() if not ok
        )
        total = sum(len(rules) for rules in results.values())
        return Gates(total - len(failing), total, failing)

    def _finalized(self) -> tuple[Final, ...]:
        if not self.lake.exists("raw.heads"):
            return ()
        version = _version(self.lake, "raw.heads")
        found: tuple[Final, ...] = _kept(("final", self.lake.root, version), lambda: _finals(self.lake, version))
        return found

    def _small(self, name: str) -> list[dict[str, Any]]:
        if not self.lake.exists(name):
            return []
        version = _version(self.lake, name)
        found: list[dict[str, Any]] = _kept(
            ("rows", self.lake.root, name, version),
            lambda: self.lake.table(name).read(version=version).to_pylist(),
        )
        return found


class _Views:
    """A DuckDB connection whose views stand at fixed versions; a cursor a query, so that threads do not meet."""

    def __init__(self, lake: "Lake", versions: Mapping[str, int]) -> None:
        self._stack = ExitStack()
        self._con: duckdb.DuckDBPyConnection = self._stack.enter_context(lake.duck(list(versions), pin=versions))
        self._once: dict[str, pl.DataFrame] = {}

    def rows(self, sql: str, params: Sequence[Any] = ()) -> "pl.DataFrame":
        with _LOCK:
            cursor = self._con.cursor()
        try:
            found: pl.DataFrame = cursor.sql(sql, params=list(params) or None).pl()
            return found
        finally:
            cursor.close()

    def once(self, sql: str) -> "pl.DataFrame":
        if sql not in self._once:
            self._once[sql] = self.rows(sql)
        return self._once[sql]

    def close(self) -> None:
        self._stack.close()


def _version(lake: "Lake", name: str, pin: "Pin | None" = None) -> int:
    return pin[name] if pin and name in pin else lake.table(name).version()


def _finals(lake: "Lake", version: int) -> tuple[Final, ...]:
    from guelta.lake import eq

    chains: dict[int, list[dict[str, Any]]] = {}
    for row in lake.table("raw.heads").read(version=version).to_pylist():
        chains.setdefault(row["chain_id"], []).append(row)
    found = []
    for chain_id, rows in sorted(chains.items()):
        sure = [row for row in rows if row["finalized_block"] is not None]
        if not sure:
            continue
        least = min(sure, key=lambda row: row["finalized_block"])  # what every stream of the chain has reached
        block = least["finalized_block"]
        at = None
        if lake.exists("raw.blocks"):
            times = lake.table("raw.blocks").read(eq("chain_id", chain_id) & eq("block_number", block))["block_time"]
            at = times[0].as_py() if len(times) else None
        name = "0x" + (least["finalized_hash"] or b"").hex()
        found.append(Final(chain_id, block, name, at, max(row["to_block"] for row in rows)))
    return tuple(found)


_CACHE: OrderedDict[Any, Any] = OrderedDict()


def _kept(key: Any, make: Callable[[], Any]) -> Any:
    with _LOCK:
        if key in _CACHE:
            _CACHE.move_to_end(key)
        else:
            _CACHE[key] = make()
            if len(_CACHE) > _KEPT:
                _, old = _CACHE.popitem(last=False)
                _close(old)
        return _CACHE[key]


def _close(value: Any) -> None:
    if isinstance(value, _Views):
        value.close()


@atexit.register
def forget() -> None:
    """Drop everything kept (connections that live on print a leak when Python ends)."""
    with _LOCK:
        while _CACHE:
            _close(_CACHE.popitem()[1])
