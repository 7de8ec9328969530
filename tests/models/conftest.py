"""Small worlds for the models: a lake of payments, and files that make tables of them."""

from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from guelta.lake import Lake
from guelta.lake.schema import Address, Amount, Day, Int64, Text, spec

PAYMENTS = spec(
    "raw.payments",
    {"payment_id": Int64, "chain_id": Int64, "day": Day, "asset_id": Int64, "payer": Text, "token": Address}
    | {"gross": Amount, "fee": Amount, "latency_us": Int64},
    key=("payment_id",),
    partition=("month",),
)
Payment = tuple[int, int, date, int, str, bytes, int, int, int]


def payment_rows(rows: Iterable[Payment]) -> pa.Table:
    """Payments in the order of the columns of ``raw.payments``."""
    columns = list(zip(*rows, strict=True)) or [()] * 9
    fields = [field for field in PAYMENTS.schema if field.name != "month"]
    arrays = [
        pa.array([Decimal(v) for v in values] if pa.types.is_decimal(field.type) else values, field.type)
        for field, values in zip(fields, columns, strict=True)
    ]
    return pa.table(arrays, names=[field.name for field in fields])


@pytest.fixture(scope="session")
def payments() -> Callable[[Iterable[Payment]], pa.Table]:
    return payment_rows


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake that has the payments table."""
    made = Lake(tmp_path / "lake")
    made.create(PAYMENTS)
    return made


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Path]:
    """Writes model files (``schema__name="text"``) into one folder, which it gives back."""

    def write(**texts: str) -> Path:
        for name, text in texts.items():
            path = tmp_path / "files" / name.replace("__", "/")
            path = path.with_name(path.name + (".py" if text.lstrip().startswith('"""') else ".sql"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return tmp_path / "files"

    return write
