"""Views of one version of the lake: DuckDB over pruned file lists, Polars over the same files.

Partition columns are not in the files; they come from the folder names with explicit types. Names and types come from
the Delta schema, never from ``*`` (30-lake §5.2).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from guelta.errors import BadModel
from guelta.lake.schema import TableSpec
from guelta.lake.where import ALL, Where

_DUCK = {
    pa.int64(): "bigint",
    pa.int32(): "integer",
    pa.int16(): "smallint",
    pa.int8(): "tinyint",
    pa.string(): "varchar",
    pa.binary(): "blob",
    pa.date32(): "date",
    pa.bool_(): "boolean",
    pa.float64(): "double",
    pa.timestamp("us", tz="UTC"): "timestamptz",
}


def duck_type(kind: pa.DataType) -> str:
    """The DuckDB spelling of a lake type."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return duck_type(kind.value_type) + "[]"
    if pa.types.is_struct(kind):
        fields = ", ".join(f'"{kind.field(i).name}" {duck_type(kind.field(i).type)}' for i in range(kind.num_fields))
        return f"struct({fields})"
    if kind not in _DUCK:
        raise BadModel(f"a lake table may not hold {kind}; see the lake types in guelta/lake/schema.py")
    return _DUCK[kind]


def relation_sql(spec: TableSpec, files: list[str], where: Where = ALL) -> str:
    """A SELECT over exactly ``files``, with the table's names and types; an empty typed relation for no file."""
    columns = [(field.name, duck_type(field.type)) for field in spec.schema]
    if not files:
        return "select " + ", ".join(f'cast(null as {kind}) as "{name}"' for name, kind in columns) + " where false"
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
    options = ["union_by_name = true"]
    if spec.partition:
        types = ", ".join(f"'{name}': {kind}" for name, kind in columns if name in spec.partition)
        options += ["hive_partitioning = true", f"hive_types = {{{types}}}"]
    else:
        options.append("hive_partitioning = false")
    picked = ", ".join(f'"{name}"' for name, _ in columns)
    source = f"read_parquet([{listed}], {', '.join(options)})"
    if spec.added:  # a file may lack such a column, or all files may
        later = ", ".join(f'cast(null as {kind}) as "{name}"' for name, kind in columns if name in spec.added)
        source = f"(select * from {source} union all by name select {later} where false)"
    return f"select {picked} from {source} where {where.sql()}"


@contextmanager
def connection(memory: str, threads: int, database: str = ":memory:") -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection in UTC with limits, closed at the end."""
    con = duckdb.connect(
        database,
        config={
            "memory_limit": memory,
            "threads": threads,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "python_enable_replacements": False,  # a name in SQL is a table of the lake, never a variable
        },
    )
    try:
        con.execute("set timezone = 'UTC'")
        yield con
    finally:
        con.close()


def attach(con: duckdb.DuckDBPyConnection, relations: Mapping[str, str]) -> None:
    """Create one view per ``schema.table``."""
    for schema in sorted({name.partition(".")[0] for name in relations}):
        con.execute(f"create schema if not exists {schema}")
    for name, sql in relations.items():
        con.execute(f"create or replace view {name} as {sql}")
