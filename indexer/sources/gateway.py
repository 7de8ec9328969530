"""The gateway's call logs: a folder of JSON Lines files that grow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from guelta.lake import Lake
from guelta.settings import Settings
from indexer.sources import tables
from indexer.sources.contract import SCHEMA_DRIFT
from indexer.sources.landing import Landing, PullResult, Refused, Visit

if TYPE_CHECKING:
    from indexer.sources import Progress

TITLE = "Call logs"
TABLES = (tables.CALLS,)
BATCH = 60_000  # lines a commit
HEAD = 65_536  # bytes that identify a file
_INT64 = 2**63
_OURS = {"source", "file", "line"}


@dataclass(slots=True)
class _Batch:
    rows: list[dict[str, Any]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows) + len(self.refused)


def absent(settings: Settings) -> str | None:
    if not Path(settings.calls).is_dir():
        return f"expected a folder of *.jsonl call logs at {settings.calls}, found none; set GUELTA_CALLS"
    return None


def pull(settings: Settings, lake: Lake, visit: Visit, progress: "Progress | None" = None) -> Iterator[PullResult]:
    """Read what was appended since the last time; a file that was rewritten is read again from its first line."""
    landing = Landing(lake, "gateway", tables.CALLS, full=visit.full)
    files: dict[str, list[Any]] = dict(
        landing.seen.get("files", {})
    )  # name -> [bytes read, lines read, hash of the head]
    total, batch = PullResult("gateway", tables.CALLS.table), _Batch()
    for path in sorted(Path(settings.calls).glob("*.jsonl")):
        state = _read(path, files.get(path.name), landing, batch)
        if state is not None:
            files[path.name] = state
        if len(batch) >= BATCH:
            total, batch = total + _land(landing, batch, files), _Batch()
            if progress:
                progress(path.name, total.rows)
    yield total + _land(landing, batch, files)


def received(row_key: str, row: dict[str, Any]) -> dict[str, str | None]:
    """A refused line as it was received, from what the quarantine keeps of it: FILE:LINE ends its key."""
    name, _, number = row_key.rpartition("/")[2].rpartition(":")
    whole = {"rev": 1, "source": "gateway", "file": name, "line": number} | row
    return {column: _text(value) for column, value in whole.items()}


def _read(path: Path, state: list[Any] | None, landing: Landing, batch: _Batch) -> list[Any] | None:
    size = path.stat().st_size
    offset, lines, head = state or (0, 0, "")
    with path.open("rb") as file:
        if state and (size < offset or _head(file.read(min(offset, HEAD))) != head):
            batch.notes.append(f"{path.name} was rewritten and is read again from its first line")
            offset, lines = 0, 0
        elif state and size == offset:
            return None
        file.seek(offset)
        data = file.read()
    raw = data.split(b"\n")
    unfinished = raw.pop()
    if unfinished and _decoded(unfinished) is not None:
        raw.append(unfinished)  # complete, only the last line break is missing
        unfinished = b""
    _rows(path.name, raw, lines, landing, batch)
    read = offset + len(data) - len(unfinished)
    with path.open("rb") as file:
        return [read, lines + len(raw), _head(file.read(min(read, HEAD)))]


def _rows(name: str, raw: Sequence[bytes], before: int, landing: Landing, batch: _Batch) -> None:
    decoded = [(before + i, line, _decoded(line)) for i, line in enumerate(raw, start=1) if line.strip()]
    columns = {key for _, _, row in decoded if row is not None for key in row}
    lacking, extra = landing.contract.drift([*columns, *_OURS, "rev"])
    if columns and lacking:
        reason = landing.drifted(sorted(columns), lacking, name)
        batch.notes.append(reason)
        batch.refused += [Refused(f"{name}:{n}", _shown(line, row), SCHEMA_DRIFT, reason) for n, line, row in decoded]
        return
    batch.notes += [f"{name}: column {column} is not read" for column in extra]
    for number, line, row in decoded:
        if row is None:
            reason = "json: expected one JSON object a line, found something else"
            batch.refused.append(Refused(f"{name}:{number}", _shown(line, row), "json", reason))
        else:
            batch.rows.append({"rev": 1} | row | {"source": "gateway", "file": name, "line": number})


def _land(landing: Landing, batch: _Batch, files: dict[str, list[Any]]) -> PullResult:
    names = [f.name for f in landing.contract.fields]
    frame = pl.DataFrame([_column(name, [row.get(name) for row in batch.rows]) for name in names])
    return landing.land(
        frame,
        {"files": dict(files)} if files else {},
        refused=batch.refused,
        received=batch.rows.__getitem__,
        notes=batch.notes,
    )


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        row = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return row if isinstance(row, dict) else None


_DECODER = msgspec.json.Decoder()


def _column(name: str, values: list[Any]) -> pl.Series:
    """Values of any JSON type as text; the common columns, all of one type, without a loop in Python."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {str}:
        return pl.Series(name, values, dtype=pl.String)
    if kinds == {int} and all(v is None or -_INT64 <= v < _INT64 for v in values):
        return pl.Series(name, values, dtype=pl.Int64).cast(pl.String)
    return pl.Series(name, [_text(value) for value in values], dtype=pl.String)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) else msgspec.json.encode(value).decode()


def _shown(line: bytes, row: dict[str, Any] | None) -> dict[str, Any]:
    return row if row is not None else {"line": line.decode("utf-8", "replace")}


def _head(data: bytes) -> str:
    return sha256(data).hexdigest()[:32]
