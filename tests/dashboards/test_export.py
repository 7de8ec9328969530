"""What a person takes away: exact digits in every form, and a note whose hashes match."""

import hashlib
import io
import json
from datetime import UTC, date, datetime

import openpyxl
import polars as pl
import pytest

from dashboards import export
from guelta.money import amounts

HUGE = 123_456_789_012_345_678_901_234_567


@pytest.fixture
def exact_rows():
    return pl.DataFrame(
        {
            "day": [date(2026, 10, 1), date(2026, 10, 2)],
            "at": [datetime(2026, 10, 1, 9, tzinfo=UTC), datetime(2026, 10, 2, 9, tzinfo=UTC)],
            "tx": [b"\x01\xff", b"\x02"],
            "said": ["=cmd|'/c calc'!A1", "plain"],
            "share_f64": [0.25, None],
            "trend": [[1.0, 2.0], []],
            "calls": [2**60 + 1, 7],
        }
    ).with_columns(amounts("amount", [HUGE, -7]))


def about(frame):
    return export.notes(
        "what-we-tested",
        frame,
        question="Is it exact?",
        metrics=[{"name": "earned", "unit": "base units"}],
        tables={"marts.earnings_daily": 4},
        filters={"token": "TUSD"},
        gates={"passed": 2, "total": 2, "failing": []},
        as_of="2026-11-05 07:00",
        provenance="on_chain",
        cap=5000,
    )


def test_csv_holds_every_digit(exact_rows):
    assert export.csv(exact_rows).decode().splitlines() == [
        "day,at,tx,said,share_f64,trend,calls,amount",
        f"2026-10-01,2026-10-01T09:00:00.000000Z,0x01ff,=cmd|'/c calc'!A1,0.25,\"[1.0, 2.0]\",{2**60 + 1},{HUGE}",
        "2026-10-02,2026-10-02T09:00:00.000000Z,0x02,plain,,[],7,-7",
    ]


def test_a_spreadsheet_holds_amounts_as_text_and_runs_nothing(exact_rows):
    book = openpyxl.load_workbook(io.BytesIO(export.xlsx(exact_rows, about(exact_rows))))
    top = {name.value: (cell.value, cell.data_type) for name, cell in zip(*book["rows"]["A1:H2"], strict=True)}
    assert (top["amount"], top["calls"], top["said"], top["share_f64"]) == (
        (str(HUGE), "s"),
        (str(2**60 + 1), "s"),
        ("=cmd|'/c calc'!A1", "s"),
        (0.25, "n"),
    )
    assert dict(book["read me"].iter_rows(values_only=True))["question"] == "Is it exact?"


def test_parquet_keeps_the_types(exact_rows):
    assert pl.read_parquet(io.BytesIO(export.parquet(exact_rows))).equals(exact_rows)


def test_the_note_names_the_hash_of_each_file_and_twice_is_the_same(exact_rows):
    note = about(exact_rows)
    told = json.loads(export.meta(exact_rows, note))
    files = {
        "csv": export.csv(exact_rows),
        "parquet": export.parquet(exact_rows),
        "xlsx": export.xlsx(exact_rows, note),
    }
    assert {name: one["sha256"] for name, one in told["files"].items()} == {
        f"what-we-tested.{kind}": hashlib.sha256(data).hexdigest() for kind, data in files.items()
    }
    assert (told["rows"], told["filters"], told["capped"]) == (2, {"token": "TUSD"}, False)
    assert export.meta(exact_rows, note) == export.meta(exact_rows, note)
