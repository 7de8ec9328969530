"""What people decided: reviews, adjustments, period closes, deliveries. Append-only, hash-chained; and writers' leases.

One SQL database (SQLite by default, PostgreSQL in production). Every decision names its actor and carries the hash of
the one before it, so an edit, a deletion or a fork is found by ``verify``. The database itself refuses UPDATE and
DELETE, and an approval by the person who proposed. Leases are the only rows that change.
"""

import hashlib
import json
import os
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from guelta.errors import Fatal, LeaseHeld, SourceUnreachable
from guelta.settings import masked

KINDS = (
    "assign",
    "note",
    "propose",
    "approve",
    "reject",
    "reopen",
    "close",
    "reopen_period",
    "pin",
    "sending",
    "sent",
    "failed",
)
GENESIS = "0" * 64
_COLUMNS = ("event_id", "stream", "subject", "kind", "payload", "actor", "at_utc", "idem_key", "prev_hash")

_meta = sa.MetaData()
_events = sa.Table(
    "decision_events",
    _meta,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("event_id", sa.String(36), unique=True, nullable=False),
    sa.Column("stream", sa.String(40), nullable=False),  # review | close | delivery
    sa.Column("subject", sa.String(300), nullable=False),  # a recon_key, a period, a delivery key
    sa.Column("kind", sa.String(20), sa.CheckConstraint(f"kind in {KINDS}"), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),  # JSON; amounts as text
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("at_utc", sa.String(32), nullable=False),
    sa.Column("idem_key", sa.String(300), unique=True, nullable=False),
    sa.Column("prev_hash", sa.String(64), unique=True, nullable=False),
    sa.Column("hash", sa.String(64), unique=True, nullable=False),
)
_leases = sa.Table(
    "leases",
    _meta,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("until", sa.Float, nullable=False),  # seconds since 1970, UTC
)
_PROPOSAL = (  # the one an approval answers
    "from decision_events as e where e.stream = new.stream and e.subject = new.subject and e.kind = 'propose' "
    "order by e.seq desc limit 1"
)
_REFUSALS = {
    "four eyes": "{actor} proposed {subject} and may not approve it; another person has to",
    "no proposal": "nobody proposed anything on {subject}; propose first, then another person approves",
    "stale": "{subject} changed since it was proposed; propose again what stands there now",
}
_SQLITE_GUARDS = (
    (
        "create trigger if not exists decisions_no_update before update on decision_events "
        "begin select raise(abort, 'append-only'); end"
    ),
    (
        "create trigger if not exists decisions_no_delete before delete on decision_events "
        "begin select raise(abort, 'append-only'); end"
    ),
    (  # INSERT OR REPLACE deletes without firing a delete trigger
        "create trigger if not exists decisions_no_replace before insert on decision_events "
        "when exists (select 1 from decision_events as e where e.seq = new.seq or e.event_id = new.event_id "
        "or e.idem_key = new.idem_key or e.prev_hash = new.prev_hash or e.hash = new.hash) "
        "begin select raise(abort, 'append-only'); end"
    ),
    (
        "create trigger if not exists decisions_four_eyes before insert on decision_events when new.kind = 'approve' "
        f"begin select raise(abort, 'no proposal') where not exists (select 1 {_PROPOSAL}); "
        f"select raise(abort, 'four eyes') where new.actor = (select e.actor {_PROPOSAL}); "
        "select raise(abort, 'stale') where json_extract(new.payload, '$.delta_raw') is not "
        f"(select json_extract(e.payload, '$.delta_raw') {_PROPOSAL}); end"
    ),
)
_POSTGRES_GUARDS = (
    (
        "create or replace function decisions_guard() returns trigger as $$ begin "
        "if tg_op in ('UPDATE', 'DELETE', 'TRUNCATE') then raise exception 'append-only'; end if; "
        "if new.kind = 'approve' then "
        f"if not exists (select 1 {_PROPOSAL}) then raise exception 'no proposal'; end if; "
        f"if new.actor = (select e.actor {_PROPOSAL}) then raise exception 'four eyes'; end if; "
        "if (new.payload::json ->> 'delta_raw') is distinct from "
        f"(select e.payload::json ->> 'delta_raw' {_PROPOSAL}) then raise exception 'stale'; end if; end if; "
        "return new; end $$ language plpgsql"
    ),
    (
        "create or replace trigger decisions_no_truncate before truncate on decision_events "
        "for each statement execute function decisions_guard()"
    ),
    (
        "create or replace trigger decisions_guard before insert or update or delete on decision_events "
        "for each row execute function decisions_guard()"
    ),
)


@dataclass(frozen=True, slots=True)
class Event:
    event_id: str
    stream: str
    subject: str
    kind: str
    payload: Mapping[str, Any]
    actor: str
    at_utc: str
    idem_key: str
    prev_hash: str
    hash: str


class Decisions:
    """Opens (and on first use makes) the decision database at a SQLAlchemy URL."""

    def __init__(self, url: str) -> None:
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        self.url = url
        self._engine = sa.create_engine(url)
        try:
            with self._engine.begin() as con:
                _meta.create_all(con)
                for text in _SQLITE_GUARDS if self._engine.dialect.name == "sqlite" else _POSTGRES_GUARDS:
                    con.execute(sa.text(text))
        except OperationalError as error:
            raise SourceUnreachable(f"the decision database {masked(url)} does not answer: {error.orig}") from error

    def close(self) -> None:
        self._engine.dispose()

    def append(
        self,
        stream: str,
        subject: str,
        kind: str,
        payload: Mapping[str, Any],
        *,
        actor: str,
        at: datetime,
        idem_key: str,
        first_holds: bool = False,
    ) -> Event:
        """Write one decision; the same one again (by ``idem_key``) is written once.

        With ``first_holds`` another content under a known key answers with what was decided first.

        Raises:
            Fatal: an approval by the proposer, of nothing or of something else than was proposed; a known key with
                another content; a kind nobody knows.
        """
        if kind not in KINDS:
            raise Fatal(f"expected a decision of {', '.join(KINDS)}, found {kind!r}")
        for _ in range(5):
            if (found := self._by_key(idem_key)) is not None:
                same = (found.stream, found.subject, found.kind, found.payload) == (stream, subject, kind, payload)
                if not (same or first_holds):
                    raise Fatal(f"{idem_key} decided something else on {found.subject} before; use a new key")
                return found
            row = {
                "event_id": str(uuid.uuid5(uuid.NAMESPACE_URL, idem_key)),
                "stream": stream,
                "subject": subject,
                "kind": kind,
                "payload": json.dumps(payload, sort_keys=True, separators=(",", ":")),
                "actor": actor,
                "at_utc": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                "idem_key": idem_key,
                "prev_hash": self._head(),
            }
            row["hash"] = _hash(row)
            try:
                with self._engine.begin() as con:
                    con.execute(_events.insert().values(**row))
            except DBAPIError as error:
                for word, sentence in _REFUSALS.items():
                    if word in str(error.orig):
                        raise Fatal(sentence.format(actor=actor, subject=subject)) from error
                if not isinstance(error, IntegrityError):
                    raise
                continue  # another decision came first: link to it
            return _event(row)
        raise Fatal(f"{subject}: five other decisions came first; try again")

    def events(self, stream: str | None = None, subject: str | None = None) -> list[Event]:
        """Decisions in the order they were made."""
        query = sa.select(_events).order_by(_events.c.seq)
        if stream is not None:
            query = query.where(_events.c.stream == stream)
        if subject is not None:
            query = query.where(_events.c.subject == subject)
        with self._engine.connect() as con:
            return [_event(dict(row)) for row in con.execute(query).mappings()]

    def pins(self, lake: str) -> dict[str, list[int]]:
        """The versions of each table that a report of ``lake`` was made from: maintenance keeps them readable."""
        kept: dict[str, set[int]] = {}
        for event in self.events("pin"):
            if event.payload["lake"] == lake:
                for table, version in event.payload["versions"].items():
                    kept.setdefault(table, set()).add(version)
        return {table: sorted(versions) for table, versions in kept.items()}

    def verify(self) -> str | None:
        """None when the whole chain holds, else a sentence naming the first broken row."""
        before = GENESIS
        with self._engine.connect() as con:
            for row in con.execute(sa.select(_events).order_by(_events.c.seq)).mappings():
                if row["prev_hash"] != before or row["hash"] != _hash(dict(row)):
                    return f"decision {row['event_id']} on {row['subject']} does not follow from the one before it"
                before = row["hash"]
        return None

    @contextmanager
    def lease(self, name: str, seconds: float = 30) -> Iterator["Lease"]:
        """Hold ``name`` against a second writer, renewed while the block runs.

        It saves work; the lake's commit protocol saves the data.

        Raises:
            LeaseHeld: another living process has it.
        """
        lease = Lease(self._engine, name, f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}", seconds)
        lease.take()
        over = threading.Event()
        keeper = threading.Thread(target=lease.keep, args=(over, seconds / 3), daemon=True)
        keeper.start()
        try:
            yield lease
        finally:
            over.set()
            keeper.join()
            lease.give_back()

    def _head(self) -> str:
        with self._engine.connect() as con:
            last = con.execute(sa.select(_events.c.hash).order_by(_events.c.seq.desc()).limit(1)).scalar()
        return last or GENESIS

    def _by_key(self, idem_key: str) -> Event | None:
        with self._engine.connect() as con:
            row = con.execute(sa.select(_events).where(_events.c.idem_key == idem_key)).mappings().first()
        return _event(dict(row)) if row else None


class Lease:
    """A row that says who writes and until when; renewed while the work goes on."""

    def __init__(self, engine: sa.Engine, name: str, owner: str, seconds: float) -> None:
        self._engine, self.name, self.owner, self._seconds = engine, name, owner, seconds

    def take(self) -> None:
        now = datetime.now(UTC).timestamp()
        with self._engine.begin() as con:
            free = sa.or_(_leases.c.until < now, _leases.c.owner == self.owner)
            mine = {"owner": self.owner, "until": now + self._seconds}
            taken = con.execute(_leases.update().where(_leases.c.name == self.name, free).values(**mine)).rowcount
            if taken:
                return
            held = con.execute(sa.select(_leases).where(_leases.c.name == self.name)).mappings().first()
            if held is None:
                try:
                    con.execute(_leases.insert().values(name=self.name, **mine))
                except IntegrityError as error:
                    raise LeaseHeld(f"{self.name} was taken by another process just now; wait for it") from error
                return
            host, pid, _ = held["owner"].rsplit(":", 2)
            if host == socket.gethostname() and not _alive(int(pid)):  # killed here: nobody will give it back
                con.execute(_leases.update().where(_leases.c.name == self.name).values(**mine))
                return
        raise LeaseHeld(
            f"{self.name} is being written by {held['owner']} until "
            f"{datetime.fromtimestamp(held['until'], UTC):%H:%M:%S} UTC; stop that process or wait"
        )

    def keep(self, over: threading.Event, every_s: float) -> None:
        """Renew until ``over``; a failed renewal is tried again, for the data has its own fence."""
        while not over.wait(every_s):
            with suppress(sa.exc.SQLAlchemyError, LeaseHeld):
                self.take()

    def give_back(self) -> None:
        with self._engine.begin() as con:
            con.execute(_leases.delete().where(_leases.c.name == self.name, _leases.c.owner == self.owner))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _hash(row: Mapping[str, Any]) -> str:
    text = json.dumps({c: row[c] for c in _COLUMNS}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{row['prev_hash']}\n{text}".encode()).hexdigest()


def _event(row: Mapping[str, Any]) -> Event:
    fields = {name: row[name] for name in (*_COLUMNS, "hash")}
    return Event(**{**fields, "payload": json.loads(row["payload"])})
