"""A verified stretch into the lake: blocks first, then transactions, then logs, each with its own cursor.

The logs' cursor is the truth. Whatever a crash leaves ahead of it or on another fork is put right by the same rule:
every stream keeps what it shares with the node's chain and replaces what lies above.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from guelta.errors import ForeignLake
from guelta.lake import Lake, Table, eq
from indexer import cursor, tables, verify
from indexer.cursor import Position
from indexer.headers import Moved, runs
from indexer.rpc.blocks import Source, Stretch
from indexer.rpc.client import Identity
from indexer.rpc.columns import digest_of

STREAMS = {"blocks": tables.BLOCKS, "transactions": tables.TRANSACTIONS, "logs": tables.LOGS}  # in commit order

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Base:
    """Per stream, the last block kept, and its hash."""

    agreed: Mapping[str, int]

    @property
    def lowest(self) -> int:
        return min(self.agreed.values())


class Store:
    """The raw tables of one chain, and where each stream stands in them."""

    def __init__(self, lake: Lake, source: Source, identity: Identity, kind: str, first: int, clock: Clock) -> None:
        _same_world(lake, source.chain.name, kind)
        self._lake, self._source, self._clock = lake, source, clock
        self._tables: dict[str, Table] = {name: lake.create(spec) for name, spec in STREAMS.items()}
        self._audit, self._heads = lake.create(tables.AUDIT_RANGES), lake.create(tables.HEADS)
        digest = cursor.filter_digest(source.wanted)
        start = Position(source.chain.id, "", kind, identity.genesis, digest, to=first - 1, base=first - 1)
        self.positions = {
            name: cursor.restore(table, replace(start, stream=name)) for name, table in self._tables.items()
        }
        self._chains = lake.create(tables.CHAINS)

    @property
    def truth(self) -> Position:
        return self.positions["logs"]

    def base(self, agreed: int) -> Base:
        """What each stream keeps, when the logs share everything up to ``agreed`` with the node's chain.

        A stream that stands where the logs stand keeps the same. One that a crash left elsewhere was at most one commit
        ahead: it goes back to what that commit left alone, and does it again.
        """
        truth = self.truth
        return Base({name: agreed if _alike(p, truth) else min(agreed, p.base) for name, p in self.positions.items()})

    def start(self) -> int:
        """Where the logs begin if they have not begun: with the streams that are committed before them."""
        return min([p.base for p in self.positions.values() if p.n], default=self.truth.to)

    def put(self, stretch: Stretch, base: Base, finalized: int, hosts: Sequence[str]) -> None:
        """Commit ``stretch`` above what each stream keeps; an empty stretch only drops what lies above.

        Raises:
            Moved: the stretch does not continue what is kept.
        """
        for name in STREAMS:
            _continues(self.positions[name], base.agreed[name], stretch)
        rows = {"blocks": stretch.blocks, "transactions": stretch.transactions, "logs": stretch.logs}
        for name in STREAMS:
            agreed, old = base.agreed[name], self.positions[name]
            above = [stamp for stamp in stretch.stamps if stamp.number > agreed]
            if not above and agreed == old.to:
                continue  # this stream was ahead already
            if name == "logs" and stretch.numbers:
                self._record(stretch, base.lowest, hosts)
            new = old.moved(agreed, above, finalized)
            mine = rows[name].filter(pc.greater(rows[name]["block_number"], agreed))
            facts = {"rows": mine.num_rows, "fork": agreed if agreed < old.to else None}
            if name == "logs":
                facts |= {"digest": digest_of(mine), "level": verify.lowest([f.proof_level for f in stretch.facts])}
            cursor.commit(self._tables[name], old, new, mine, agreed, above, **facts)
            self.positions[name] = new

    def head(self) -> None:
        """Tell readers how far the chain is and what is final. Written after the data: it can only lag."""
        at = self.truth
        if at.n == 0:
            return
        mine = eq("chain_id", at.chain_id) & eq("stream", at.stream)
        before = self._heads.read(mine).to_pylist()
        finalized = max([at.finalized, *[row["finalized_block"] for row in before]])
        hashes = dict(at.window)
        row = {
            "chain_id": at.chain_id,
            "stream": at.stream,
            "to_block": at.to,
            "to_hash": _bytes(at.to_hash),
            "finalized_block": finalized,
            "finalized_hash": _bytes(hashes.get(finalized)),
        }
        if before and {name: before[0][name] for name in row} == row:
            return
        self._heads.replace(pa.Table.from_pylist([row | {"updated_at": self._clock()}], tables.HEADS.schema), mine)

    def describe(self, identity: Identity, kind: str) -> None:
        """What ``chains.toml`` and the endpoint say of the chain, where models can read it."""
        chain = self._source.chain
        waivers = [
            {"check": w.check, "first": w.first, "last": w.last, "reason": w.reason, "source": w.source}
            for w in chain.waivers
        ]
        row = {
            "chain_id": chain.id,
            "name": chain.name,
            "caip2": chain.caip2,
            "native_symbol": chain.native.symbol,
            "native_decimals": chain.native.decimals,
            "finality_kind": chain.finality.kind,
            "source": kind,
            "genesis_hash": _bytes(identity.genesis.hash) if identity.genesis else None,
            "proof_ceiling": chain.proof_ceiling(gaps=self._source.gaps),
            "waivers": json.dumps(waivers),
        }
        mine = eq("chain_id", chain.id)
        if self._chains.read(mine).to_pylist() != [row]:
            self._chains.replace(pa.Table.from_pylist([row], tables.CHAINS.schema), mine)

    def _record(self, stretch: Stretch, below: int, hosts: Sequence[str]) -> None:
        """The proof record, one row a run. It is written before the logs, so no committed log lacks one."""
        now, chain, wanted = self._clock(), self._source.chain, self._source.wanted
        rows = []
        for run in runs([n for n in stretch.numbers if n > below]):
            at = slice(stretch.numbers.index(run[0]), stretch.numbers.index(run[-1]) + 1)
            facts = stretch.facts[at]
            numbers = stretch.logs["block_number"]
            logs = stretch.logs.filter(pc.and_(pc.greater_equal(numbers, run[0]), pc.less_equal(numbers, run[-1])))
            checked = [fact.root_ok for fact in facts if fact.root_ok is not None]
            rows.append(
                {
                    "chain_id": chain.id,
                    "stream": "logs",
                    "from_block": run[0],
                    "to_block": run[-1],
                    "checked_at": now,
                    "day": now.astimezone(UTC).date(),
                    "proof_level": verify.lowest([fact.proof_level for fact in facts]),
                    "header_ok": all(fact.header_ok for fact in facts),
                    "links_ok": True,  # a stretch that does not link is never committed
                    "bloom_ok": all(fact.bloom_ok is not False for fact in facts),
                    "root_checked": len(checked),
                    "root_ok": checked.count(True),
                    "corroborated_by": 1,
                    "anchor_number": run[-1],
                    "anchor_hash": _bytes(stretch.stamps[at][-1].hash),
                    "anchor": "self",  # one endpoint's chain; no second one was asked
                    "endpoints": ", ".join(hosts),
                    "waivers": json.dumps(verify.waived_between(chain, run[0], run[-1])),
                    "block_count": len(run),
                    "incomplete": json.dumps([n for n, f in zip(run, facts, strict=True) if not f.complete]),
                    "log_count": logs.num_rows,
                    "logs_digest": digest_of(logs),
                    "filter_digest": cursor.filter_digest(wanted),
                    "filter": "" if wanted.everything else json.dumps(wanted.params()),
                }
            )
        kept = pa.schema([field for field in tables.AUDIT_RANGES.schema if field.name != "month"])
        self._audit.append(pa.Table.from_pylist(rows, kept))


def _same_world(lake: Lake, chain: str, kind: str) -> None:
    """A demo's lake takes no real chain: its earnings and reports would mix the two."""
    if lake.world == "demo" and kind != "devnet":
        raise ForeignLake(
            f"{lake.root} is a lake of demo data, chain {chain} is {kind}; nothing was written. Name another folder "
            "with GUELTA_HOME and follow it there"
        )


def _alike(one: Position, other: Position) -> bool:
    return (one.to, one.to_hash) == (other.to, other.to_hash)


def _continues(old: Position, agreed: int, stretch: Stretch) -> None:
    """The stretch grows out of the very block this stream keeps."""
    kept = dict(old.window).get(agreed)
    if kept is None or not stretch.numbers:
        return
    if agreed in stretch.numbers:
        found = stretch.stamps[stretch.numbers.index(agreed)].hash
    elif stretch.numbers[0] == agreed + 1:
        found = stretch.parents[0]
    else:
        return
    if found != kept:
        raise Moved(f"block {agreed} is {kept} in stream {old.stream}, the blocks just read grow out of {found}")


def _bytes(text: str | None) -> bytes | None:
    return bytes.fromhex(text[2:]) if text else None
