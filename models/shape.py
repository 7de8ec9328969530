"""The table a model makes: its lake types, read from what the SELECT or the Python model returns.

Refused, with the column's name and the cast to write: HUGEINT (files would hold DOUBLE), floats outside ``_f64``,
fractions of base units, local time, and NULL without a type.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from guelta.errors import BadModel
from models import Model

if TYPE_CHECKING:
    import pyarrow as pa

    from guelta.lake.schema import TableSpec

_DUCKDB = {
    "TINYINT": "Int32",
    "SMALLINT": "Int32",
    "INTEGER": "Int32",
    "UTINYINT": "Int32",
    "USMALLINT": "Int32",
    "BIGINT": "Int64",
    "UINTEGER": "Int64",
    "VARCHAR": "Text",
    "BLOB": "Bytes",
    "DATE": "Day",
    "BOOLEAN": "Bool",
    "TIMESTAMP WITH TIME ZONE": "Timestamp",
    "FLOAT": "Float64",
    "DOUBLE": "Float64",
}
_CASTS = {
    "HUGEINT": "cast(x as bigint) for a count, cast(x as decimal(38,0)) for money",
    "UHUGEINT": "cast(x as decimal(38,0))",
    "UBIGINT": "cast(x as decimal(20,0))",
    "TIMESTAMP": "cast(x as timestamptz), in UTC",
    '"NULL"': "cast(null as …) with the column's type",
    "TIME": "a timestamp or an integer of microseconds",
}


def spec_of_select(model: Model, names: Sequence[str], types: Sequence[Any]) -> "TableSpec":
    """The table of a SQL model from the names and types DuckDB gives its SELECT."""
    found = [_from_duckdb(model, name, str(kind)) for name, kind in zip(names, types, strict=True)]
    return _spec(model, list(names), found)


def spec_of_rows(model: Model, data: "pa.Table") -> "TableSpec":
    """The table of a Python model from the rows it returned; ``types`` of its header speak first."""
    declared = {name: _declared(model, name, word) for name, word in model.header.types}
    found = [declared.get(field.name) or _from_arrow(model, field.name, field.type) for field in data.schema]
    return _spec(model, data.column_names, found)


def _spec(model: Model, names: Sequence[str], types: "Sequence[pa.DataType]") -> "TableSpec":
    from guelta.lake.schema import spec

    documented = list(model.columns)
    if list(names) != documented:
        lacking = [name for name in documented if name not in names]
        surplus = [name for name in names if name not in documented]
        what = f"lacks {lacking}, has {surplus} besides" if lacking or surplus else f"orders them {list(names)}"
        raise BadModel(f"{model.path}: the header documents {documented}; the rows {what}; make them equal, in order")
    columns: Mapping[str, pa.DataType] = dict(zip(names, types, strict=True))
    dated = model.partition.by == "day"
    return spec(
        model.name,
        columns,
        key=model.grain,
        required=("day",) if dated else (),  # which others may be null is said by not_null in rules
        partition=("month",) if dated else (),
    )


def _from_duckdb(model: Model, name: str, kind: str) -> "pa.DataType":
    import pyarrow as pa

    from guelta.lake import schema

    if kind.endswith("[]"):
        return pa.list_(_from_duckdb(model, name, kind[:-2]))
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind)
    if decimal:
        return _decimal(model, name, int(decimal[1]), int(decimal[2]))
    word = _DUCKDB.get(kind)
    if word is None:
        raise BadModel(f"{model.path}: column {name} is {kind}; write {_CASTS.get(kind, 'a cast to a lake type')}")
    if word == "Float64":
        _float(model, name, kind)
    found: pa.DataType = getattr(schema, word)
    return found


def _from_arrow(model: Model, name: str, kind: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    from guelta.lake import schema

    test = pa.types
    if test.is_list(kind) or test.is_large_list(kind) or test.is_fixed_size_list(kind):
        return pa.list_(_from_arrow(model, name, kind.value_type))
    if test.is_decimal(kind):
        return _decimal(model, name, kind.precision, kind.scale)
    if test.is_floating(kind):
        _float(model, name, str(kind))
        return schema.Float64
    small = (pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16())
    for fits, word in (
        (kind in small, schema.Int32),
        (kind in (pa.int64(), pa.uint32()), schema.Int64),
        (test.is_string(kind) or test.is_large_string(kind) or test.is_string_view(kind), schema.Text),
        (test.is_binary(kind) or test.is_large_binary(kind) or test.is_binary_view(kind), schema.Bytes),
        (test.is_fixed_size_binary(kind), schema.Bytes),
        (test.is_date32(kind), schema.Day),
        (test.is_boolean(kind), schema.Bool),
        (test.is_timestamp(kind) and kind.tz == "UTC", schema.Timestamp),
    ):
        if fits:
            return word
    advice = "say its type under types: in the header" if test.is_null(kind) else "cast it to a lake type"
    raise BadModel(f"{model.path}: column {name} is {kind}; {advice}")


def _declared(model: Model, name: str, word: str) -> "pa.DataType":
    from guelta.lake import schema

    known = (
        "Int64",
        "Int32",
        "Text",
        "Bytes",
        "Hash",
        "Address",
        "Amount",
        "Dec20",
        "Timestamp",
        "Day",
        "Bool",
        "Float64",
    )
    if word not in known:
        raise BadModel(f"{model.path}: expected the type of {name} as one of {', '.join(known)}, found {word!r}")
    if word == "Float64":
        _float(model, name, word)
    found: pa.DataType = getattr(schema, word)
    return found


def _decimal(model: Model, name: str, precision: int, scale: int) -> "pa.DataType":
    from guelta.lake import schema

    if scale:
        raise BadModel(
            f"{model.path}: column {name} is decimal({precision},{scale}), a fraction; money is whole base units, "
            f"decimal(38,0); a ratio belongs into a metric or a column {name}_f64"
        )
    return schema.Dec20 if precision == 20 else schema.Amount


def _float(model: Model, name: str, kind: str) -> None:
    if not name.endswith("_f64"):
        raise BadModel(
            f"{model.path}: column {name} is {kind}; write cast(x as decimal(38,0)) for money, or name it {name}_f64 "
            "if it is an estimate that no sum may use"
        )
