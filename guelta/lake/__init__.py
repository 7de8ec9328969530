"""The lake: Delta tables in a folder (or ``s3://``), and the only code that opens them.

``<lake>/<schema>/<table>``: the folder is the catalogue. A lake holds one world, demo or real, and says which.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from guelta.errors import BadSetting, Fatal, ForeignLake
from guelta.lake.commit import Commit, Cursor, changed_days, explained, open_table, read_cursor, write
from guelta.lake.read import attach, connection, relation_sql
from guelta.lake.schema import SCHEMAS, TableSpec, conform
from guelta.lake.where import ALL, Where, eq, ge, gt, isin, le, lt

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "ALL",
    "Commit",
    "Cursor",
    "Lake",
    "Pin",
    "Table",
    "TableSpec",
    "Where",
    "eq",
    "ge",
    "gt",
    "isin",
    "le",
    "lt",
]

Pin = Mapping[str, int]  # table name -> version
_MARKER = "_guelta.json"


class Lake:
    """Opens or makes the lake at ``root``.

    Args:
        root: a folder or an ``s3://`` address.
        storage: options of the object store.
        world: ``demo`` or ``real``; written when the lake is made, checked when it is opened.

    Raises:
        ForeignLake: the folder holds something Guelta did not make, or another world.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        storage: Mapping[str, str] | None = None,
        world: str | None = None,
        memory: str = "4GB",
        threads: int = 2,
    ) -> None:
        self.root = str(root).rstrip("/")
        self.storage = dict(storage or {}) or None
        self.memory, self.threads = memory, threads
        self.remote = "://" in self.root
        self.world = world or "real"
        self.id = self.root  # what pins name it by: the same wherever the folder is called from
        if not self.remote:
            try:
                self._claim(world)
            except OSError as error:
                raise explained(self.root, error) from error

    def _claim(self, world: str | None) -> None:
        folder = Path(self.root)
        marker, draft = folder / _MARKER, folder / f"{_MARKER}.new"
        self.id = str(folder.resolve())
        # A draft alone is ours: an earlier claim was killed, or found no room, before the draft had its name.
        strange = folder.is_dir() and any(path != draft for path in folder.iterdir()) and not marker.is_file()
        if folder.is_file() or strange:
            raise ForeignLake(f"{folder} holds something Guelta did not make; name an empty folder, or move it away")
        if marker.is_file():
            found = json.loads(marker.read_text("utf-8"))
            if world is not None and found["world"] != world:
                raise ForeignLake(
                    f"{folder} is a lake of {found['world']} data, expected {world}; name another folder (GUELTA_HOME)"
                )
            self.world, self.id = found["world"], found.get("id", self.id)
            return
        folder.mkdir(parents=True, exist_ok=True)
        self.id = uuid4().hex
        draft.write_text(json.dumps({"format": 1, "world": self.world, "id": self.id}) + "\n", "utf-8")
        draft.rename(marker)

    def create(self, spec: TableSpec) -> "Table":
        """The table of ``spec``, made when it is missing; a column added at the end of the columns is added to it.

        Raises:
            ForeignLake: a table of that name with other columns, another key, or without our statistics whitelist.
            OutOfSpace: the disk is full; the table was not made.
        """
        try:
            return self._created(spec)
        except (OSError, DeltaError) as error:
            raise explained(spec.name, error) from error

    def _created(self, spec: TableSpec) -> "Table":
        uri = self._uri(spec.name)
        if not DeltaTable.is_deltatable(uri, self.storage):
            DeltaTable.create(
                uri,
                spec.schema,
                mode="ignore",
                partition_by=list(spec.partition),
                configuration=spec.configuration(),
                storage_options=self.storage,
                raise_if_key_not_exists=False,
            )
            return Table(self, spec)
        return self._reconcile(spec, open_table(uri, self.storage))

    def _reconcile(self, spec: TableSpec, table: DeltaTable) -> "Table":
        properties = table.metadata().configuration
        if properties.get("guelta.spec") == spec.digest():
            return Table(self, spec)
        have = _spec_of(spec.name, table)
        added = [field for field in spec.schema if field.name not in have.schema.names]
        spec = replace(spec, added=(*have.added, *(field.name for field in added)))
        same = all(f.name in spec.schema.names and spec.schema.field(f.name).type == f.type for f in have.schema)
        if not same or have.key != spec.key or have.partition != spec.partition or any(not f.nullable for f in added):
            raise ForeignLake(
                f"{spec.name} in {self.root} has columns {have.schema.names} and key {have.key}, expected "
                f"{spec.schema.names} and {spec.key}; it is from another version: drop the folder and rebuild it"
            )
        if added:
            from deltalake.schema import Schema

            # Named before they exist: killed in between, a reader still knows that old files may lack them.
            table.alter.set_table_properties({"guelta.added": ",".join(spec.added)}, raise_if_not_exists=False)
            table.alter.add_columns(list(Schema.from_arrow(pa.schema(added)).fields))
        table.alter.set_table_properties(
            {k: v or "" for k, v in spec.configuration().items()}, raise_if_not_exists=False
        )
        return Table(self, spec)

    def exists(self, name: str) -> bool:
        return bool(DeltaTable.is_deltatable(self._uri(name), self.storage))

    def table(self, name: str) -> "Table":
        """An existing table, with the spec it was made with.

        Raises:
            Fatal: no such table.
        """
        if not self.exists(name):
            raise Fatal(
                f"the lake {self.root} has no table {name}; run guelta build {name}, or guelta follow and pull first"
            )
        return Table(self, _spec_of(name, open_table(self._uri(name), self.storage)))

    def drop(self, name: str) -> None:
        """Remove a table whose rows can all be made again: a model's, or an event table decoded from raw.logs.

        Raises:
            BadSetting: raw data that came from outside, of which this may be the only copy.
        """
        import shutil

        if name.startswith("raw.") and self.exists(name):
            table = self.table(name)
            apps = list(table.cursors())
            decoded = [app for app in apps if app.startswith("derive:") and app.endswith(f":{name}")]
            if apps != decoded or not (apps or table.rows() == 0):
                raise BadSetting(
                    f"{name} is raw data and is never dropped; event tables are decoded anew with guelta derive --anew "
                    "TABLE, models are rebuilt with guelta build --full"
                )
        shutil.rmtree(self._uri(name), ignore_errors=True)

    def tables(self) -> list[str]:
        """The names of all tables, sorted."""
        if self.remote:
            return self._remote_tables()
        found = (path.parent for schema in SCHEMAS for path in Path(self.root, schema).glob("*/_delta_log"))
        return sorted(f"{path.parent.name}.{path.name}" for path in found)

    def _remote_tables(self) -> list[str]:
        from deltalake.fs import DeltaStorageHandler
        from pyarrow import fs

        names = []
        for schema in SCHEMAS:
            store = fs.PyFileSystem(DeltaStorageHandler(f"{self.root}/{schema}", self.storage))
            entries = store.get_file_info(fs.FileSelector("", allow_not_found=True, recursive=True))
            names += [f"{schema}.{e.path.split('/')[0]}" for e in entries if "/_delta_log/" in e.path]
        return sorted(set(names))

    def pin(self, names: Sequence[str] | None = None) -> dict[str, int]:
        """The current version of each table, to read one frozen state."""
        return {name: self.version(name) for name in (names if names is not None else self.tables())}

    def version(self, name: str) -> int:
        """The current version of one table, in one look."""
        if not self.exists(name):
            raise Fatal(f"the lake {self.root} has no table {name}; run guelta build {name}, or follow and pull first")
        return int(open_table(self._uri(name), self.storage).version())

    @contextmanager
    def duck(
        self, names: Sequence[str] | None = None, *, pin: Pin | None = None, database: str = ":memory:"
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A DuckDB connection with a view ``schema.table`` for each name (default: all), at the versions of ``pin``."""
        wanted = list(names) if names is not None else (sorted(pin) if pin is not None else self.tables())
        with connection(self.memory, self.threads, database) as con:
            self.attach(con, wanted, pin=pin)
            yield con

    def attach(self, con: duckdb.DuckDBPyConnection, names: Sequence[str], *, pin: Pin | None = None) -> None:
        """Create or renew the views of ``names`` on an open connection."""
        if self.remote:
            for name in names:
                schema, _, table = name.partition(".")
                con.execute(f"create schema if not exists {schema}")
                con.register(f"_{schema}__{table}", self.table(name).read(version=(pin or {}).get(name)))
                con.execute(f"create or replace view {name} as select * from _{schema}__{table}")
            return
        views = {}
        for name in names:
            at = open_table(self._uri(name), version=(pin or {}).get(name)) if self.exists(name) else None
            if at is None:
                raise Fatal(
                    f"the lake {self.root} has no table {name}; run guelta build {name}, or follow and pull first"
                )
            views[name] = relation_sql(_spec_of(name, at), at.file_uris())
        attach(con, views)

    def scan(self, name: str, where: Where = ALL, version: int | None = None) -> "pl.LazyFrame":
        """A Polars lazy frame of one version."""
        import polars as pl

        frame = pl.scan_delta(self._uri(name), version=version, storage_options=self.storage)
        return frame.filter(pl.sql_expr(where.sql())) if where.clauses else frame

    def _uri(self, name: str) -> str:
        schema, _, table = name.partition(".")
        if schema not in SCHEMAS or not table or "/" in table:
            raise BadSetting(f"expected a table name like marts.earnings_daily, found {name!r}")
        return f"{self.root}/{schema}/{table}"


class Table:
    """One table of the lake. Every write is one commit on a fresh handle."""

    def __init__(self, lake: Lake, spec: TableSpec) -> None:
        self.lake, self.spec, self.name = lake, spec, spec.name
        self.uri = lake._uri(spec.name)  # noqa: SLF001  # a table is the lake's own part

    def _open(self, version: int | None = None) -> DeltaTable:
        return open_table(self.uri, self.lake.storage, version)

    def version(self) -> int:
        return int(self._open().version())

    def id(self) -> str:
        """The table's own id: one that was dropped and made anew has another, though its versions begin at 0 again."""
        return str(self._open().metadata().id)

    def cursor(self, app: str) -> Cursor | None:
        return read_cursor(self._open(), app)

    def cursors(self, prefix: str = "") -> dict[str, Cursor]:
        """Every app that wrote here, with its newest cursor."""
        from guelta.lake.commit import carried

        apps = [key.partition(":")[2] for key in carried(self._open())]
        found = {app: self.cursor(app) for app in apps if app.startswith(prefix)}
        return {app: cursor for app, cursor in found.items() if cursor is not None}

    def commits(self, app: str) -> int:
        """How many commits ``app`` made here; 0 also where the table was made anew since."""
        return int(self._open().transaction_version(app) or 0)

    def append(self, data: "pa.Table | pl.DataFrame", *, cursor: Cursor | None = None) -> Commit:
        """Add rows; zero rows with a cursor move only the cursor."""
        rows = self.conform(data)
        return write(self.uri, self.spec, rows, None, cursor, frozenset(), self.lake.storage)

    def replace(self, data: "pa.Table | pl.DataFrame", where: Where, *, cursor: Cursor | None = None) -> Commit:
        """Put ``data`` in the place of the rows of ``where``; every row of ``data`` must satisfy it."""
        rows = self.conform(data)
        removed = self._days(where) if "day" in self.spec.schema.names else frozenset()
        return write(self.uri, self.spec, rows, where, cursor, removed, self.lake.storage)

    def read(self, where: Where = ALL, version: int | None = None) -> pa.Table:
        """The rows of ``where``, in the table's sort order, with the table's types."""
        if self.lake.remote:
            frame = self.lake.scan(self.name, where, version).select(self.spec.schema.names).collect()
            return conform(self.spec, frame.to_arrow()).sort_by([(c, "ascending") for c in self.spec.sort])
        sql = relation_sql(self.spec, self.files(where, version), where)
        order = ", ".join(f'"{column}" nulls last' for column in self.spec.sort)
        with connection(self.lake.memory, self.lake.threads) as con:
            return conform(self.spec, con.sql(f"{sql} order by {order}").to_arrow_table())

    def files(self, where: Where = ALL, version: int | None = None) -> list[str]:
        """The data files that may hold rows of ``where``, pruned by partition and statistics."""
        prunable = Where(
            tuple(c for c in where.clauses if c.column in (*self.spec.stats, *self.spec.partition) and c.value != ())
        )
        return list(self._open(version).file_uris(file_pruning_predicate=prunable.pruning() or None))

    def changed(self, since: int | None) -> set[date] | None:
        """UTC days touched after version ``since``; None means all."""
        return changed_days(self._open(), since)

    def decimal_bounds(self) -> list[str]:
        """Decimal columns with bounds in the log: those may be false (30-lake §2.1). None, or readers lose rows."""
        noted = pa.table(self._open().get_add_actions(flatten=True)).column_names
        decimals = [field.name for field in self.spec.schema if pa.types.is_decimal(field.type)]
        return [name for name in decimals if {f"min.{name}", f"max.{name}"} & set(noted)]

    def rows(self) -> int:
        actions = pa.table(self._open().get_add_actions(flatten=True))
        return sum(count for count in actions["num_records"].to_pylist() if count)

    def conform(self, data: "pa.Table | pl.DataFrame") -> pa.Table:
        """``data`` in this table's order and types, sorted, its key unique.

        Raises:
            Fatal: a column that does not fit, or a key that stands twice.
        """
        rows = conform(self.spec, data if isinstance(data, pa.Table) else data.to_arrow())
        if rows.num_rows < 2:
            return rows
        import polars as pl

        keys = pl.from_arrow(rows.select(list(dict.fromkeys(self.spec.key))))
        if keys.height != keys.n_unique():  # type: ignore[union-attr]
            twice = keys.filter(keys.is_duplicated()).head(3).to_dicts()  # type: ignore[union-attr]
            raise Fatal(
                f"{self.name}: rows with the same key {self.spec.key} in one commit, for example {_shown(twice)}"
            )
        return rows.sort_by([(column, "ascending") for column in self.spec.sort])

    def _days(self, where: Where) -> frozenset[date]:
        if any(c.value == () for c in where.clauses):
            return frozenset()
        sql = relation_sql(self.spec, self.files(where), where)
        with connection(self.lake.memory, self.lake.threads) as con:
            days = con.execute(f"select distinct day from ({sql}) where day is not null").fetchall()
        return frozenset(day for (day,) in days)


def _spec_of(name: str, table: DeltaTable) -> TableSpec:
    properties = table.metadata().configuration
    if "guelta.spec" not in properties:
        raise ForeignLake(
            f"{name} was not made by Guelta: it lacks the statistics whitelist, so decimal bounds in its log may be "
            "false; copy its rows into a table made by guelta"
        )
    schema = pa.schema(table.schema().to_arrow())
    plain = pa.schema([pa.field(f.name, _plain(f.type), nullable=f.nullable) for f in schema])
    split = {
        k: tuple(filter(None, str(properties.get(k, "")).split(",")))
        for k in ("guelta.key", "guelta.sort", "guelta.added")
    }
    stats = tuple(filter(None, str(properties["delta.dataSkippingStatsColumns"]).split(",")))
    logs = int(str(properties["delta.logRetentionDuration"]).split()[1])
    files = int(str(properties["delta.deletedFileRetentionDuration"]).split()[1])
    partition = tuple(table.metadata().partition_columns)
    key, sort, added = (split[f"guelta.{part}"] for part in ("key", "sort", "added"))
    return TableSpec(name, plain, key, sort, partition, stats, logs, files, added)


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_binary_view(kind) or pa.types.is_large_binary(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_plain(kind.value_type))
    return kind


def _shown(rows: list[dict[str, Any]]) -> str:
    return str([{k: "0x" + v.hex() if isinstance(v, bytes) else v for k, v in row.items()} for row in rows])
