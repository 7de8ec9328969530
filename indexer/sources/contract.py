"""What a received row must be: each field's kind, checked column by column, nothing repaired and nothing dropped.

Rows arrive as text (a frame of strings, null where a field is missing), as every source can give them. What fits
becomes typed columns; what does not comes back with the rule it broke and what was found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import polars as pl
import pyarrow as pa

from guelta.lake.schema import Amount, Bytes, Day, Float64, Int32, Int64, TableSpec, Text, Timestamp, spec
from guelta.money import DECIMAL_LIMIT, UINT256_LIMIT, amounts, to_raw

Kind = Literal["text", "int32", "int64", "amount", "address", "bytes", "time", "f64"]
SCHEMA_DRIFT = "schema_drift"
_TYPES: dict[Kind, pa.DataType] = {
    "text": Text,
    "int32": Int32,
    "int64": Int64,
    "amount": Amount,
    "address": Bytes,
    "bytes": Bytes,
    "time": Timestamp,
    "f64": Float64,
}
_HIGHEST = {"int32": 2**31 - 1, "int64": 2**63 - 1}
# (?-u): the digits 0 to 9, not those of every script.
_TIME = r"(?-u)^(19[7-9]\d|20\d\d)-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)$"
_NUMBER = r"(?-u)^-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: Kind = "text"
    required: bool = True
    values: tuple[str, ...] = ()  # a closed set; empty: any text
    low: int = 0  # integers below it are refused
    expected: bool = True  # a source without this column has drifted


class Checked(NamedTuple):
    good: pl.DataFrame  # the contract's columns, typed, plus ``position``
    bad: pl.DataFrame  # position, rule_id, reason


@dataclass(frozen=True, slots=True)
class Contract:
    """One raw table: its fields, its key, and the time that gives its day."""

    table: str
    fields: Sequence[Field]
    key: tuple[str, ...]
    dated_by: str

    @property
    def spec(self) -> TableSpec:
        columns: dict[str, pa.DataType] = {}
        for field in self.fields:
            columns[field.name] = _TYPES[field.kind]
            if field.kind == "amount":
                columns[f"{field.name}_raw"] = Bytes
        required = [*(f.name for f in self.fields if f.required and f.kind != "amount"), "day"]
        required += [f"{f.name}_raw" for f in self.fields if f.required and f.kind == "amount"]
        return spec(self.table, columns | {"day": Day}, key=self.key, required=required, partition=("month",))

    def drift(self, columns: Sequence[str]) -> tuple[list[str], list[str]]:
        """(columns a source lacks, columns nobody asked for)."""
        lacking = [f.name for f in self.fields if f.expected and f.name not in columns]
        return lacking, sorted(set(columns) - {f.name for f in self.fields})

    def check(self, rows: pl.DataFrame) -> Checked:
        """Judge rows of text; every row is either good or bad, and says why."""
        absent = [pl.lit(None, pl.String).alias(f.name) for f in self.fields if f.name not in rows.columns]
        text = rows.with_columns(absent).with_row_index("position").with_columns(pl.col("position").cast(pl.Int64))
        failures = pl.concat_list([_failure(field) for field in self.fields]).list.drop_nulls()
        judged = text.with_columns(failures.alias("failures"))
        bad = judged.filter(pl.col("failures").list.len() > 0).select(
            "position",
            pl.col("failures").list.first().str.split(":").list.first().alias("rule_id"),
            pl.col("failures").list.join("; ").alias("reason"),
        )
        return Checked(self._typed(judged.filter(pl.col("failures").list.len() == 0)), bad)

    def _typed(self, text: pl.DataFrame) -> pl.DataFrame:
        columns: list[pl.Expr | pl.Series] = [pl.col("position")]
        for field in self.fields:
            if field.kind == "amount":
                columns += _money(text[field.name])
            else:
                columns.append(_value(field))
        typed = text.select(columns)
        return typed.with_columns(pl.col(self.dated_by).dt.date().alias("day"))


def _failure(field: Field) -> pl.Expr:
    """``field.rule: what was expected and found``, or null where the field is right."""
    found = pl.col(field.name)
    wrong = ~_fits(field)
    message = pl.format(
        "{}: expected {}, found {}", pl.lit(f"{field.name}.{field.kind}"), pl.lit(_expected(field)), found
    )
    missing = pl.lit(f"{field.name}.missing: expected {_expected(field)}, found nothing") if field.required else None
    return pl.when(found.is_null()).then(missing).when(wrong).then(message).otherwise(None)


def _fits(field: Field) -> pl.Expr:
    text = pl.col(field.name)
    if field.kind == "text":
        return text.is_in(list(field.values)) if field.values else text != ""
    if field.kind in _HIGHEST:
        number = text.cast(pl.Int64, strict=False)
        whole = text.str.contains(r"(?-u)^-?\d{1,19}$")
        return whole & number.is_between(field.low, _HIGHEST[field.kind]).fill_null(value=False)
    if field.kind == "amount":
        # Digits of equal length compare as numbers do.
        return text.str.contains(r"(?-u)^\d{1,78}$") & (text.str.zfill(78) < str(UINT256_LIMIT).zfill(78))
    if field.kind == "address":
        return text.str.contains(r"^0x[0-9a-fA-F]{40}$")
    if field.kind == "bytes":
        return text.str.contains(r"^(0x)?([0-9a-fA-F]{2})+$")
    if field.kind == "f64":
        return text.str.contains(_NUMBER)
    return text.str.contains(_TIME) & _instant(text).is_not_null()


def _expected(field: Field) -> str:
    if field.values:
        return f"one of {', '.join(field.values)}"
    return {
        "text": "a text",
        "int32": f"a whole number from {field.low}",
        "int64": f"a whole number from {field.low}",
        "amount": "base units as up to 78 digits",
        "address": "0x and 40 hex digits",
        "bytes": "hex digits",
        "time": "an ISO 8601 time with its zone",
        "f64": "a number",
    }[field.kind]


def _value(field: Field) -> pl.Expr:
    text = pl.col(field.name)
    if field.kind in {"int32", "int64"}:
        return text.cast(pl.Int32 if field.kind == "int32" else pl.Int64)
    if field.kind in {"address", "bytes"}:
        return text.str.strip_prefix("0x").str.to_lowercase().str.decode("hex")
    if field.kind == "time":
        return _instant(text)
    return text.cast(pl.Float64) if field.kind == "f64" else text


def _instant(text: pl.Expr) -> pl.Expr:
    plain = text.str.replace("Z$", "+00:00").str.replace(" ", "T", literal=True)
    return plain.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False, time_zone="UTC")


def _money(text: pl.Series) -> list[pl.Series]:
    numbers = [None if value is None else int(value) for value in text.to_list()]
    fitting = [None if n is None or n >= DECIMAL_LIMIT else n for n in numbers]
    raw = pl.Series(f"{text.name}_raw", [None if n is None else to_raw(n) for n in numbers], dtype=pl.Binary)
    return [amounts(text.name, fitting), raw]
