"""Where a stream stands: what its cursor says, inside the very commit that wrote the rows.

The last headers travel in it, so that after a crash, hours later, the fork with the node's chain is still found.
There is no other state to undo.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from guelta.errors import ChainMismatch
from guelta.lake import Commit, Cursor, Table, Where, eq, ge, gt
from indexer.rpc.columns import Stamp
from indexer.rpc.wire import BlockRef, LogFilter

_AT_LEAST, _AT_MOST = 64, 512  # headers remembered
VERSION = 1


@dataclass(frozen=True, slots=True)
class Position:
    chain_id: int
    stream: str  # logs, blocks, transactions
    source: str  # live, recorded, devnet
    genesis: BlockRef | None
    filter_digest: str
    n: int = 0  # commits so far
    to: int = -1
    to_hash: str = ""
    finalized: int = -1
    window: tuple[tuple[int, str], ...] = ()  # ascending (number, hash), ending at ``to``
    seconds: tuple[int, ...] = ()  # block times of the window: they may fall, so months are bounded by their minimum
    base: int = -1  # the last block that the newest commit left alone
    since: int | None = None  # the earliest block time of the newest commit

    @property
    def app(self) -> str:
        return f"{self.chain_id}:{self.stream}"

    def moved(self, agreed: int, blocks: Sequence[Stamp], finalized: int) -> "Position":
        """After a commit that keeps everything up to ``agreed`` and puts ``blocks`` above it."""
        kept = sum(1 for n, _ in self.window if n <= agreed)
        headers = self.window[:kept] + tuple((block.number, block.hash) for block in blocks)
        seconds = self.seconds[:kept] + tuple(block.seconds for block in blocks)
        to, to_hash = headers[-1] if headers else (agreed, "")
        # A stream that a crash left ahead of the logs may be put back below what it took for final.
        final = max(min(self.finalized, agreed), min(finalized, to))
        chosen = _remembered([n for n, _ in headers], final)
        return replace(
            self,
            n=self.n + 1,
            to=to,
            to_hash=to_hash,
            finalized=final,
            window=tuple(headers[i] for i in chosen),
            seconds=tuple(seconds[i] for i in chosen),
            base=agreed,
            since=min([block.seconds for block in blocks], default=None),
        )

    def above(self, agreed: int, blocks: Sequence[Stamp]) -> Where:
        """The rows of this chain above ``agreed``, bounded by month so that whole files drop out."""
        times = [*self.seconds, *[block.seconds for block in blocks], *([] if self.since is None else [self.since])]
        seconds = min(times, default=0)
        earliest = datetime.fromtimestamp(seconds, UTC).date()
        month = date(earliest.year, earliest.month, 1)
        return eq("chain_id", self.chain_id) & ge("month", month) & gt("block_number", agreed)

    def meta(self, **also: Any) -> dict[str, Any]:
        return {
            "v": VERSION,
            "chain_id": self.chain_id,
            "stream": self.stream,
            "source": self.source,
            "genesis": [self.genesis.number, self.genesis.hash] if self.genesis else None,
            "from": self.base + 1,
            "to": self.to,
            "to_hash": self.to_hash,
            "finalized": self.finalized,
            "filter": self.filter_digest,
            "window": [list(entry) for entry in self.window],
            "seconds": list(self.seconds),
            "since": self.since,
            **also,
        }


def filter_digest(wanted: LogFilter) -> str:
    """Empty where everything is fetched."""
    if wanted.everything:
        return ""
    text = json.dumps([sorted(wanted.addresses), sorted(wanted.topics)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def restore(table: Table, start: Position) -> Position:
    """The stream's position in its table; ``start`` before its first commit.

    Raises:
        ChainMismatch: the rows are of another source, genesis or filter than the ones now offered.
    """
    cursor = table.cursor(start.app)
    if cursor is None:
        return start
    meta = cursor.meta
    genesis = BlockRef(*meta["genesis"]) if meta["genesis"] else None
    _same_chain(start, meta, genesis)
    return replace(
        start,
        genesis=genesis,
        n=cursor.n,
        to=meta["to"],
        to_hash=meta["to_hash"],
        finalized=meta["finalized"],
        window=tuple((n, h) for n, h in meta["window"]),
        seconds=tuple(meta["seconds"]),
        base=meta["from"] - 1,
        since=meta["since"],
    )


def commit(
    table: Table, old: Position, new: Position, data: pa.Table, agreed: int, blocks: Sequence[Stamp], **also: Any
) -> Commit:
    """Rows and position in one commit: appended when final with nothing above, else in place of what lies above."""
    cursor = Cursor(new.app, new.n, new.meta(**also))
    final = bool(blocks) and blocks[-1].number <= new.finalized
    if final and agreed == old.to:
        return table.append(data, cursor=cursor)
    return table.replace(data, old.above(agreed, blocks), cursor=cursor)


def _same_chain(start: Position, meta: dict[str, Any], genesis: BlockRef | None) -> None:
    if meta["source"] != start.source:
        raise ChainMismatch(
            f"chain {start.chain_id} in this lake is {meta['source']}, the endpoint is {start.source}; recorded and "
            "live blocks are not mixed: use another lake (GUELTA_HOME)"
        )
    now = start.genesis
    if genesis and now and genesis.number == now.number and genesis.hash != now.hash:
        raise ChainMismatch(
            f"chain {start.chain_id} in this lake starts with block {genesis.number} {genesis.hash}, the endpoint with "
            f"{now.hash}: the chain was restarted or is another one; use another lake (GUELTA_HOME)"
        )
    if meta["filter"] != start.filter_digest:
        raise ChainMismatch(
            f"chain {start.chain_id} was followed with filter {meta['filter'] or '(everything)'}, now asked with "
            f"{start.filter_digest or '(everything)'}; a wider filter needs its history first: use another lake"
        )


def _remembered(numbers: Sequence[int], finalized: int) -> list[int]:
    """Positions of the headers to keep: all above the last finalized one, and that one; never fewer than a few."""
    open_ = sum(1 for n in numbers if n >= finalized)
    count = min(_AT_MOST, max(_AT_LEAST, open_), len(numbers))
    chosen = list(range(len(numbers) - count, len(numbers)))
    anchor = max((i for i, n in enumerate(numbers) if n <= finalized), default=None)
    return chosen if anchor is None or anchor in chosen else [anchor, *chosen]
