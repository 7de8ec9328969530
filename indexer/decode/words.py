"""32-byte ABI words as Arrow columns, without a Python object per value (20-indexer §4.2 and §4.3).

Every function takes words as uint8 of shape (n, 32 * words) and returns the columns with a mask of rows that follow the
ABI's padding rules. Values of rows outside the mask are placeholders.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from guelta.lake.schema import Amount, Dec20
from indexer.abi import AbiType
from indexer.decode.shapes import is_wide, struct_columns

Words = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Limbs = npt.NDArray[np.uint64]

_BOUND_HIGH, _BOUND_LOW = (np.uint64(part) for part in divmod(10**38, 2**64))


def static_columns(kind: AbiType, words: Words) -> tuple[list[pa.Array], Mask]:
    """The columns (two for a wide integer) of one static value per row."""
    match kind.kind:
        case "uint":
            return _unsigned(kind, words)
        case "int":
            return _signed(kind, words)
        case "address":
            return [fixed_binary(words[:, 12:])], _zero(words[:, :12])
        case "bool":
            return [pa.array(words[:, 31].astype(bool))], _zero(words[:, :31]) & (words[:, 31] <= 1)
        case "fixed_bytes":
            return [fixed_binary(words[:, : kind.size])], _zero(words[:, kind.size :])
        case "array":
            return _sized_array(kind, words)
        case "tuple":
            return _tuple(kind, words)
    raise AssertionError(f"{kind} is not static")


def fixed_binary(values: Words) -> pa.Array:
    """Rows of equal width as variable-length binary, which is what a lake file holds."""
    rows, width = values.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(pa.binary(), rows, buffers)


def limbs(words: Words) -> Limbs:
    """(n, 4) words of 64 bits, the most significant first."""
    return np.ascontiguousarray(words).view(">u8").astype(np.uint64).reshape(-1, 4)


def _unsigned(kind: AbiType, words: Words) -> tuple[list[pa.Array], Mask]:
    parts = limbs(words)
    full, rest = divmod(kind.size, 64)  # limbs wholly in use, bits in use of the next one
    ok = np.ones(len(parts), dtype=bool)
    for at in range(4 - full - (rest > 0)):
        ok &= parts[:, at] == 0
    if rest:
        ok &= parts[:, 3 - full] >> np.uint64(rest) == 0
    if not is_wide(kind):
        if kind.size == 64:
            return [_decimal(Dec20, parts[:, 3], np.zeros_like(parts[:, 3]))], ok
        return [pa.array(parts[:, 3].view(np.int64))], ok
    high, low = parts[:, 2], parts[:, 3]
    fits = (parts[:, 0] == 0) & (parts[:, 1] == 0) & _below_bound(high, low)
    return [_decimal(Amount, low, high, fits), fixed_binary(words)], ok


def _signed(kind: AbiType, words: Words) -> tuple[list[pa.Array], Mask]:
    parts = limbs(words)
    top = 3 - (kind.size - 1) // 64  # the limb that holds the sign bit
    unused = np.int64(64 - (kind.size - 1) % 64 - 1)
    leading = parts[:, top].view(np.int64)
    fill = (leading >> np.int64(63)).view(np.uint64)
    ok = (leading << unused) >> unused == leading
    for at in range(top):
        ok &= parts[:, at] == fill
    if not is_wide(kind):
        return [pa.array(parts[:, 3].view(np.int64))], ok
    high, low = parts[:, 2], parts[:, 3]
    sign = (parts[:, 0].view(np.int64) >> np.int64(63)).view(np.uint64)
    negative = sign != 0
    magnitude_low = np.where(negative, ~low + np.uint64(1), low)
    magnitude_high = np.where(negative, ~high + (low == 0).astype(np.uint64), high)
    fits = (parts[:, 0] == sign) & (parts[:, 1] == sign) & (high >> np.uint64(63) == sign & np.uint64(1))
    fits &= _below_bound(magnitude_high, magnitude_low)
    ordered = words.copy()
    ordered[:, 0] ^= 0x80  # sign bit flipped: byte order is numeric order (10-domain §9)
    return [_decimal(Amount, low, high, fits), fixed_binary(ordered)], ok


def _below_bound(high: Limbs, low: Limbs) -> Mask:
    below: Mask = (high < _BOUND_HIGH) | ((high == _BOUND_HIGH) & (low < _BOUND_LOW))
    return below


def _decimal(kind: pa.DataType, low: Limbs, high: Limbs, fits: Mask | None = None) -> pa.Array:
    """Decimal128 is little-endian two's complement, so the limbs are stored as they are."""
    out = np.empty((len(low), 2), dtype="<u8")
    out[:, 0], out[:, 1] = low, high
    if fits is None or fits.all():
        return pa.Array.from_buffers(kind, len(low), [None, pa.py_buffer(out)])
    out[~fits] = 0  # null slots hold zero, so that equal content gives equal files
    bitmap = pa.py_buffer(np.packbits(fits, bitorder="little"))
    return pa.Array.from_buffers(kind, len(low), [bitmap, pa.py_buffer(out)], null_count=int((~fits).sum()))


def _sized_array(kind: AbiType, words: Words) -> tuple[list[pa.Array], Mask]:
    length = kind.length or 0
    rows = len(words)
    inner, good = static_columns(kind.items, np.ascontiguousarray(words).reshape(rows * length, 32 * kind.items.words))
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * np.int32(length))
    ok = np.asarray(good.reshape(rows, length).all(axis=1), dtype=bool)
    return [pa.ListArray.from_arrays(offsets, values) for values in inner], ok


def _tuple(kind: AbiType, words: Words) -> tuple[list[pa.Array], Mask]:
    at, arrays = 0, []
    ok = np.ones(len(words), dtype=bool)
    for _, field in kind.fields:
        width = 32 * field.words
        columns, good = static_columns(field, words[:, at : at + width])
        arrays.extend(columns)
        ok &= good
        at += width
    fields = [pa.field(name, arrow) for name, arrow in struct_columns(kind)]
    return [pa.StructArray.from_arrays(arrays, fields=fields)], ok


def _zero(part: Words) -> Mask:
    clean: Any = ~part.any(axis=1)
    return np.asarray(clean, dtype=bool)
