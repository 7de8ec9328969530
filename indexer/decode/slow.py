"""Row by row through eth_abi: strict, then lenient, then a named reason why a log cannot be read."""

from collections.abc import Sequence
from typing import Any

import eth_abi
import pyarrow as pa
from eth_abi.exceptions import InsufficientDataBytes, InvalidPointer, NonEmptyPaddingBytes

from guelta.lake.schema import Hash
from indexer.abi import AbiType, Event
from indexer.decode.shapes import arrow_columns, input_columns, is_wide

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (InsufficientDataBytes, "short"),
    (InvalidPointer, "pointer"),
    (NonEmptyPaddingBytes, "padding"),
    (OverflowError, "length"),
    (UnicodeDecodeError, "utf8"),
)


class Unreadable(Exception):
    """``reason`` is one of the quarantine's words; the message is the library's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def decode_row(event: Event, topics: Sequence[bytes], data: bytes, *, lenient: bool) -> tuple[str, list[Any]]:
    """('strict' | 'lenient', one Python value per input) of one log; ``topics`` without topic0.

    Raises:
        Unreadable: neither mode could read it.
    """
    try:
        return "strict", _values(event, topics, data, strict=True)
    except Exception as error:  # noqa: BLE001  # OverflowError and UnicodeDecodeError are not eth_abi's own classes
        failure = error
    if lenient:
        try:
            return "lenient", _values(event, topics, data, strict=False)
        except Exception as error:  # noqa: BLE001
            failure = error
    raise Unreadable(_reason(failure), f"{type(failure).__name__}: {failure}"[:300])


def columns_from_values(event: Event, rows: Sequence[Sequence[Any]]) -> dict[str, pa.Array]:
    """The event's ABI columns from decoded Python values, typed exactly as the fast path types them."""
    columns: dict[str, pa.Array] = {}
    for at, (declared, named) in enumerate(input_columns(event)):
        if declared.hashed:
            columns[named[0][0]] = pa.array([row[at] for row in rows], Hash)
            continue
        cells = [_cells(declared.type, row[at]) for row in rows]
        for part, (name, kind) in enumerate(named):
            columns[name] = pa.array([cell[part] for cell in cells], kind)
    return columns


def _values(event: Event, topics: Sequence[bytes], data: bytes, *, strict: bool) -> list[Any]:
    rest = iter(eth_abi.decode([str(i.type) for i in event.data], data, strict=strict))
    words = iter(topics)
    values: list[Any] = []
    for declared in event.inputs:
        if not declared.indexed:
            values.append(next(rest))
            continue
        word = next(words)
        if len(word) != 32:
            raise InsufficientDataBytes(f"topic of {len(word)} bytes, expected 32")
        values.append(word if declared.hashed else eth_abi.decode([str(declared.type)], word, strict=strict)[0])
    return values


def _reason(error: Exception) -> str:
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "length")


def _cells(kind: AbiType, value: Any) -> tuple[Any, ...]:
    """What goes into each column of ``arrow_columns``, as Python values."""
    if is_wide(kind):
        raw = value + 2**255 if kind.kind == "int" else value  # two's complement with the sign bit flipped
        return (value if abs(value) < 10**38 else None, raw.to_bytes(32, "big"))
    match kind.kind:
        case "address":
            return (bytes.fromhex(value.removeprefix("0x")),)
        case "array":
            width = len(arrow_columns("x", kind.items))
            cells = [_cells(kind.items, item) for item in value]
            return tuple([cell[part] for cell in cells] for part in range(width))
        case "tuple":
            parts = [cell for (_, field), item in zip(kind.fields, value, strict=True) for cell in _cells(field, item)]
            (_, struct), *_ = arrow_columns("x", kind)
            return ({struct.field(at).name: cell for at, cell in enumerate(parts)},)
    return (value,)
