"""Rows that were refused enter their table once their contract is mended: all of them, once, and no others."""

import dataclasses
import json
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guelta.cli import app
from guelta.errors import BadSetting
from guelta.lake import Lake
from guelta.settings import Settings
from indexer.release import Released, release
from indexer.sources import platform, pull, tables
from indexer.sources.contract import SCHEMA_DRIFT, Contract
from quality.status import status

TODAY = date(2026, 11, 23)
SUBMISSIONS = "raw.platform_submissions"
COLUMNS = [field.name for field in tables.SUBMISSIONS.fields]


def submission(name: str, status: str, **other: Any) -> dict[str, Any]:
    at = "2026-10-01 10:00:00"
    row = {"submission_id": name, "task_id": "t", "item_id": "i", "annotator_id": "ann", "label": 1}
    return dict.fromkeys(COLUMNS) | row | {"submitted_at": at, "status": status, "updated_at": at} | other


@pytest.fixture
def lake(home: Settings) -> Lake:
    """Pulled from a platform that says "escalated", which the contract did not foresee, and once an absurd label."""
    file = Path(home.platform.removeprefix("sqlite:///"))
    file.parent.mkdir(parents=True)
    rows = [
        submission("a", "approved"),
        submission("b", "escalated"),
        submission("c", "escalated"),
        submission("d", "approved", label="many"),
    ]
    with closing(sqlite3.connect(file)) as db, db:
        db.execute(f"create table submissions ({', '.join(COLUMNS)})")
        marks = ", ".join("?" * len(COLUMNS))
        db.executemany(f"insert into submissions values ({marks})", [tuple(row.values()) for row in rows])
    lake = Lake(home.lake)
    pull(home, lake, ["platform"])
    assert ids(lake) == ["a"]
    return lake


def ids(lake: Lake) -> list[str]:
    return lake.table(SUBMISSIONS).read()["submission_id"].to_pylist()


def mend(monkeypatch: pytest.MonkeyPatch, contract: Contract, field: str, **changes: Any) -> None:
    """The contract as a developer would edit it."""
    fields = [dataclasses.replace(f, **changes) if f.name == field else f for f in contract.fields]
    mended = dataclasses.replace(contract, fields=fields)
    monkeypatch.setattr(tables, "ALL", tuple(mended if c is contract else c for c in tables.ALL))
    monkeypatch.setattr(platform, "TABLES", tuple(mended if c is contract else c for c in platform.TABLES))


def test_nothing_is_released_before_the_contract_is_mended(lake: Lake) -> None:
    refused = {"label.int32": 1, "status.text": 2}
    assert release(lake, SUBMISSIONS, today=TODAY) == Released(SUBMISSIONS, 0, 0, refused)
    assert status(lake).quarantined == 3


def test_what_passes_now_enters_once(lake: Lake, home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    mend(monkeypatch, tables.SUBMISSIONS, "status", values=("submitted", "approved", "rejected", "rework", "escalated"))
    assert release(lake, SUBMISSIONS, today=TODAY) == Released(SUBMISSIONS, 2, 2, {"label.int32": 1})
    assert ids(lake) == ["a", "b", "c"]
    assert status(lake).quarantined == 1
    assert lake.table("ops.quarantine").rows() == 3  # nothing leaves it
    assert release(lake, SUBMISSIONS, today=TODAY) == Released(SUBMISSIONS, 0, 0, {"label.int32": 1})
    assert [r.rows for r in pull(home, lake, ["platform"]) if r.table == SUBMISSIONS] == [0]
    assert ids(lake) == ["a", "b", "c"]


def test_killed_between_rows_and_journal_it_is_done_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    mend(monkeypatch, tables.SUBMISSIONS, "status", values=())
    release(lake, SUBMISSIONS, today=TODAY)
    lake.drop("ops.released")  # as if the second commit had never been
    assert release(lake, SUBMISSIONS, today=TODAY) == Released(SUBMISSIONS, 0, 2, {"label.int32": 1})
    assert ids(lake) == ["a", "b", "c"]


def test_a_row_that_contradicts_a_stored_one_stays_refused(lake: Lake, home: Settings, monkeypatch) -> None:
    file = home.platform.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("update submissions set status = 'rejected' where submission_id = 'b'")
    pull(home, lake, ["platform"])
    mend(monkeypatch, tables.SUBMISSIONS, "status", values=())
    assert release(lake, SUBMISSIONS, today=TODAY).refused == {"key.conflict": 1, "label.int32": 1}
    assert ids(lake) == ["a", "b", "c"]


def test_call_logs_keep_their_place_and_a_lost_column_is_not_taken_for_null(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f.name for f in tables.CALLS.fields if f.expected and f.name not in {"rev", "source", "file", "line"}]
    call = dict.fromkeys(names) | {"client_id": "cl", "origin": "web2", "at": "2026-10-01T10:00:00Z", "status": "ok"}
    folder = Path(home.calls)
    folder.mkdir(parents=True)
    good = {**call, "call_id": "1", "root_call_id": "1"}
    drifted = {("tokens_in" if k == "prompt_tokens" else k): v for k, v in good.items()} | {"tokens_in": 7}
    (folder / "a.jsonl").write_text(json.dumps({**good, "origin": "satellite"}) + "\n")
    (folder / "b.jsonl").write_text(json.dumps({**drifted, "call_id": "2"}) + "\n")
    lake = Lake(home.lake)
    pull(home, lake, ["gateway"])
    assert release(lake, "raw.gateway_calls", today=TODAY).refused == {"origin.text": 1, SCHEMA_DRIFT: 1}
    mend(monkeypatch, tables.CALLS, "origin", values=())
    assert release(lake, "raw.gateway_calls", rule="origin.text", today=TODAY).refused == {}
    (stored,) = lake.table("raw.gateway_calls").read().to_pylist()
    assert {k: stored[k] for k in ("call_id", "rev", "origin", "source", "file", "line")} == {
        "call_id": "1",
        "rev": 1,
        "origin": "satellite",
        "source": "gateway",
        "file": "a.jsonl",
        "line": 1,
    }
    mend(monkeypatch, tables.ALL[-1], "prompt_tokens", expected=False)
    assert release(lake, "raw.gateway_calls", today=TODAY).released == 1
    assert lake.table("raw.gateway_calls").read()["line"].to_pylist() == [1, 1]


def test_the_command_says_what_stays_and_refuses_what_has_no_contract(lake: Lake, home, monkeypatch) -> None:
    monkeypatch.setenv("GUELTA_HOME", str(home.home))
    said = CliRunner().invoke(app, ["release", SUBMISSIONS], catch_exceptions=False).output
    assert "0 released from ops.quarantine" in said
    assert "status.text" in said
    with pytest.raises(BadSetting, match=r"raw.logs has no row contract; .*raw.platform_submissions"):
        release(lake, "raw.logs", today=TODAY)
    with pytest.raises(BadSetting, match=r"because of nonsense; rows wait because of label.int32, status.text"):
        release(lake, SUBMISSIONS, rule="nonsense", today=TODAY)
