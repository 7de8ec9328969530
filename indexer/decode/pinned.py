"""raw.logs of one chain at one version: what a run reads, so that a commit in the middle cannot tear it.

Only blocks with logs count here: a replaced block shows by its hash, an emptied one by its absence.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from indexer import tables
from indexer.protocols.registry import Upgrade

LOGS = tables.LOGS.name
SPAN_ROWS = 250_000  # logs held in memory and committed at once

_WINDOW = 64  # blocks remembered; a fork below them means deriving the chain again
_UPGRADED = bytes.fromhex("bc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b")  # Upgraded(address)


@dataclass(frozen=True, slots=True)
class Span:
    """Blocks first..last, read and committed together."""

    first: int
    last: int
    window: tuple[tuple[int, str], ...]  # the last blocks with logs up to ``last``, and their hashes
    logs_so_far: int
    final: bool


class PinnedLogs:
    def __init__(self, con: duckdb.DuckDBPyConnection, chain_id: int) -> None:
        self._con, self._chain_id = con, chain_id
        ((head,),) = self._rows(f"select max(block_number) from {LOGS} where chain_id = ?")
        self.head: int = -1 if head is None else head

    def upgrades(self, proxies: Collection[bytes]) -> list[Upgrade]:
        """The Upgraded logs of ``proxies``, in order."""
        if not proxies:
            return []
        found = self._rows(
            f"select address, block_number, log_index, topic1 from {LOGS} "
            "where chain_id = ? and topic0 = ? and topic1 is not null order by block_number, log_index",
            _UPGRADED,
        )
        return [Upgrade(proxy, block, at, topic[12:]) for proxy, block, at, topic in found if proxy in proxies]

    def shared(self, window: Iterable[Sequence[Any]]) -> int:
        """The highest block of ``window`` that is still there under the same hash; -1 for none."""
        known: dict[int, str] = dict(window)  # type: ignore[arg-type]  # pairs, as lists where they come from JSON
        if not known:
            return -1
        held = self._rows(
            f"select distinct block_number, '0x' || lower(hex(block_hash)) from {LOGS} "
            "where chain_id = ? and block_number between ? and ?",
            min(known),
            max(known),
        )
        return max((number for number, block_hash in held if known.get(number) == block_hash), default=-1)

    def spans(self, first: int) -> list[Span]:
        """Whole blocks from ``first`` on in cuts of about SPAN_ROWS; at least one, which drops what the chain lost."""
        remembered = self._rows(
            f"select distinct block_number from {LOGS} where chain_id = ? order by block_number desc limit {_WINDOW}"
        )
        found = self._rows(
            f"select block_number, '0x' || lower(hex(min(block_hash))), count(*) from {LOGS} "
            "where chain_id = ? and block_number >= ? group by 1 order by 1",
            min([first, *(number for (number,) in remembered)]),
        )
        spans: list[Span] = []
        start, waiting, total = first, 0, 0
        for at, (number, _, count) in enumerate(found):
            if number < first:
                continue
            waiting, total, final = waiting + count, total + count, at == len(found) - 1
            if waiting >= SPAN_ROWS or final:
                spans.append(Span(start, number, _window(found[: at + 1]), total, final))
                start, waiting = number + 1, 0
        return spans or [Span(first, self.head, _window(found), 0, final=True)]

    def read(self, span: Span) -> pa.Table:
        return self._con.sql(
            f"select * from {LOGS} where chain_id = ? and block_number between ? and ? "
            "order by block_number, log_index",
            params=[self._chain_id, span.first, span.last],
        ).to_arrow_table()

    def _rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        return self._con.sql(sql, params=[self._chain_id, *params]).fetchall()


def _window(found: Sequence[tuple[Any, ...]]) -> tuple[tuple[int, str], ...]:
    return tuple((number, block_hash) for number, block_hash, _ in found[-_WINDOW:])
