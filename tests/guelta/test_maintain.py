"""Maintenance makes tables quick again and takes nothing that a cursor or a pin needs."""

import datetime as dt

import pyarrow as pa

import guelta.lake.maintain
from guelta.decisions import Decisions
from guelta.lake import Cursor, Lake, gt
from guelta.lake.maintain import maintain
from guelta.lake.schema import Amount, Day, Int64, spec

PAYMENTS = spec(
    "raw.payments",
    {"block_number": Int64, "day": Day, "amount": Amount},
    key=("block_number",),
    partition=("month",),
)


def payments(numbers, amount=10**25):
    return pa.table(
        {
            "block_number": pa.array(numbers, Int64),
            "day": pa.array([dt.date(2026, 8, 1)] * len(numbers), Day),
            "amount": pa.array([amount] * len(numbers), Amount),
        }
    )


def test_compaction_keeps_rows_cursors_and_pinned_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(guelta.lake.maintain, "_SMALL_FILES", 3)
    lake = Lake(tmp_path / "lake")
    table = lake.create(PAYMENTS)
    for n in range(1, 9):
        table.append(payments([n]), cursor=Cursor("1:p", n, {"to": n}))
    pinned = table.version()
    then = table.read()
    table.replace(payments([5, 6], amount=7), gt("block_number", 4), cursor=Cursor("1:p", 9, {"to": 6}))
    now = table.read()
    before = table.version()
    (done,) = maintain(lake, ["raw.payments"], pins={"raw.payments": [pinned]}, keep_hours=0)
    assert done.files_after < done.files_before
    assert table.read() == now
    assert table.read(version=pinned) == then
    assert (table.cursor("1:p"), table.changed(before)) == (Cursor("1:p", 9, {"to": 6}), set())
    table.append(payments([9]), cursor=Cursor("1:p", 10, {"to": 9}))
    assert table.read().num_rows == now.num_rows + 1


def test_without_a_pin_replaced_files_go(tmp_path):
    lake = Lake(tmp_path / "lake")
    table = lake.create(PAYMENTS)
    table.append(payments([1, 2]))
    table.replace(payments([1, 2], amount=7), gt("block_number", 0))
    (done,) = maintain(lake, ["raw.payments"], keep_hours=0)
    assert done.removed == 1
    assert table.read().num_rows == 2


def test_the_versions_a_report_was_made_from_are_known(tmp_path):
    from datetime import UTC, datetime

    book = Decisions(f"sqlite:///{tmp_path}/d.db")
    for n, period in enumerate(("2026-08", "2026-09")):
        payload = {"lake": "here", "versions": {"marts.tokens": n + 3, "marts.chains": 1}}
        book.append("pin", period, "pin", payload, actor="x", at=datetime.now(UTC), idem_key=period)
    assert book.pins("here") == {"marts.tokens": [3, 4], "marts.chains": [1]}
    assert book.pins("elsewhere") == {}
    book.close()
