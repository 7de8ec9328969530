"""Pulling the platform and the call logs: incremental, once, with nothing lost and every refusal explained."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from guelta.cli import app
from guelta.errors import BadSetting, SourceUnreachable
from guelta.lake import Cursor, Lake
from guelta.settings import Settings, resolved
from indexer.devnet.economy import Economy
from indexer.devnet.story.platform_db import TABLES
from indexer.release import release
from indexer.sources import pull, tables
from indexer.sources.landing import CONFLICT, Landing

PLATFORM = {contract.table: contract for contract in tables.PLATFORM}


@pytest.fixture(scope="module")
def world() -> Economy:
    world = Economy(seed=7, scale=0.05)
    world.play()
    return world


@pytest.fixture
def lake(home) -> Lake:
    return Lake(home.lake, world="demo")


def rows(lake: Lake, name: str) -> pl.DataFrame:
    return pl.from_arrow(lake.table(name).read())


def refusals(lake: Lake) -> Counter:
    return Counter(rows(lake, "ops.quarantine").select("table_name", "rule_id").iter_rows())


def platform(home: Settings, *statements: str) -> None:
    with closing(sqlite3.connect(home.platform.removeprefix("sqlite:///"))) as db, db:
        for statement in statements:
            db.execute(statement)


def state(lake: Lake) -> dict[str, int]:
    return {name: lake.table(name).version() for name in lake.tables()}


def newest(lake: Lake, table: str) -> pl.DataFrame:
    ids = [column for column in PLATFORM[table].key if column != "updated_at"]
    return rows(lake, table).sort("updated_at").unique(ids, keep="last").sort(ids)


def test_two_visits_find_what_one_late_visit_finds(world, home, lake, tmp_path):
    world.write_platform(home_url(home), "first")
    first = pull(home, lake, ["platform"])
    world.write_platform(home.platform, "final")
    second = {r.table: r for r in pull(home, lake, ["platform"])}

    other = msgspec.structs.replace(home, lake=str(tmp_path / "other"))
    at_once = Lake(other.lake, world="demo")
    pull(other, at_once, ["platform"])
    for table in PLATFORM:
        assert newest(lake, table).equals(newest(at_once, table)), table

    planted = world.answers()["platform"]
    assert (
        second["raw.platform_submissions"].rows >= planted["submissions"]["late"] + planted["submissions"]["corrected"]
    )
    assert second["raw.platform_parties"].rows == 0  # nothing new there, and nothing twice
    refused = Counter(name for name, _ in refusals(lake).elements())
    assert refused == {f"raw.platform_{t}": counts["malformed"] for t, counts in planted.items() if t != "calls"}
    with closing(sqlite3.connect(home.platform.removeprefix("sqlite:///"))) as db:
        for name in TABLES:
            held = db.execute(f"select count(*) from {name}").fetchone()[0]
            assert newest(lake, f"raw.platform_{name}").height + refused[f"raw.platform_{name}"] == held
    assert sum(r.quarantined for r in (*first, *second.values())) == refused.total()


def test_pulling_again_commits_nothing(world, home, lake):
    world.write_platform(home_url(home))
    world.write_calls(home.calls)
    pull(home, lake)
    before = state(lake)
    again = pull(home, lake)
    assert state(lake) == before
    assert {(r.rows, r.duplicates, r.quarantined) for r in again} == {(0, 0, 0)}


def test_call_logs_give_every_call_once_and_quarantine_the_rest(world, home, lake):
    dirt = world.write_calls(home.calls)
    (result,) = pull(home, lake, ["gateway"])
    assert (result.rows, result.duplicates) == (len(world.calls) + dirt["corrected"], dirt["duplicate"])
    assert result.quarantined == dirt["malformed"] + dirt["drifted"]
    assert any("column region is not read" in note for note in result.notes)
    assert any("lacks at, expected by raw.gateway_calls; it has" in note for note in result.notes)
    rules = {rule for _, rule in refusals(lake)}
    assert rules == {
        "json",
        "schema_drift",
        "prompt_tokens.int64",
        "latency_us.int64",
        "price.amount",
        "call_id.missing",
        "at.time",
    }

    calls = rows(lake, "raw.gateway_calls").sort("rev").unique("call_id", keep="last")
    stored = {row["call_id"]: row for row in calls.iter_rows(named=True)}
    for call in world.calls:
        row = stored[call.call_id]
        assert (row["status"], row["price"], row["completion_tokens"]) == (
            call.status,
            call.price,
            call.completion_tokens,
        )
    place = next(iter(stored.values()))
    line = (Path(home.calls) / place["file"]).read_text().splitlines()[place["line"] - 1]
    assert json.loads(line)["call_id"] == place["call_id"]


# -- the database's edges


def a_platform(home: Settings, *ledger: tuple[str, str, str]) -> None:
    home.home.mkdir(parents=True, exist_ok=True)
    TABLES["ledger"].metadata.create_all(create_engine(home.platform))
    for name, amount, updated_at in ledger:
        platform(home, booking(name, amount, updated_at))


def booking(name: str, amount: str, updated_at: str) -> str:
    return (
        "insert into ledger values "
        f"('{name}', 'run', 1, 'p', 1337, '0x{'11' * 20}', '{amount}', '2026-08-01T00:00:00Z', {updated_at})"
    )


def test_a_row_that_shares_the_cursors_time_is_not_missed(home, lake):
    a_platform(home, ("m", "1", "'2026-08-02T00:00:00Z'"))
    pull(home, lake, ["platform"])
    platform(home, booking("a", "2", "'2026-08-02T00:00:00Z'"))
    result = ledger_result(pull(home, lake, ["platform"]))
    assert (result.rows, result.duplicates) == (1, 0)
    assert sorted(rows(lake, "raw.platform_ledger")["ledger_id"]) == ["a", "m"]


def test_a_time_without_a_zone_is_utc_and_no_time_is_refused_once(home, lake):
    a_platform(home, ("a", "1", "'2026-08-02 10:00:00'"), ("b", "2", "null"))
    pull(home, lake, ["platform"])
    assert rows(lake, "raw.platform_ledger")["updated_at"].dt.hour().to_list() == [10]
    assert refusals(lake) == {("raw.platform_ledger", "updated_at.missing"): 1}
    assert ledger_result(pull(home, lake, ["platform"])).quarantined == 0


def test_a_row_changed_without_a_new_time_is_kept_apart_not_overwritten(home, lake):
    a_platform(home, ("a", "1", "'2026-08-02T00:00:00Z'"))
    pull(home, lake, ["platform"])
    platform(home, "update ledger set amount = '1000000'")
    assert ledger_result(pull(home, lake, ["platform"])).quarantined == 1
    assert rows(lake, "raw.platform_ledger")["amount"].to_list() == [1]
    (entry,) = rows(lake, "ops.quarantine").to_dicts()
    assert (entry["rule_id"], json.loads(entry["row"])["amount"]) == (CONFLICT, "1000000")


def test_an_amount_beyond_38_digits_keeps_all_of_them(home, lake):
    a_platform(home, ("a", str(2**256 - 1), "'2026-08-02T00:00:00Z'"))
    pull(home, lake, ["platform"])
    (row,) = rows(lake, "raw.platform_ledger").to_dicts()
    assert (row["amount"], row["amount_raw"]) == (None, b"\xff" * 32)


def test_another_schema_is_reported_and_a_lost_key_refuses_the_table(home, lake):
    a_platform(home, ("a", "1", "'2026-08-02T00:00:00Z'"))
    platform(
        home,
        "alter table ledger add column branch text",
        "alter table ledger rename column booked_at to posted_at",
        "drop table gold",
    )
    results = {r.table: r for r in pull(home, lake, ["platform"])}
    assert results["raw.platform_gold"].notes == ("the database has no table gold",)
    assert set(results["raw.platform_ledger"].notes) == {
        "column branch is not read",
        "column posted_at is not read",
        "column booked_at is missing",
    }
    assert refusals(lake) == {("raw.platform_ledger", "booked_at.missing"): 1}

    platform(home, "alter table ledger rename column updated_at to changed_at")
    result = ledger_result(pull(home, lake, ["platform"]))
    assert result.quarantined == 1
    assert "lacks" in result.notes[0]
    assert refusals(lake)["raw.platform_ledger", "schema_drift"] == 1
    assert ledger_result(pull(home, lake, ["platform"])).quarantined == 0


def test_a_mended_row_follows_its_refusal(home, lake):
    a_platform(home, ("a", "12.5", "'2026-08-02T00:00:00Z'"))
    assert ledger_result(pull(home, lake, ["platform"])).quarantined == 1
    platform(home, "update ledger set amount = '125', updated_at = '2026-08-03T00:00:00Z'")
    assert ledger_result(pull(home, lake, ["platform"])).rows == 1


def test_a_crash_after_the_quarantine_loses_and_doubles_nothing(world, home, lake, monkeypatch):
    world.write_platform(home_url(home))
    world.write_calls(home.calls)
    whole = msgspec.structs.replace(home, lake=home.lake + "-whole")
    pull(whole, Lake(whole.lake, world="demo"))

    land = Landing._quarantine

    def crash(self, entries):
        land(self, entries)
        if entries:
            raise KeyboardInterrupt

    monkeypatch.setattr(Landing, "_quarantine", crash)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            pull(home, lake)
    monkeypatch.setattr(Landing, "_quarantine", land)
    pull(home, lake)
    for name in lake.tables():
        assert rows(lake, name).equals(rows(Lake(whole.lake), name)), name


def test_a_database_that_does_not_answer_is_unreachable_and_keeps_its_password(home, lake):
    missing = msgspec.structs.replace(home, platform="sqlite:////nowhere/platform.db")
    with pytest.raises(SourceUnreachable, match="GUELTA_PLATFORM"):
        pull(missing, lake, ["platform"])
    assert not Path("/nowhere").exists()
    assert all(r.source != "platform" for r in pull(missing, lake))

    broken = home.home / "notes.db"
    broken.write_bytes(b"this is no database, but a file of some length" * 40)
    with pytest.raises(SourceUnreachable, match="not a database"):
        pull(msgspec.structs.replace(home, platform=f"sqlite:///{broken}"), lake, ["platform"])

    pytest.importorskip("psycopg")
    closed = msgspec.structs.replace(home, platform="postgresql+psycopg://reader:hunter2@127.0.0.1:9/platform")
    with pytest.raises(SourceUnreachable, match="did not answer") as caught:
        pull(closed, lake, ["platform"])
    assert "hunter2" not in str(caught.value)
    with pytest.raises(BadSetting, match="there are annotations, gateway"):
        pull(home, lake, ["platfrom"])


# -- rows that come late, too early, or written otherwise

NOW = datetime(2026, 10, 2, 12, tzinfo=UTC)


def booked(home: Settings, *rows: tuple[str, str]) -> None:
    for name, updated_at in rows:
        platform(home, booking(name, "5", f"'{updated_at}'"))


def ledger(home: Settings, lake: Lake, now: datetime = NOW, *, full: bool = False) -> tuple[int, int, int]:
    found = ledger_result(pull(home, lake, ["platform"], now=now, full=full))
    return found.rows, found.duplicates, found.quarantined


@pytest.fixture
def real(home: Settings) -> Lake:
    a_platform(home)
    return Lake(home.lake)


def held(lake: Lake) -> list[str]:
    return sorted(rows(lake, "raw.platform_ledger")["ledger_id"])


def test_a_row_committed_late_with_an_older_time_is_read(home, real):
    booked(home, ("a", "2026-10-01 10:00:05"))
    assert ledger(home, real) == (1, 0, 0)
    booked(home, ("b", "2026-10-01 10:00:04"), ("c", "2026-09-29 10:00:06"))  # a second, and almost two days
    assert ledger(home, real) == (2, 0, 0)
    before = state(real)
    assert ledger(home, real) == (0, 0, 0)
    assert state(real) == before


def test_a_row_from_the_future_waits_in_quarantine_and_holds_back_nobody(home, real):
    booked(home, ("a", "2026-10-01 10:00:00"), ("wrong", "2099-01-01 00:00:00"), ("soon", "2026-10-02 12:30:00"))
    assert ledger(home, real) == (2, 0, 1)
    assert refusals(real) == {("raw.platform_ledger", "updated_at.future"): 1}
    booked(home, ("b", "2026-10-02 11:00:00"))
    before = real.table("ops.quarantine").version()
    assert ledger(home, real) == (1, 0, 0)
    assert (
        real.table("raw.platform_ledger").cursor("pull:platform:platform_ledger").meta["updated_at"] < "2026-10-02 12"
    )
    assert held(real) == ["a", "b", "soon"]
    assert release(real, "raw.platform_ledger", today=NOW.date()).refused == {"updated_at.future": 1}
    assert (held(real), real.table("ops.quarantine").version()) == (["a", "b", "soon"], before)
    assert ledger(home, real, datetime(2099, 1, 2, tzinfo=UTC)) == (1, 0, 0)  # its time has come


def test_a_cursor_that_an_older_version_left_in_the_future_is_not_believed(home, real):
    booked(home, ("a", "2026-10-01 10:00:00"))
    table = real.create(PLATFORM["raw.platform_ledger"].spec)
    poisoned = {"updated_at": "2099-01-01 00:00:00", "kind": "text"}
    table.append(table.read(), cursor=Cursor("pull:platform:platform_ledger", 1, poisoned))
    assert ledger(home, real) == (1, 0, 0)
    before = state(real)
    assert ledger(home, real) == (0, 0, 0)
    assert state(real) == before


def test_times_are_compared_as_times_however_they_are_written(home, real):
    booked(home, ("a", "2026-10-02T01:00:00Z"))
    assert ledger(home, real) == (1, 0, 0)
    booked(home, ("b", "2026-10-02 11:00:00"), ("c", "2026-10-02T01:30:00+02:00"), ("d", "2026-10-01T13:30:00-10:00"))
    assert ledger(home, real) == (3, 0, 0)
    booked(home, ("e", "2026-10-02 11:00:01Z"), ("odd", "02/10/2026 11:00"), ("number", "1790938800"))
    assert ledger(home, real) == (1, 0, 2)
    assert held(real) == ["a", "b", "c", "d", "e"]
    assert ledger(home, real) == (0, 0, 0)


times = st.tuples(
    st.integers(-48 * 60, 0),  # minutes before the end: within what is read again
    st.sampled_from([" ", "T"]),
    st.sampled_from([0, 2 * 60, -10 * 60, 14 * 60]),  # the zone it is written in, minutes
)


def written(minute: int, between: str, zone: int) -> str:
    at = (NOW + timedelta(minutes=minute)).astimezone(timezone(timedelta(minutes=zone)))
    return at.isoformat(sep=between)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.lists(times, max_size=6), min_size=2, max_size=4))
def test_in_whatever_order_rows_within_two_days_arrive_all_are_read_once(tmp_path_factory, visits):
    folder = tmp_path_factory.mktemp("visits")
    own = resolved(Settings(home=folder / "home"))
    a_platform(own)
    lake, expected = Lake(own.lake), list[str]()
    for at, visit in enumerate(visits):
        for i, (minute, between, zone) in enumerate(visit):
            booked(own, (f"{at}.{i}", written(minute, between, zone)))
            expected.append(f"{at}.{i}")
        assert ledger(own, lake) == (len(visit), 0, 0)
    assert held(lake) == sorted(expected)


def test_everything_can_be_read_again(world, home, lake):
    world.write_platform(home_url(home))
    world.write_calls(home.calls)
    pull(home, lake)
    content = {name: rows(lake, name) for name in lake.tables()}
    again = pull(home, lake, full=True)
    assert {(r.rows, r.quarantined) for r in again} == {(0, 0)}
    for name, before in content.items():
        assert rows(lake, name).equals(before), name


def test_a_row_older_than_what_is_read_again_comes_with_everything(home, real):
    booked(home, ("a", "2026-10-01 10:00:00"))
    ledger(home, real)
    booked(home, ("old", "2026-08-01 10:00:00"))
    assert ledger(home, real) == (0, 0, 0)
    env = {"GUELTA_HOME": str(home.home)}
    said = CliRunner().invoke(app, ["pull", "platform", "--full", "--json"], env=env)
    found = {r["table"]: r["rows"] for r in json.loads(said.stdout)}
    assert (found["raw.platform_ledger"], held(real)) == (1, ["a", "old"])


# -- the call logs' edges


def a_call(name: str, **changes: object) -> str:
    call = {
        "call_id": name, "parent_call_id": None, "root_call_id": name, "client_id": "c", "api_key_hash": "ab",
        "origin": "web2", "chain_id": 1337, "asset_id": 1, "at": "2026-08-01T10:00:00Z", "latency_us": 5,
        "status": "ok", "prompt_tokens": 1, "completion_tokens": 2, "price": "7", "token": "0x" + "11" * 20,
        "batch_root": None,
    }  # fmt: skip
    return json.dumps(call | changes) + "\n"


@pytest.fixture
def log(home) -> Path:
    folder = Path(home.calls)
    folder.mkdir(parents=True)
    return folder / "calls.jsonl"


def ids(lake: Lake) -> list[str]:
    return sorted(rows(lake, "raw.gateway_calls")["call_id"])


def test_a_growing_file_goes_on_where_it_was(home, lake, log):
    log.write_text(a_call("a") + a_call("b")[:20])
    assert pull(home, lake, ["gateway"])[0].rows == 1  # the second line is still being written
    assert refusals(lake) == {}
    log.write_text(a_call("a") + a_call("b") + a_call("c").rstrip("\n"))
    assert pull(home, lake, ["gateway"])[0].rows == 2
    assert rows(lake, "raw.gateway_calls").sort("call_id")["line"].to_list() == [1, 2, 3]
    with log.open("a") as file:
        file.write("\n" + a_call("d", status="melted"))
    assert pull(home, lake, ["gateway"])[0].rows == 1
    assert rows(lake, "raw.gateway_calls").filter(call_id="d")["status"].to_list() == ["melted"]


def test_a_rewritten_or_truncated_file_is_noticed_and_read_again(home, lake, log):
    log.write_text(a_call("a") + a_call("b"))
    pull(home, lake, ["gateway"])
    log.write_text(a_call("c"))
    (result,) = pull(home, lake, ["gateway"])
    assert result.notes == ("calls.jsonl was rewritten and is read again from its first line",)
    log.write_text(a_call("d") + a_call("a") + a_call("b", price="8") + a_call("b", price="9", rev=2))
    (result,) = pull(home, lake, ["gateway"])
    assert (result.rows, result.duplicates, result.quarantined) == (2, 1, 1)
    assert ids(lake) == ["a", "b", "b", "c", "d"]
    assert refusals(lake) == {("raw.gateway_calls", CONFLICT): 1}


def test_the_same_call_in_two_files_counts_once(home, lake, log):
    log.write_text(a_call("a") + a_call("a"))
    log.with_name("later.jsonl").write_text(a_call("a") + "[1]\n" + "\n")
    (result,) = pull(home, lake, ["gateway"])
    assert (result.rows, result.duplicates, result.quarantined) == (1, 2, 1)


# -- the same on a real database


@pytest.mark.postgres
def test_the_same_story_from_postgresql(world, home, lake, tmp_path, postgres):
    world.write_platform(home_url(home))
    pull(home, lake, ["platform"])

    theirs = msgspec.structs.replace(home, platform=postgres, lake=str(tmp_path / "lake-pg"))
    other = Lake(theirs.lake, world="demo")
    for as_of in ("first", "final"):
        world.write_platform(postgres, as_of)
        pull(theirs, other, ["platform"])
    for table in PLATFORM:
        assert newest(lake, table).equals(newest(other, table)), table
    assert refusals(other) == refusals(lake)
    typed_columns(theirs, other)


def typed_columns(theirs: Settings, lake: Lake) -> None:
    """A platform that keeps money as NUMERIC and times as TIMESTAMPTZ says the same."""
    engine = create_engine(theirs.platform)
    with engine.begin() as db:
        db.execute(text("alter table ledger alter amount type numeric using amount::numeric"))
        for column in ("booked_at", "updated_at"):
            db.execute(text(f"alter table ledger alter {column} type timestamptz using {column}::timestamptz"))
    fresh = Lake(theirs.lake + "-typed", world="demo")
    typed = msgspec.structs.replace(theirs, lake=fresh.root)
    assert ledger_result(pull(typed, fresh, ["platform"])).rows > 0
    assert newest(fresh, "raw.platform_ledger").equals(newest(lake, "raw.platform_ledger"))
    with engine.begin() as db:
        db.execute(text("update ledger set amount = amount + 1, updated_at = updated_at + interval '90 days'"))
    later = datetime(2027, 3, 1, tzinfo=UTC)
    expected = newest(lake, "raw.platform_ledger").height
    assert ledger_result(pull(typed, fresh, ["platform"], now=later)).rows == expected
    with engine.begin() as db:  # the same without zones, and one row that was committed late
        db.execute(text("alter table ledger alter updated_at type timestamp using updated_at at time zone 'UTC'"))
    assert ledger_result(pull(typed, fresh, ["platform"], now=later, full=True)).rows == 0
    late = "updated_at = (select max(updated_at) from ledger) - interval '47 hours'"
    with engine.begin() as db:
        db.execute(text(f"update ledger set {late} where updated_at = (select min(updated_at) from ledger)"))
    engine.dispose()
    assert ledger_result(pull(typed, fresh, ["platform"], now=later)).rows == 1


def ledger_result(results):
    return next(r for r in results if r.table == "raw.platform_ledger")


def home_url(home: Settings) -> str:
    home.home.mkdir(parents=True, exist_ok=True)
    return home.platform
