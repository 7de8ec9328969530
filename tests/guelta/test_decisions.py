"""Decisions are appended, chained and never changed; two people are needed; one writer at a time."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from guelta.decisions import Decisions
from guelta.errors import Fatal, LeaseHeld

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)


@pytest.fixture
def decisions(tmp_path):
    book = Decisions(f"sqlite:///{tmp_path}/decisions.db")
    yield book
    book.close()


@pytest.mark.postgres
def test_postgresql_refuses_the_same(postgres):
    book = Decisions(postgres)
    first = propose(book)
    with pytest.raises(Fatal, match="another person"):
        book.append("review", "leg:2026-09:4", "approve", {"delta_raw": "7"}, actor="ana", at=NOW, idem_key="k2")
    with pytest.raises(Fatal, match="changed since"):
        book.append("review", "leg:2026-09:4", "approve", {"delta_raw": "8"}, actor="bo", at=NOW, idem_key="k2")
    with pytest.raises(Fatal, match="nobody proposed"):
        book.append("review", "leg:1:1", "approve", {"delta_raw": "7"}, actor="bo", at=NOW, idem_key="k2")
    for statement in (
        "update decision_events set actor = 'eve'",
        "delete from decision_events",
        "truncate decision_events",
    ):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), book._engine.begin() as con:
            con.execute(sa.text(statement))
    approved = book.append("review", "leg:2026-09:4", "approve", {"delta_raw": "7"}, actor="bo", at=NOW, idem_key="k3")
    assert [event.hash for event in book.events()] == [first.hash, approved.hash]
    assert book.verify() is None
    with book.lease("1:logs"), pytest.raises(LeaseHeld), book.lease("1:logs"):
        pass
    book.close()


def propose(book, actor="ana", key="k1"):
    return book.append("review", "leg:2026-09:4", "propose", {"delta_raw": "7"}, actor=actor, at=NOW, idem_key=key)


def test_the_same_key_twice_is_one_decision_and_the_chain_holds(decisions):
    first = propose(decisions)
    assert propose(decisions) == first
    approved = decisions.append(
        "review", "leg:2026-09:4", "approve", {"delta_raw": "7"}, actor="bo", at=NOW, idem_key="k2"
    )
    assert [e.hash for e in decisions.events("review")] == [first.hash, approved.hash]
    assert (approved.prev_hash, decisions.verify()) == (first.hash, None)


def test_nobody_approves_their_own_proposal(decisions):
    propose(decisions)
    with pytest.raises(Fatal, match="another person"):
        decisions.append("review", "leg:2026-09:4", "approve", {"delta_raw": "7"}, actor="ana", at=NOW, idem_key="k2")
    assert len(decisions.events()) == 1


@pytest.mark.parametrize(
    ("kind", "payload", "words"),
    [("approve", {"delta_raw": "7"}, "nobody proposed"), ("propose", {"delta_raw": "7"}, None)],
)
def test_an_approval_answers_a_proposal(decisions, kind, payload, words):
    if words:
        with pytest.raises(Fatal, match=words):
            decisions.append("review", "leg:1:1", kind, payload, actor="bo", at=NOW, idem_key="x")
    else:
        decisions.append("review", "leg:1:1", kind, payload, actor="bo", at=NOW, idem_key="x")
        with pytest.raises(Fatal, match="changed since it was proposed"):
            decisions.append("review", "leg:1:1", "approve", {"delta_raw": "8"}, actor="ana", at=NOW, idem_key="y")


def test_a_known_key_with_another_content_is_refused_unless_the_first_holds(decisions):
    first = propose(decisions)
    with pytest.raises(Fatal, match="decided something else"):
        decisions.append("review", "leg:2:2", "propose", {}, actor="bo", at=NOW, idem_key="k1")
    kept = decisions.append("pin", "p", "pin", {}, actor="bo", at=NOW, idem_key="k1", first_holds=True)
    assert kept == first


def test_a_replaced_row_is_refused(decisions):
    propose(decisions)
    replace = sa.text(
        "insert or replace into decision_events select seq, event_id, stream, subject, kind, payload, 'eve', at_utc, "
        "idem_key, prev_hash, hash from decision_events"
    )
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), decisions._engine.begin() as con:
        con.execute(replace)
    assert [event.actor for event in decisions.events()] == ["ana"]


def test_one_process_holds_a_lease_once(decisions):
    with decisions.lease("1:logs"), pytest.raises(LeaseHeld), decisions.lease("1:logs"):
        pass
    with decisions.lease("1:logs"):
        pass


@pytest.mark.parametrize("statement", ["update decision_events set actor = 'eve'", "delete from decision_events"])
def test_the_database_refuses_edits_and_an_edit_that_got_through_is_found(decisions, statement):
    propose(decisions)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), decisions._engine.begin() as con:
        con.execute(sa.text(statement))
    with decisions._engine.begin() as con:
        con.execute(sa.text("drop trigger decisions_no_update"))
        con.execute(sa.text("update decision_events set actor = 'eve'"))
    assert "leg:2026-09:4" in decisions.verify()


def test_a_second_writer_waits_unless_the_first_is_dead(decisions):
    holder = (
        "import sys, time; from guelta.decisions import Decisions\n"
        "with Decisions(sys.argv[1]).lease('1:logs', 300): print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", holder, decisions.url], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    with pytest.raises(LeaseHeld, match="1:logs is being written by"), decisions.lease("1:logs"):
        pass
    child.kill()
    child.wait()
    child.stdout.close()
    with decisions.lease("1:logs"):
        pass
