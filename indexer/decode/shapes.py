"""The lake columns of an ABI input: names and Arrow types, from the ABI alone and never from the data."""

import re
from collections.abc import Iterable

import pyarrow as pa

from guelta.lake.schema import Address, Amount, Bool, Bytes, Dec20, Hash, Int64, Text
from indexer.abi import AbiType, Event, Input
from indexer.tables import COORDINATES

PROVENANCE: dict[str, pa.DataType] = {"abi_digest": Text, "decode": Text}

# DuckDB's reserved words, and `index`, which other engines reserve
_RESERVED = frozenset(
    re.findall(
        r"\w+",
        """
        all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create
        default deferrable desc describe distinct do else end except false fetch for foreign from group having in
        index initially intersect into lambda lateral leading limit not null offset on only or order pivot
        pivot_longer pivot_wider placing primary qualify references returning select show some summarize symmetric
        table then to trailing true union unique unpivot using variadic when where window with
        """,
    )
)
_TAKEN = frozenset([*COORDINATES, *PROVENANCE, "month"])


def columns_of(event: Event) -> dict[str, pa.DataType]:
    """The ABI columns of an event's table, in the order of its inputs."""
    return dict(column for _, columns in input_columns(event) for column in columns)


def input_columns(event: Event) -> list[tuple[Input, list[tuple[str, pa.DataType]]]]:
    """Every input with its one column, or its pair ``x`` and ``x_raw``; names are unique within the event."""
    taken: set[str] = set(_TAKEN)
    found = []
    for at, declared in enumerate(event.inputs):
        name = _column_name(declared, at)
        while not taken.isdisjoint(column for column, _ in _columns(declared, name)):
            name = f"arg_{name}"
        columns = _columns(declared, name)
        taken.update(column for column, _ in columns)
        found.append((declared, columns))
    return found


def arrow_columns(name: str, kind: AbiType) -> list[tuple[str, pa.DataType]]:
    """The columns of one value: two for integers wider than 64 bits, also inside lists and structs."""
    match kind.kind:
        case "uint" | "int" if is_wide(kind):
            return [(name, Amount), (f"{name}_raw", Bytes)]
        case "uint" | "int":
            return [(name, Dec20 if kind.kind == "uint" and kind.size == 64 else Int64)]
        case "address":
            return [(name, Address)]
        case "bool":
            return [(name, Bool)]
        case "string":
            return [(name, Text)]
        case "bytes" | "fixed_bytes":
            return [(name, Bytes)]
        case "array":
            return [(column, pa.list_(inner)) for column, inner in arrow_columns(name, kind.items)]
        case "tuple":
            return [(name, pa.struct([pa.field(c, t) for c, t in struct_columns(kind)]))]


def struct_columns(kind: AbiType) -> list[tuple[str, pa.DataType]]:
    fields: list[tuple[str, pa.DataType]] = []
    taken: set[str] = set()
    for name, inner in kind.fields:
        field = snake_case(name)
        while not taken.isdisjoint(column for column, _ in arrow_columns(field, inner)):
            field = f"arg_{field}"
        columns = arrow_columns(field, inner)
        taken.update(column for column, _ in columns)
        fields.extend(columns)
    return fields


def is_wide(kind: AbiType) -> bool:
    return kind.kind in ("uint", "int") and kind.size > 64


def nullable(event: Event) -> set[str]:
    """Columns that may hold null: only ``x`` of a pair, where it means "does not fit 38 digits"."""
    return {
        columns[0][0] for declared, columns in input_columns(event) if is_wide(declared.type) and not declared.hashed
    }


def snake_case(name: str) -> str:
    """Solidity's assetId -> asset_id; tokenURI -> token_uri; URI -> uri; _split -> split."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"_+", "_", re.sub(r"\W", "_", parted)).strip("_").lower()


def _column_name(declared: Input, at: int) -> str:
    name = snake_case(declared.name) or f"arg_{at}"
    if name in ("from", "to") and declared.type.kind == "address":
        name = f"{name}_address"
    return f"arg_{name}" if name in _RESERVED else name


def _columns(declared: Input, name: str) -> list[tuple[str, pa.DataType]]:
    return [(f"{name}_hash", Hash)] if declared.hashed else arrow_columns(name, declared.type)


def names(columns: Iterable[tuple[str, pa.DataType]]) -> list[str]:
    return [name for name, _ in columns]
