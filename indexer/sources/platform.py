"""The platform's SQL database: parties, tasks, labels, reviews, credits, payout runs and the ledger."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from guelta.errors import SourceUnreachable
from guelta.lake import Lake
from guelta.settings import Settings, masked
from indexer.sources import tables
from indexer.sources.contract import SCHEMA_DRIFT, Contract
from indexer.sources.landing import Landing, PullResult, Visit

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from indexer.sources import Progress

TITLE = "Platform database"
TABLES = tables.PLATFORM
CHUNK = 50_000
# A row gets its time when it is changed and shows when its transaction commits, and clocks differ between writers: what
# is that much older than the cursor is read again. The longest transactions, queues and nightly copies fit in two days.
OVERLAP = timedelta(hours=48)
AHEAD = timedelta(hours=1)  # how far another clock may run ahead of ours
_ZONES = timedelta(hours=24)  # a day as it is written lies within so much of the UTC day
_NAIVE = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?$")


def absent(settings: Settings) -> str | None:
    """An SQLite file that is not there would otherwise be made, empty, by connecting to it."""
    file = settings.platform.removeprefix("sqlite:///")
    if settings.platform.startswith("sqlite:") and not Path(file).is_file():
        return f"expected the platform's database at {file}, found no file; set GUELTA_PLATFORM to its SQLAlchemy URL"
    return None


def pull(settings: Settings, lake: Lake, visit: Visit, progress: "Progress | None" = None) -> Iterator[PullResult]:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

    shown = masked(settings.platform)
    try:
        engine = create_engine(settings.platform)
    except (ArgumentError, NoSuchModuleError) as error:
        raise SourceUnreachable(f"platform database {shown}: this URL names no database known here ({error})") from None
    try:
        for contract in TABLES:
            result = _pull_table(engine, Landing(lake, "platform", contract, full=visit.full), visit.now)
            if progress:
                progress(contract.table, result.rows)
            yield result
    except DBAPIError as error:  # down, refused, forbidden, or no database at all
        reason = _without_secrets(str(error.orig), settings.platform)
        raise SourceUnreachable(
            f"platform database {shown} did not answer: {reason}; check that it runs and that GUELTA_PLATFORM is right"
        ) from None
    finally:
        engine.dispose()


def _pull_table(engine: "Engine", landing: Landing, now: datetime) -> PullResult:
    contract = landing.contract
    name = contract.table.partition("platform_")[2]
    total = PullResult("platform", contract.table)
    with engine.connect() as connection:
        columns = _columns(connection, name)
        if columns is None:
            return total + PullResult("platform", contract.table, notes=(f"the database has no table {name}",))
        lacking, extra = contract.drift(columns)
        notes = [f"column {column} is not read" for column in extra]
        if any(column in lacking for column in contract.key):
            return total + _all_refused(connection, landing, name, columns, lacking)
        notes += [f"column {column} is missing" for column in lacking]
        read = [column for column in columns if column not in extra]
        for rows in _rows(connection, contract, name, read, _since(landing.seen, now)):
            text = _text(rows)
            seen = _seen(landing.seen, rows, contract.check(text).good, now)
            total += landing.land(text, seen, notes=notes, reread=True, latest=now + AHEAD)
    return total


def received(_row_key: str, row: dict[str, Any]) -> dict[str, str | None]:
    """A refused row as it was received, from what the quarantine keeps of it."""
    return {name: _zoned(_plain(value)) for name, value in row.items()}


def _columns(connection: "Connection", name: str) -> list[str] | None:
    from sqlalchemy import text
    from sqlalchemy.exc import OperationalError, ProgrammingError

    try:
        return list(connection.execute(text(f'select * from "{name}" where 1 = 0')).keys())
    except (OperationalError, ProgrammingError) as error:
        connection.rollback()
        if re.search(r"no such table|does not exist|doesn't exist|Invalid object", str(error.orig)):
            return None
        raise


def _seen(before: dict[str, Any], rows: Sequence[dict[str, Any]], good: pl.DataFrame, now: datetime) -> dict[str, Any]:
    """The cursor: the newest time up to now, and how the database holds its times. It never goes back, nor ahead."""
    times = good.filter(pl.col("updated_at") <= now)["updated_at"]
    known = [at for at in (_reached(before, now), times.max()) if isinstance(at, datetime)]
    if not known:
        return {}
    kinds = {_kind(row["updated_at"]) for row in rows if row["updated_at"] is not None}
    kind = kinds.pop() if len(kinds) == 1 else before.get("kind", "text")
    return {"updated_at": max(known).astimezone(UTC).isoformat(sep=" "), "kind": kind}


def _kind(value: Any) -> str:
    return ("aware" if value.tzinfo else "naive") if isinstance(value, datetime) else "text"


def _reached(seen: dict[str, Any], now: datetime) -> datetime | None:
    """The time of the cursor. One in the future, of a version that believed every row, is none."""
    if "updated_at" not in seen:
        return None
    at = datetime.fromisoformat(_zoned(seen["updated_at"]) or "")
    return at if at <= now else None


def _since(seen: dict[str, Any], now: datetime) -> str | datetime | None:
    """From when on rows are read again, in the database's own kind of time."""
    if (at := _reached(seen, now)) is None:
        return None
    since = at.astimezone(UTC) - OVERLAP
    if seen["kind"] == "text":
        return (since - _ZONES).date().isoformat()
    return since if seen["kind"] == "aware" else since.replace(tzinfo=None)


def _rows(
    connection: "Connection", contract: Contract, name: str, columns: Sequence[str], since: str | datetime | None
) -> Iterator[list[dict[str, Any]]]:
    """Rows changed since then, oldest change first; what was read before, the lake knows by its key.

    Times kept as text compare by their day alone: it stands first in every way to write them, whatever comes between
    day and hour and whichever zone follows. What does not begin with a day is read each time, to be refused.
    """
    from sqlalchemy import column, or_, select, table

    source = table(name, *(column(c) for c in columns))
    query = select(*source.c).order_by(source.c.updated_at, *(source.c[k] for k in contract.key if k != "updated_at"))
    if since is not None:
        at = source.c.updated_at
        odd = [at.not_like("____-__-__%")] if isinstance(since, str) else []
        query = query.where(or_(at >= since, at.is_(None), *odd))
    result = connection.execution_options(stream_results=True, yield_per=CHUNK).execute(query)
    for part in result.mappings().partitions(CHUNK):
        yield [dict(row) for row in part]


def _all_refused(
    connection: "Connection", landing: Landing, name: str, columns: Sequence[str], lacking: Sequence[str]
) -> PullResult:
    from sqlalchemy import text

    from indexer.sources.landing import Refused

    reason = landing.drifted(columns, lacking, f"table {name}")
    found = connection.execute(text(f'select * from "{name}"')).mappings()
    refused = [
        Refused(f"{name}:{number}", {k: _plain(v) for k, v in row.items()}, SCHEMA_DRIFT, reason)
        for number, row in enumerate(found, start=1)
    ]
    return landing.land(_text([]), landing.seen, refused=refused, notes=[reason])


def _text(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    names = list(rows[0]) if rows else []
    return pl.DataFrame(
        {n: [_zoned(_plain(row[n])) for row in rows] for n in names}, schema=dict.fromkeys(names, pl.String)
    )


def _plain(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat(sep=" ")
    if isinstance(value, bytes | memoryview):
        return "0x" + bytes(value).hex()
    return str(value)


def _zoned(value: str | None) -> str | None:
    """A database's time without a zone is UTC."""
    return value + "Z" if value and _NAIVE.match(value) else value


def _without_secrets(reason: str, url: str) -> str:
    from sqlalchemy import make_url

    password = make_url(url).password
    first = reason.strip().splitlines()[0] if reason.strip() else "no reason given"
    return first.replace(str(password), "…") if password else first
