"""Equal rows, equal digest; one digit more, another digest."""

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from guelta.lake import ALL
from guelta.lake.schema import Amount, Bool, Bytes, Day, Float64, Int64, Text, Timestamp, spec
from models.digest import digest

EVERYTHING = spec(
    "core.everything",
    {"id": Int64, "day": Day, "text": Text, "amount": Amount, "raw": Bytes, "at": Timestamp, "ok": Bool}
    | {"parts": pa.list_(Amount), "guess_f64": Float64},
    key=("id",),
    partition=("month",),
)
ROWS = [
    {"id": 2, "day": date(2026, 9, 30), "text": "a\\b\nc\x1fd", "amount": Decimal(10**38 - 1), "raw": b"\x00\xff"}
    | {"at": datetime(2026, 9, 30, 1, 2, 3, 456789, UTC), "ok": True, "parts": [Decimal(1), None], "guess_f64": 0.1},
    {"id": 1, "day": date(2026, 10, 1), "text": "\\N", "amount": Decimal(-5), "raw": b""}
    | {"at": None, "ok": False, "parts": None, "guess_f64": None},
    {"id": 3, "day": date(2026, 10, 1), "text": None, "amount": None, "raw": None}
    | {"at": None, "ok": None, "parts": [], "guess_f64": None},
]
LINES = [
    ["1", "2026-10-01", "\\\\N", "-5", "", "\\N", "false", "\\N"],
    ["2", "2026-09-30", "a\\\\b\\nc\\x1fd", "9" * 38, "00ff", "1790730123456789", "true", "[1,\\N]"],
    ["3", "2026-10-01", "\\N", "\\N", "\\N", "\\N", "\\N", "[]"],
]


def rows(*found):
    fields = [field for field in EVERYTHING.schema if field.name != "month"]
    return pa.table([pa.array([row[f.name] for row in found], f.type) for f in fields], names=[f.name for f in fields])


def test_a_digest_is_the_hash_of_the_rows_as_text_in_the_order_of_the_grain(lake):
    table = lake.create(EVERYTHING)
    table.append(rows(ROWS[0], ROWS[2]))
    table.append(rows(ROWS[1]))
    text = "".join("\x1f".join(line) + "\n" for line in LINES)
    assert digest(lake, ["core.everything"]) == {"core.everything": hashlib.sha256(text.encode()).hexdigest()}


def test_commits_and_estimates_do_not_matter_and_every_digit_does(lake, tmp_path):
    table = lake.create(EVERYTHING)
    table.append(rows(*ROWS))
    before, at = digest(lake)["core.everything"], table.version()
    table.replace(rows(*({**row, "guess_f64": 7.0} for row in reversed(ROWS))), ALL)
    assert digest(lake)["core.everything"] == before
    table.replace(rows({**ROWS[0], "amount": Decimal(10**38 - 2)}, *ROWS[1:]), ALL)
    assert digest(lake)["core.everything"] != before
    assert digest(lake, pin={"core.everything": at})["core.everything"] == before


@pytest.mark.parametrize("field", ["text", "raw", "parts"])
def test_nothing_and_empty_are_two_things(lake, field):
    table = lake.create(EVERYTHING)
    empty = {"text": "", "raw": b"", "parts": []}[field]
    found = []
    for value in (None, empty):
        table.replace(rows({**ROWS[1], field: value}), ALL)
        found.append(digest(lake)["core.everything"])
    assert found[0] != found[1]


def test_an_empty_table_has_the_digest_of_nothing(lake):
    lake.create(EVERYTHING)
    assert digest(lake, ["core.everything"])["core.everything"] == hashlib.sha256(b"").hexdigest()
