"""What a table is: its columns, its key, and the properties it is created with.

Delta has one ``binary`` type, so hashes and addresses are plain binary in files and their length is a rule, not a type.
No decimal column ever has statistics: delta-rs writes false bounds for decimals above 2**63, and readers that trust
them lose rows without an error (30-lake §2.1).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from guelta.errors import BadModel, Fatal

Int64 = pa.int64()
Int32 = pa.int32()
Text = pa.string()
Bytes = pa.binary()
Hash = pa.binary()
Address = pa.binary()
Amount = pa.decimal128(38, 0)
Dec20 = pa.decimal128(20, 0)
Timestamp = pa.timestamp("us", tz="UTC")
Day = pa.date32()
Bool = pa.bool_()
Float64 = pa.float64()

SCHEMAS = ("raw", "core", "marts", "ops")
_STATISTICS = (pa.types.is_integer, pa.types.is_date, pa.types.is_string)
_RETENTION = {"raw": (7, 7), "core": (30, 30), "marts": (3650, 30), "ops": (30, 30)}  # days of log, days of files


@dataclass(frozen=True, slots=True)
class TableSpec:
    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    sort: tuple[str, ...]
    partition: tuple[str, ...]
    stats: tuple[str, ...]
    log_days: int
    file_days: int
    added: tuple[str, ...] = ()  # columns that came later: older files lack them

    def digest(self) -> str:
        """Changes when a column, the key or the layout changes; stands in the table's properties."""
        columns = [[field.name, str(field.type), field.nullable] for field in self.schema]
        text = json.dumps([self.name, columns, self.key, self.sort, self.partition, self.stats])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def configuration(self) -> dict[str, str | None]:
        return {
            "delta.dataSkippingStatsColumns": ",".join(self.stats),
            "delta.checkpointInterval": "20",
            "delta.logRetentionDuration": f"interval {self.log_days} days",
            "delta.deletedFileRetentionDuration": f"interval {self.file_days} days",
            "guelta.spec": self.digest(),
            "guelta.key": ",".join(self.key),
            "guelta.sort": ",".join(self.sort),
            "guelta.added": ",".join(self.added),
        }


def spec(
    name: str,
    columns: Mapping[str, pa.DataType],
    *,
    key: Sequence[str],
    required: Sequence[str] | None = None,
    partition: Sequence[str] | None = None,
    sort: Sequence[str] | None = None,
) -> TableSpec:
    """A table's contract.

    Args:
        name: ``schema.table``, one of the four schemas.
        columns: name to Arrow type, in file order; ``month`` is added when ``partition`` names it.
        key: the grain; unique in every commit.
        required: columns that may not be null (default: the key).
        partition: () , ("month",) or ("chain_id", "month").
        sort: order inside a file (default: the key).

    Raises:
        BadModel: a name outside the four schemas, or a key, sort or partition column that does not exist.
    """
    schema_name, _, table = name.partition(".")
    if schema_name not in SCHEMAS or not table:
        raise BadModel(
            f"expected a table name like core.earnings with a schema of {', '.join(SCHEMAS)}, found {name!r}"
        )
    parts = tuple(partition or ())
    types = dict(columns)
    if "month" in parts:
        if "day" not in types:
            raise BadModel(f"{name} is partitioned by month but has no column day; add it")
        types["month"] = Day
    order = tuple(sort or key)
    missing = [c for c in (*key, *order, *parts) if c not in types]
    if missing:
        raise BadModel(f"{name}: key, sort or partition names {', '.join(missing)}, which are no columns of it")
    must = set(key if required is None else required) | set(parts)
    schema = pa.schema([pa.field(c, t, nullable=c not in must) for c, t in types.items()])
    skippable = [c for c, t in types.items() if c not in parts and any(test(t) for test in _STATISTICS)]
    preferred = [c for c in ("day", "block_number", "log_index", *order, *key) if c in skippable]
    stats = tuple(dict.fromkeys(preferred or skippable[:1]))
    if not stats:
        raise BadModel(f"{name} has no integer, date or text column to keep statistics on; add one (day, an id)")
    log_days, file_days = _RETENTION[schema_name]
    return TableSpec(name, schema, tuple(key), order, parts, stats, log_days, file_days)


def conform(table: TableSpec, data: pa.Table) -> pa.Table:
    """``data`` in the column order and the types of ``table``; only lossless casts are made.

    Raises:
        Fatal: a missing, surplus or differently typed column, named with what was expected and found.
    """
    if "month" in table.schema.names and "month" not in data.column_names:
        data = data.append_column("month", _month(data))
    expected, found = set(table.schema.names), set(data.column_names)
    if expected != found:
        lacking, surplus = sorted(expected - found), sorted(found - expected)
        raise Fatal(
            f"{table.name}: missing columns {lacking}, unexpected columns {surplus}; make the rows fit the table"
        )
    columns = [_cast(table.name, field, data[field.name]) for field in table.schema]
    return pa.table(columns, schema=table.schema)


def _month(data: pa.Table) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.floor_temporal(data["day"].cast(Day), unit="month").cast(Day)


def _cast(table: str, field: pa.Field, column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.type == field.type:
        return column
    if not _lossless(column.type, field.type):
        raise Fatal(f"{table}.{field.name}: expected {field.type}, found {column.type}; cast it where the row is made")
    return column.cast(field.type)  # safe: an integer or decimal that does not fit raises


def _lossless(found: pa.DataType, wanted: pa.DataType) -> bool:
    kinds = pa.types
    if kinds.is_null(found):
        return True
    if kinds.is_integer(wanted):
        return bool(kinds.is_integer(found))
    if kinds.is_decimal(wanted):
        whole = kinds.is_integer(found) or (kinds.is_decimal(found) and found.scale <= wanted.scale)
        return bool(whole)
    if kinds.is_string(wanted):
        return bool(kinds.is_large_string(found) or kinds.is_string_view(found))
    if kinds.is_binary(wanted):
        return bool(kinds.is_large_binary(found) or kinds.is_fixed_size_binary(found) or kinds.is_binary_view(found))
    if kinds.is_timestamp(wanted):
        return bool(kinds.is_timestamp(found) and found.tz == wanted.tz)
    if kinds.is_list(wanted):
        lists = kinds.is_list(found) or kinds.is_large_list(found) or kinds.is_fixed_size_list(found)
        same = lists and (found.value_type == wanted.value_type or _lossless(found.value_type, wanted.value_type))
        return bool(same)
    return bool(kinds.is_floating(wanted) and kinds.is_floating(found))
