"""One chain from its endpoint into the lake: look, plan, read ahead, commit in order."""

import asyncio
import contextlib
import resource
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from guelta.errors import BadRecording, GateRefused, GueltaError, SourceUnreachable
from guelta.lake import Lake, eq
from indexer.chains import Chain
from indexer.headers import Moved, agreed
from indexer.metrics import Meter
from indexer.news import News
from indexer.rpc.blocks import Source, Stretch, read
from indexer.rpc.client import ChainClient, Identity
from indexer.rpc.pool import Suspicious
from indexer.rpc.wire import EVERYTHING, BlockRef, LogFilter
from indexer.store import STREAMS, Base, Clock, Store

_AHEAD = 4  # stretches in flight or waiting for their commit
_LOOKS_AT_A_LOWER_HEAD = 4
_PATIENCE = 9  # ticks in a row that may find the chain in motion
_PATIENCE_WITH_LIES = 4  # or answers that contradict each other


class Progress(Protocol):
    def __call__(self, done_logs: int, done_blocks: int, total_blocks: int, note: str, /) -> None: ...


@dataclass(frozen=True, slots=True)
class FollowResult:
    chain: str
    chain_id: int
    source: str  # live, recorded, devnet
    from_block: int | None  # the first block of this run; None where there was nothing new
    to_block: int
    finalized: int
    blocks: int
    rows: int  # logs
    transactions: int
    level: str  # the lowest proof level of this run's complete blocks
    levels: dict[str, int]  # blocks by level
    incomplete: tuple[int, ...]  # blocks without receipts: stored as headers, without rows
    unproven: tuple[tuple[int, str], ...]  # blocks whose receipts root or bloom does not verify, and what failed
    reorgs: int
    deepest_reorg: int
    requests: int
    retries: int
    seconds: float
    cpu_seconds: float
    meter: Meter = field(repr=False, default_factory=Meter)


@dataclass(frozen=True, slots=True)
class Stream:
    """What of a chain is fetched, and from where on; a later issue lets it grow."""

    wanted: LogFilter = EVERYTHING
    start: int | None = None  # None: block 0 of a development chain, the finalized block of a live one


class Follower:
    """One chain from its endpoint into the lake."""

    def __init__(
        self,
        lake: Lake,
        chain: Chain,
        client: ChainClient,
        meter: Meter,
        stream: Stream | None,
        until: int | None,
        progress: Progress | None,
        clock: Clock,
    ) -> None:
        self.lake, self.chain, self.client, self.meter = lake, chain, client, meter
        self.stream, self.until, self.clock = stream or Stream(), until, clock
        self.tell: Progress = progress or (lambda _logs, _blocks, _total, _note, /: None)
        self.levels: Counter[str] = Counter()
        self.incomplete: list[int] = []
        self.unproven: list[tuple[int, str]] = []
        self.first: int | None = None
        self.total = 0
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        if self._store is None:
            raise GueltaError(f"chain {self.chain.name}: its tables are opened after its endpoint has said who it is")
        return self._store

    async def run(self, stop: asyncio.Event, lock: asyncio.Lock, news: News, *, once: bool) -> FollowResult:
        began, cpu = time.monotonic(), _cpu_seconds()
        async with self.client:
            identity = await self.client.identity()
            self.lock, self.stop, self.news = lock, stop, news
            self.source = Source(self.chain, self.stream.wanted, identity.recorded)
            kind = "devnet" if self.chain.id == 1337 else "live" if identity.recorded is None else "recorded"
            first = await self._start(identity, kind)
            self._store = Store(self.lake, self.source, identity, kind, first, self.clock)
            self._covers(identity)
            self._store.describe(identity, kind)
            await self._loop(once=once)
            return self._result(kind, time.monotonic() - began, _cpu_seconds() - cpu)

    async def _loop(self, *, once: bool) -> None:
        restless = 0
        while not self.stop.is_set():
            try:
                await self.tick()
            except Moved as error:
                restless = restless + 1
                lie = isinstance(error.__cause__, Suspicious) and bool(error.__cause__.rule)
                if restless >= (_PATIENCE_WITH_LIES if lie else _PATIENCE):
                    raise _never_still(self.chain, restless, error) from error
                await self._pause(min(1.0, 0.05 * 2**restless))
                continue
            except SourceUnreachable as error:
                if once:
                    raise
                self._note(f"waiting: {error}")
                await self._pause(self.chain.block_seconds * 5)
                continue
            restless = 0
            if once or (self.until is not None and self.store.truth.to >= self.until):
                return
            await self._pause(self.chain.block_seconds)

    async def tick(self) -> None:
        """From where the lake stands to where the chain stands now.

        Raises:
            Moved: the chain changed meanwhile; whatever was committed is right, the rest is planned anew.
        """
        began = self.store.truth.n
        head = await self._head()
        final = await self._finalized(head)
        base = await self._base(head)
        self._reorged(base)
        cuts = list(self._cuts(base, head, final))
        self.total = self.meter.blocks + sum(map(len, cuts))
        if not cuts and any(base.agreed[name] < self.store.positions[name].to for name in STREAMS):
            await self._put(_nothing(), base, final)  # the head moved back
        async with contextlib.aclosing(self._read_ahead(cuts)) as stretches:
            async for stretch in stretches:
                await self._put(stretch, base, final)
                base = Base({name: max(base.agreed[name], stretch.numbers[-1]) for name in STREAMS})
                if self.stop.is_set():
                    break
        async with self.lock:
            await asyncio.to_thread(self.store.head)
        if self.store.truth.n > began:
            self.news.committed(caught_up=True)

    # -- where things stand ------------------------------------------------------------------------------------------

    async def _start(self, identity: Identity, kind: str) -> int:
        if self.stream.start is not None:
            return self.stream.start
        if identity.recorded is not None:
            return identity.recorded[0]
        if kind == "devnet" or self.chain.id == 31337 or not self.stream.wanted.everything:
            return 0
        head = await self._head()
        return await self._finalized(head)

    def _covers(self, identity: Identity) -> None:
        """A recording that gained blocks below the cursor cannot be followed on: its earlier rows would be missing."""
        at = self.store.truth
        if identity.recorded is None or at.n == 0:
            return
        listed = [n for n in identity.recorded if n <= at.to]
        known = self.lake.table("raw.blocks").read(eq("chain_id", at.chain_id))["block_number"].to_pylist()
        new = sorted(set(listed) - set(known))
        if new:
            raise BadRecording(
                f"chain {self.chain.name}: the recording now lists block {new[0]} (and {len(new) - 1} more) below "
                f"block {at.to}, where the lake stands; replay all files together into a new lake (GUELTA_HOME)"
            )

    async def _head(self) -> BlockRef:
        """The newest block to read. A head below the lake's is asked for again, elsewhere first: a backend may lag."""
        head = await self._latest()
        for look in range(_LOOKS_AT_A_LOWER_HEAD):
            if self._store is None or head.number >= self._store.truth.to:
                break
            self.client.distrust(self.client.turn)
            await self._pause(0.05 * 2**look)
            head = await self._latest()
        return head

    async def _latest(self) -> BlockRef:
        head = await self.client.head("latest")
        if head is None:
            raise SourceUnreachable(f"chain {self.chain.name}: the endpoint knows no latest block; try again later")
        return head

    async def _finalized(self, head: BlockRef) -> int:
        rule = self.chain.finality
        if self.source.recorded is not None:
            return head.number
        if rule.kind == "instant":
            return max(0, head.number - rule.lag)
        tagged = await self.client.head("finalized") if rule.kind == "tag" else None
        return min(head.number, tagged.number) if tagged else max(0, head.number - rule.depth)

    async def _base(self, head: BlockRef) -> Base:
        """What each stream shares with the node's chain. Only the logs are asked about: they are the truth."""
        truth = self.store.truth
        return self.store.base(await agreed(self.client, truth, head.number) if truth.n else self.store.start())

    def _reorged(self, base: Base) -> None:
        at = self.store.truth
        if at.n and base.agreed["logs"] < at.to:
            depth = at.to - base.agreed["logs"]
            self.meter.reorgs += 1
            self.meter.deepest_reorg = max(self.meter.deepest_reorg, depth)
            self._note(f"reorg: {depth} blocks above {base.agreed['logs']} are replaced")

    # -- what to read ------------------------------------------------------------------------------------------------

    def _cuts(self, base: Base, head: BlockRef, final: int) -> Iterator[list[int]]:
        """Blocks for each commit: cut at fixed multiples while final, so that a rebuild cuts alike; the rest at once.

        After a fork the first cut covers everything that is replaced: old rows go only when the new ones are in hand.
        """
        size = self.chain.commit_blocks
        replaced = max(position.to for position in self.store.positions.values())
        last = head.number if self.until is None else min(head.number, self.until)
        if base.lowest < replaced:
            last = max(last, min(head.number, replaced))
        if self.source.recorded is not None:
            listed = [n for n in self.source.recorded if base.lowest < n <= last]
            yield from (listed[i : i + size] for i in range(0, len(listed), size))
            return
        at = base.lowest + 1
        while at <= last:
            end = min((at // size + 1) * size - 1, last)
            if at <= final:
                end = min(end, final)
            if base.lowest < replaced and at == base.lowest + 1:
                end = max(end, min(last, replaced))
            yield list(range(at, end + 1))
            at = end + 1

    async def _read_ahead(self, cuts: Sequence[list[int]]) -> AsyncGenerator[Stretch]:
        waiting: list[asyncio.Task[Stretch]] = []
        todo = iter(cuts)
        try:
            while True:
                while len(waiting) < _AHEAD and (numbers := next(todo, None)):
                    waiting.append(asyncio.create_task(read(self.client, self.source, numbers)))
                if not waiting:
                    return
                yield await waiting.pop(0)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    # -- what was done -----------------------------------------------------------------------------------------------

    async def _put(self, stretch: Stretch, base: Base, final: int) -> None:
        async with self.lock:  # chains share tables: one commit at a time saves retries
            began = time.monotonic()
            await asyncio.to_thread(self.store.put, stretch, base, final, self.client.hosts)
            self.meter.commit_seconds += time.monotonic() - began
        self.meter.commits += 1
        self.news.committed(caught_up=False)
        if not stretch.numbers:
            return
        self.first = stretch.numbers[0] if self.first is None else min(self.first, stretch.numbers[0])
        self.meter.blocks += len(stretch.numbers)
        self.meter.logs += stretch.logs.num_rows
        self.meter.transactions += stretch.transactions.num_rows
        self.incomplete += stretch.incomplete
        self.levels.update(fact.proof_level for fact in stretch.facts)
        for number, fact in zip(stretch.numbers, stretch.facts, strict=True):
            failed = [name for name, ok in (("receipts_root", fact.root_ok), ("bloom", fact.bloom_ok)) if ok is False]
            if failed:
                self.unproven.append((number, ", ".join(failed)))
        self._note(f"{self.chain.name}: block {stretch.numbers[-1]}")

    def _note(self, text: str) -> None:
        self.tell(self.meter.logs, self.meter.blocks, max(self.total, self.meter.blocks), text)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)

    def _result(self, kind: str, seconds: float, cpu_seconds: float) -> FollowResult:
        complete = [level for level in self.levels if level != "P0"]
        at = self.store.truth
        return FollowResult(
            chain=self.chain.name,
            chain_id=self.chain.id,
            source=kind,
            from_block=self.first,
            to_block=at.to,
            finalized=at.finalized,
            blocks=self.meter.blocks,
            rows=self.meter.logs,
            transactions=self.meter.transactions,
            level=min(complete, key=("P1", "P2", "P2c", "P3").index, default="P0"),
            levels=dict(sorted(self.levels.items())),
            incomplete=tuple(self.incomplete),
            unproven=tuple(self.unproven),
            reorgs=self.meter.reorgs,
            deepest_reorg=self.meter.deepest_reorg,
            requests=self.meter.requests,
            retries=self.meter.retries,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            meter=self.meter,
        )


def _nothing() -> Stretch:
    """No block at all: put above a fork, it only takes away."""
    blocks, transactions, logs = (STREAMS[name].schema.empty_table() for name in ("blocks", "transactions", "logs"))
    return Stretch((), (), (), (), blocks, transactions, logs)


def _never_still(chain: Chain, ticks: int, last: GueltaError) -> GueltaError:
    cause = last.__cause__
    said = f"chain {chain.name}: {ticks} readings in a row did not fit together; last: {last}"
    if isinstance(cause, Suspicious) and cause.rule:
        return GateRefused(f"{said}; nothing of it was committed; use another endpoint", (cause.rule,))
    return SourceUnreachable(f"{said}; the endpoint mixes forks or lags; use another one")


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
