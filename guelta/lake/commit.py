"""Data and cursor become visible in one Delta commit, or not at all.

A write reads the cursor first and commits on the very handle it read: delta-rs refuses a stale handle of the same app
but accepts the same app version sent twice on a fresh one (30-lake §3.1). ``guelta.days`` of a commit are the UTC
days it touched; a build asks for them. Each commit carries the newest cursor of every other app too: log clean-up
drops old commits with their metadata, and an app may rest for longer than the log is kept.
"""

import errno
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from guelta import __version__
from guelta.errors import CursorMoved, Fatal, OutOfSpace
from guelta.lake.schema import TableSpec
from guelta.lake.where import Where

_TRIES = 5
_LOOKS = (1, 20, 200, None)  # commits read, newest first, until every cursor is found
_CURSOR = "guelta.cursor:"
_CARRIED = "guelta.carried"  # the version up to which a commit carries every cursor
_DAYS = "guelta.days"


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far ``app`` has come: ``n`` counts its commits, ``meta`` is JSON of its own."""

    app: str
    n: int
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Commit:
    version: int
    rows: int
    days: frozenset[date]
    already: bool = False  # this very cursor was committed before; nothing was written


def write(
    uri: str,
    spec: TableSpec,
    data: pa.Table,
    where: Where | None,
    cursor: Cursor | None,
    removed_days: frozenset[date],
    storage: Mapping[str, str] | None,
) -> Commit:
    """Append ``data`` (``where`` None) or replace the rows of ``where`` by it, and move the cursor, in one commit.

    Raises:
        CursorMoved: the cursor in the table is not ``cursor.n - 1``.
        OutOfSpace: the disk is full; nothing was committed.
        Fatal: nothing was committed, or it was and the disk did not confirm it; the message says which.
    """
    days = removed_days | _days(data)
    last: Exception | None = None
    for attempt in range(_TRIES):
        table = open_table(uri, storage)
        if cursor is not None:
            have = table.transaction_version(cursor.app)
            if have == cursor.n and read_cursor(table, cursor.app) == cursor:
                return Commit(table.version(), 0, frozenset(), already=True)
            if (have or 0) != cursor.n - 1:
                raise CursorMoved(
                    f"{spec.name}: {cursor.app} expected to write {cursor.n}, the table is at {have}; plan again"
                )
        try:
            _commit(table, spec, data, where, cursor, days)
        except CommitFailedError as error:
            last = error
            time.sleep(random.uniform(0.01, 0.05) * 2**attempt)  # noqa: S311  # jitter between writers, no secret
            continue
        except (OSError, DeltaError) as error:
            raise explained(spec.name, error) from error
        if "://" not in uri:
            try:
                fsync_commit(uri, table.version())
            except OSError as error:
                raise _unconfirmed(spec.name, table.version(), error) from error
        return Commit(table.version(), data.num_rows, days)
    raise CursorMoved(f"{spec.name}: {_TRIES} commits in a row met another writer ({last}); try again")


def _commit(
    table: DeltaTable,
    spec: TableSpec,
    data: pa.Table,
    where: Where | None,
    cursor: Cursor | None,
    days: frozenset[date],
) -> None:
    metadata = carried(table) | {
        "guelta.code": __version__,
        "guelta.rows": str(data.num_rows),
        _DAYS: json.dumps(sorted(day.isoformat() for day in days)) if "day" in spec.schema.names else '"all"',
    }
    transactions = []
    if cursor is not None:
        metadata[_CURSOR + cursor.app] = json.dumps({"n": cursor.n, "meta": cursor.meta}, sort_keys=True)
        transactions = [Transaction(cursor.app, cursor.n)]
    replacing = where is not None
    write_deltalake(
        table,
        data,
        mode="overwrite" if replacing else "append",
        predicate=where.sql() if where is not None and where.clauses else None,
        writer_properties=WriterProperties(compression="ZSTD", compression_level=3),
        commit_properties=CommitProperties(custom_metadata=metadata, app_transactions=transactions),
    )


def explained(name: str, error: Exception) -> Fatal:
    """Why nothing was written, in a sentence; delta-rs says a full disk in words of its own."""
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    if full or "No space left" in str(error) or "os error 28" in str(error):
        return OutOfSpace(
            f"{name}: the disk is full; nothing was committed. Free space, then run the same command again"
        )
    return Fatal(f"{name}: the commit failed and changed nothing: {error}")


def _unconfirmed(name: str, version: int, error: OSError) -> Fatal:
    # Not tried again: Linux forgets the pages that failed, and a second fsync would succeed for nothing.
    return Fatal(
        f"{name}: version {version} is committed and visible, but the disk did not confirm it ({error}), so it may not "
        "survive a power loss; check the disk, then run the same command again: it goes on after this commit"
    )


def open_table(uri: str, storage: Mapping[str, str] | None = None, version: int | None = None) -> DeltaTable:
    return DeltaTable(uri, version=version, storage_options=dict(storage) if storage else None)


def read_cursor(table: DeltaTable, app: str) -> Cursor | None:
    """The newest cursor of ``app``; None before its first commit.

    Raises:
        Fatal: the transaction version is there but log clean-up took the cursor, before commits carried them.
    """
    if (n := table.transaction_version(app)) is None:
        return None
    for limit in _LOOKS:
        for entry in table.history(limit):
            # A commit that met another writer carries the older cursor of that writer: its own commit has the newest.
            if (text := entry.get(_CURSOR + app)) is not None and (found := json.loads(text))["n"] == n:
                return Cursor(app, n, found["meta"])
    raise Fatal(f"{app}: transaction {n} has no cursor left in the log; rebuild it from the table's rows")


def carried(table: DeltaTable) -> dict[str, str]:
    """The newest cursor of every app, as metadata for the next commit on this handle."""
    newest: dict[str, str] = {}
    for limit in _LOOKS:
        newest, whole = _newest(table.history(limit))
        if whole:
            break
    return newest | {_CARRIED: str(table.version())}


def _newest(history: list[dict[str, Any]]) -> tuple[dict[str, str], bool]:
    """The cursors of these commits, newest first, and whether that is all of them."""
    newest: dict[str, str] = {}
    known = -1  # what came up to this version is carried by a commit already read
    for entry in history:
        if entry["version"] <= known:
            break
        for key, text in entry.items():
            if key.startswith(_CURSOR) and (key not in newest or _n(text) > _n(newest[key])):
                newest[key] = text
        known = max(known, int(entry.get(_CARRIED, -1)))
    return newest, bool(history) and history[-1]["version"] <= known + 1


def _n(cursor: str) -> int:
    return int(json.loads(cursor)["n"])


def changed_days(table: DeltaTable, since: int | None) -> set[date] | None:
    """UTC days touched by data commits after version ``since``; None means every day."""
    if since is None:
        return None
    now = table.version()
    if since > now:
        return None
    history = table.history(now - since) if now > since else []
    if len(history) < now - since:
        return None  # the log was cleaned past `since`
    days: set[date] = set()
    for entry in history:
        if entry["operation"] in {"OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES"}:
            continue
        found = json.loads(entry.get(_DAYS, '"all"'))
        if found == "all":
            return None
        days |= {date.fromisoformat(day) for day in found}
    return days


def fsync_commit(uri: str, version: int) -> None:
    """Make a commit survive power loss: delta-rs itself issues no fsync on local disks (30-lake §3.4)."""
    import os

    root = Path(uri)
    log = root / "_delta_log" / f"{version:020}.json"
    paths = {log, log.parent}
    for line in log.read_text("utf-8").splitlines():
        action = json.loads(line)
        if "add" in action:
            from urllib.parse import unquote

            added = root / unquote(action["add"]["path"])
            paths |= {added, added.parent}
    for path in sorted(paths):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _days(data: pa.Table) -> frozenset[date]:
    if "day" not in data.column_names:
        return frozenset()
    return frozenset(day for day in data["day"].unique().to_pylist() if day is not None)
