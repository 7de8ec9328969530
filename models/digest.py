r"""What a table says, as one hash: equal rows give equal digests, whatever engine or number of commits wrote them.

Rows sorted by the grain, each as text: integers and decimals as plain digits, dates ISO, instants in microseconds UTC,
bytes as hex, null as ``\N``, ``\x1f`` between columns and a new line after each row (30-lake §8.3). Columns that are
estimates (``_f64``) and ``month``, which the writer derives, are left out.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from guelta.lake import Lake, Pin

_ROWS = 50_000  # a batch


def digest(lake: "Lake", names: Sequence[str] | None = None, *, pin: "Pin | None" = None) -> dict[str, str]:
    """The digest of each table (default: every table of the lake)."""
    wanted = sorted(names) if names is not None else lake.tables()
    return {name: _digest(lake, name, pin) for name in wanted}


def row_sql(schema: "pa.Schema", table: str, key: Sequence[str]) -> str:
    """A SELECT of the rows of ``table`` as text, in the order of the grain (DuckDB)."""
    shown = [field for field in schema if field.name != "month" and not field.name.endswith("_f64")]
    texts = [_text('"' + field.name + '"', field.type) for field in shown]
    parts = [f"coalesce({text}, '\\N')" for text in texts]
    text = " || chr(31) || ".join(parts) + " || chr(10)"
    order = ", ".join(f'"{column}" nulls last' for column in key)
    return f"select {text} as line from {table} order by {order + ', ' if order else ''}line"


def _digest(lake: "Lake", name: str, pin: "Pin | None") -> str:
    table = lake.table(name)
    found = hashlib.sha256()
    with lake.duck([name], pin={name: pin[name]} if pin and name in pin else None) as con:
        reader = con.sql(row_sql(table.spec.schema, name, table.spec.key)).to_arrow_reader(_ROWS)
        for batch in reader:
            _feed(found, batch.column(0))
    return found.hexdigest()


def _feed(found: "hashlib._Hash", lines: "pa.Array") -> None:
    """The lines lie one after the other in memory: hash that, without a Python string per row."""
    import numpy as np
    import pyarrow as pa

    if not len(lines):
        return
    lines = lines.cast(pa.large_string())
    _, offsets, data = lines.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[lines.offset : lines.offset + len(lines) + 1]
    found.update(memoryview(data)[int(ends[0]) : int(ends[-1])])


def _text(column: str, kind: "pa.DataType") -> str:
    import pyarrow as pa

    if pa.types.is_binary(kind):
        return f"lower(hex({column}))"
    if pa.types.is_timestamp(kind):
        return f"cast(epoch_us({column}) as varchar)"
    if pa.types.is_list(kind):
        inner = f"coalesce({_text('item', kind.value_type)}, '\\N')"
        return f"'[' || array_to_string(list_transform({column}, lambda item: {inner}), ',') || ']'"
    if pa.types.is_string(kind):  # so that no text can look like a separator or a null
        return f"replace(replace(replace({column}, '\\', '\\\\'), chr(10), '\\n'), chr(31), '\\x1f')"
    return f"cast({column} as varchar)"
