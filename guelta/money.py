"""Money is an integer in base units, with one constructor and one way to divide.

Never a float, never a tolerance. A division either conserves (``split``) or is an exact floor whose remainder the
caller keeps (``mul_div``). Sums go through ``sum_by``, because Polars' in-memory ``group_by().sum()`` of
Decimal(38, 0) wraps to a negative number without an error.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from guelta.errors import Inexact

if TYPE_CHECKING:
    import polars as pl

DECIMAL_LIMIT = 10**38
UINT256_LIMIT = 2**256
_WORD = 32
_HALF = 10**19


def base_units(value: int | str) -> int:
    """An amount in base units from an integer or a text of digits; anything lossy is refused.

    Raises:
        Inexact: for floats, booleans, signs, points, exponents and anything of 2**256 or more.

    >>> base_units("7786596450288373164569331648084")
    7786596450288373164569331648084
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Inexact(f"expected base units as an integer or digits, found {type(value).__name__} {value!r}")
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit()):
            raise Inexact(f"expected base units as digits only, found {value!r}; convert whole tokens before")
        value = int(value)
    if not 0 <= value < UINT256_LIMIT:
        raise Inexact(f"expected base units within 0 and 2**256 - 1, found {value}")
    return value


def split(total: int, weights: Sequence[int], rule: str = "prefix", residual: int = -1) -> list[int]:
    """Divide ``total`` by ``weights`` so that the parts sum to ``total`` exactly.

    Rules (10-domain §7): ``prefix`` (difference of running floors), ``largest_remainder`` (ties to the earlier part),
    ``residual_payee`` (floors, the part at index ``residual`` takes what is left).

    >>> split(100, [1, 1, 1], "residual_payee")
    [33, 33, 34]
    """
    if total < 0 or not weights or min(weights) < 0 or sum(weights) == 0:
        raise Inexact(f"expected a total of 0 or more and weights of 0 or more, found {total} over {list(weights)}")
    whole_weight = sum(weights)
    floors = [total * weight // whole_weight for weight in weights]
    if rule == "residual_payee":
        floors[residual] += total - sum(floors)
        return floors
    if rule == "largest_remainder":
        order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole_weight), i))
        for i in order[: total - sum(floors)]:
            floors[i] += 1
        return floors
    if rule == "prefix":
        running, given, parts = 0, 0, []
        for weight in weights:
            running += weight
            upto = total * running // whole_weight
            parts.append(upto - given)
            given = upto
        return parts
    raise Inexact(f"expected a rule of prefix, largest_remainder or residual_payee, found {rule!r}")


def mul_div(x: int, share: int, denominator: int) -> int:
    """The exact floor of ``x * share / denominator``."""
    return x * share // denominator


def mul_div_expr(x: "pl.Expr", share: "pl.Expr", denominator: "pl.Expr | int") -> "pl.Expr":
    """The exact floor of ``x * share / denominator`` on whole columns, as Decimal(38, 0).

    Exact for 0 <= x < 10**38 and 0 <= share <= denominator <= 2**31: ``(x // d) * s + ((x % d) * s) // d`` keeps the
    first term at or below x and the second product below 2**62.
    """
    import polars as pl

    wide = x.cast(pl.Int128)
    by = pl.lit(denominator, dtype=pl.Int128) if isinstance(denominator, int) else denominator.cast(pl.Int128)
    part = share.cast(pl.Int128)
    return ((wide // by) * part + ((wide % by) * part) // by).cast(pl.Decimal(38, 0))


def sum_by(frame: "pl.DataFrame | pl.LazyFrame", keys: Sequence[str], columns: Sequence[str]) -> "pl.DataFrame":
    """Exact sums of Decimal(38, 0) ``columns`` per ``keys``, sorted by the keys; nulls count as nothing.

    The whole-column sum of absolute values, which Polars does check, proves that no group can overflow. Where it does
    not fit, groups are summed in high and low halves.

    Raises:
        Inexact: when one group's total has more than 38 digits.
    """
    import polars as pl

    lazy = frame.lazy()
    names = list(columns)
    try:
        lazy.select(pl.col(names).abs().sum()).collect(engine="streaming")
    except pl.exceptions.ComputeError:
        return _sum_halves(lazy, list(keys), names)
    grouped = lazy.group_by(list(keys)).agg(pl.col(names).sum()) if keys else lazy.select(pl.col(names).sum())
    totals = grouped.collect(engine="streaming").with_columns(pl.col(names).cast(pl.Decimal(38, 0)))
    return totals.sort(list(keys), nulls_last=True) if keys else totals


def _sum_halves(lazy: "pl.LazyFrame", keys: list[str], names: list[str]) -> "pl.DataFrame":
    import polars as pl

    halves = []
    for name in names:
        wide = pl.col(name).cast(pl.Int128)
        halves += [(wide // _HALF).sum().alias(f"{name}__hi"), (wide % _HALF).sum().alias(f"{name}__lo")]
    grouped = (lazy.group_by(keys).agg(halves) if keys else lazy.select(halves)).collect()
    out = grouped.select(keys)
    for name in names:
        sums = [
            hi * _HALF + lo
            for hi, lo in zip(grouped[f"{name}__hi"].to_list(), grouped[f"{name}__lo"].to_list(), strict=True)
        ]
        if any(abs(value) >= DECIMAL_LIMIT for value in sums):
            raise Inexact(f"the sum of {name} needs more than 38 digits; sum it per smaller group or from {name}_raw")
        out = out.with_columns(amounts(name, sums))
    return out.sort(keys, nulls_last=True) if keys else out


def to_raw(x: int) -> bytes:
    """32 bytes, big-endian: byte order is numeric order."""
    if not 0 <= x < UINT256_LIMIT:
        raise Inexact(f"expected 0 to 2**256 - 1, found {x}")
    return x.to_bytes(_WORD, "big")


def from_raw(raw: bytes) -> int:
    if len(raw) != _WORD:
        raise Inexact(f"expected 32 bytes, found {len(raw)}")
    return int.from_bytes(raw, "big")


def amounts(name: str, values: Sequence[int | None]) -> "pl.Series":
    """A Decimal(38, 0) column of Python integers (Polars refuses to build one directly)."""
    import polars as pl

    return pl.Series(name, values, dtype=pl.Int128).cast(pl.Decimal(38, 0))


def raw_of(column: "pl.Series") -> "pl.Series":
    """The ``x_raw`` column (32 bytes each) of a column of non-negative integers or Decimal(38, 0); null stays null."""
    import numpy as np
    import polars as pl
    import pyarrow as pa

    values = column.cast(pl.Decimal(38, 0)).to_arrow()
    if isinstance(values, pa.ChunkedArray):  # pragma: no cover  # polars hands out one chunk today
        values = values.combine_chunks()
    if values.type != pa.decimal128(38, 0):
        values = values.cast(pa.decimal128(38, 0))
    words = np.frombuffer(values.buffers()[1], dtype="<u8")[values.offset * 2 : (values.offset + len(values)) * 2]
    limbs = words.reshape(-1, 2)
    present = ~column.is_null().to_numpy()
    if (limbs[present, 1] >> np.uint64(63)).any():
        raise Inexact(f"expected amounts of 0 or more in {column.name}, found a negative one")
    out = np.zeros((len(column), 4), dtype=">u8")
    out[:, 2], out[:, 3] = limbs[:, 1], limbs[:, 0]
    packed = pa.Array.from_buffers(pa.binary(_WORD), len(column), [None, pa.py_buffer(out.tobytes())])
    raw = pl.Series(column.name, pl.from_arrow(packed.cast(pa.binary())), dtype=pl.Binary)
    if present.all():
        return raw
    mask = pl.Series("present", present)
    return raw.to_frame().select(pl.when(mask).then(pl.col(column.name)).otherwise(None)).to_series()


def amount_of(raw: "pl.Series") -> "pl.Series":
    """The ``x`` column of an ``x_raw`` column: Decimal(38, 0), null where the value has more than 38 digits."""
    numbers = [None if value is None else from_raw(value) for value in raw.to_list()]
    fitting = [None if value is None or value >= DECIMAL_LIMIT else value for value in numbers]
    return amounts(raw.name.removesuffix("_raw"), fitting)


def whole(amount: int, decimals: int) -> str:
    """Base units as an exact text of whole tokens.

    >>> whole(1_500_000, 6), whole(-7, 18), whole(3, 0)
    ('1.5', '-0.000000000000000007', '3')
    """
    sign, digits = ("-" if amount < 0 else ""), str(abs(amount)).rjust(decimals + 1, "0")
    units, fraction = (digits[:-decimals], digits[-decimals:].rstrip("0")) if decimals else (digits, "")
    return f"{sign}{units}.{fraction}" if fraction else f"{sign}{units}"
