"""A chain as the indexer sees it, and its implementation over HTTP endpoints.

Nothing above ``ChainClient`` knows whether blocks come from a live node, the embedded chain or a recording.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from guelta.errors import BadRecording, ChainMismatch, GueltaError
from indexer.chains import Chain
from indexer.metrics import Meter
from indexer.rpc import wire
from indexer.rpc.pool import Endpoint, Gone, NoSuchMethod, Policy, Pool, Suspicious, TooLarge
from indexer.rpc.wire import BlockRef, Call, Header, LogFilter, LogPage, Receipt, Rejected, WireLog

HEADERS_A_BATCH = 100
RECEIPTS_A_BATCH = 25

Tag = Literal["latest", "safe", "finalized"]
Check = Callable[[Header, Sequence[Receipt]], None]  # raises Suspicious


@dataclass(frozen=True, slots=True)
class Identity:
    chain_id: int
    genesis: BlockRef | None  # block 0, or the lowest block served
    recorded: tuple[int, ...] | None  # the blocks of a recording, ascending; None for a chain without gaps
    version: str


class ChainClient(Protocol):
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    async def identity(self) -> Identity: ...
    async def head(self, tag: Tag) -> BlockRef | None: ...
    async def headers(self, numbers: Sequence[int]) -> list[Header]: ...
    async def look(self, numbers: Sequence[int]) -> list[Header | None]: ...
    async def logs(self, first: int, last: int, wanted: LogFilter) -> LogPage: ...
    async def logs_at(self, block: BlockRef, wanted: LogFilter) -> LogPage: ...
    async def receipts(self, blocks: Sequence[Header], check: Check | None) -> list[list[Receipt] | None]: ...
    @property
    def turn(self) -> int: ...
    def distrust(self, turn: int) -> None: ...
    @property
    def hosts(self) -> list[str]: ...


class HttpClient:
    """A pool of JSON-RPC endpoints as a ``ChainClient``."""

    def __init__(
        self, chain: Chain, urls: Sequence[str], *, policy: Policy | None = None, meter: Meter | None = None
    ) -> None:
        self.chain = chain
        self._identity: Identity | None = None
        self._pool = Pool(chain.name, urls, self._greet, policy=policy or Policy(), meter=meter or Meter())

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.__aexit__(kind, error, trace)

    @property
    def hosts(self) -> list[str]:
        return self._pool.hosts

    @property
    def turn(self) -> int:
        return self._pool.turn

    def distrust(self, turn: int) -> None:
        self._pool.distrust(turn)

    async def identity(self) -> Identity:
        if self._identity is None:
            await self._pool.ask([Call("eth_chainId")])
        if self._identity is None:
            raise GueltaError(f"chain {self.chain.name}: an endpoint was used before it said which chain it serves")
        return self._identity

    async def head(self, tag: Tag) -> BlockRef | None:
        """The block behind a tag. ``finalized`` and ``safe`` may be unknown to a node: None."""
        call = Call("eth_getBlockByNumber", (tag, False))
        if tag == "latest":
            return _ref((await self._pool.ask([call], accept=_no_null(tag)))[0])
        try:
            header = (await self._pool.ask([call], attempts=2))[0]
        except GueltaError:
            return None
        return _ref(header) if header else None

    async def headers(self, numbers: Sequence[int]) -> list[Header]:
        """Headers that exist: a null is asked for again, elsewhere first."""
        found: list[Header] = []
        for batch in await self._in_batches(numbers, HEADERS_A_BATCH, self._headers):
            found += batch
        return found

    async def look(self, numbers: Sequence[int]) -> list[Header | None]:
        """Headers that may not exist (any more): null is an answer here."""
        calls = [_by_number(number) for number in numbers]
        found: list[Header | None] = []
        for i in range(0, len(calls), HEADERS_A_BATCH):
            found += await self._pool.ask(calls[i : i + HEADERS_A_BATCH])
        return found

    async def logs(self, first: int, last: int, wanted: LogFilter) -> LogPage:
        """All logs of first..last that the filter takes, cut into requests the endpoint accepts."""
        logs: list[WireLog] = []
        anchors: list[BlockRef] = []
        at, end = first, None
        while at <= last:
            spans = self._pool.spans
            end = spans.next(at, last) if end is None else end
            try:
                page = await self._logs_page(at, end, wanted)
            except TooLarge as error:
                smaller = error.spans.refused(error.advice, at, end)
                if end == at:  # one block is too much for a range: its hash may still be accepted
                    header = (await self.headers([at]))[0]
                    page = await self.logs_at(_ref(header), wanted)
                else:
                    end = min(smaller, end - 1)
                    continue
            logs += page.logs
            anchors += page.anchors
            spans.took(end - at + 1, len(page.logs))
            at, end = end + 1, None
        return LogPage(logs, tuple(anchors))

    async def logs_at(self, block: BlockRef, wanted: LogFilter) -> LogPage:
        calls = [
            Call("eth_getLogs", ({"blockHash": block.hash, **wanted.params()},)),
            Call("eth_getBlockByHash", (block.hash, False)),
        ]
        return await self._page(calls, block.number, block.number)

    async def receipts(self, blocks: Sequence[Header], check: Check | None) -> list[list[Receipt] | None]:
        """The receipts of each block, in order; None only where a recording has none. ``check`` proves them."""
        recorded = (await self.identity()).recorded is not None

        async def fetch(batch: Sequence[Header]) -> list[list[Receipt] | None]:
            def accept(results: list[Any]) -> list[list[Receipt] | None]:
                return [self._receipts_of(b, r, check, recorded=recorded) for b, r in zip(batch, results, strict=True)]

            try:
                calls = [Call("eth_getBlockReceipts", (block["hash"],)) for block in batch]
                return list(await self._pool.ask(calls, accept=accept))
            except NoSuchMethod:
                return [await self._receipts_one_by_one(block, check) for block in batch]
            except TooLarge:
                if len(batch) == 1:
                    raise
                half = len(batch) // 2
                return await fetch(batch[:half]) + await fetch(batch[half:])

        found: list[list[Receipt] | None] = []
        for part in await self._in_batches(blocks, RECEIPTS_A_BATCH, fetch):
            found += part
        return found

    # -- private -----------------------------------------------------------------------------------------------------

    async def _in_batches(self, items: Sequence[Any], size: int, fetch: Callable[[Sequence[Any]], Any]) -> list[Any]:
        return list(await asyncio.gather(*[fetch(items[i : i + size]) for i in range(0, len(items), size)]))

    async def _headers(self, numbers: Sequence[int]) -> list[Header]:
        def accept(results: list[Any]) -> list[Header]:
            for number, header in zip(numbers, results, strict=True):
                if not isinstance(header, dict) or wire.number(header["number"]) != number:
                    said = "null" if header is None else "another block"
                    raise Suspicious(
                        f"expected block {number}, the endpoint answered {said}; it may lag behind its head"
                    )
            return results

        calls = [_by_number(number) for number in numbers]
        return list(await self._pool.ask(calls, accept=accept))

    async def _logs_page(self, first: int, last: int, wanted: LogFilter) -> LogPage:
        span = {"fromBlock": wire.quantity(first), "toBlock": wire.quantity(last), **wanted.params()}
        return await self._page([Call("eth_getLogs", (span,)), _by_number(last)], first, last)

    async def _page(self, calls: Sequence[Call], first: int, last: int) -> LogPage:
        """Logs and the header of their last block, from one backend: without that header no emptiness is believed."""

        def accept(results: list[Any]) -> LogPage:
            logs, header = results
            if not isinstance(header, dict) or wire.number(header["number"]) != last:
                raise Suspicious(f"logs of {first}..{last} came without the header of {last}; the endpoint lags")
            if not isinstance(logs, list):
                raise Suspicious(f"eth_getLogs of {first}..{last} answered {type(logs).__name__}, not a list")
            return LogPage(logs, (_ref(header),))

        page: LogPage = await self._pool.ask(calls, decoder=wire.LOGS_OR_HEADER, accept=accept)
        return page

    def _receipts_of(
        self, block: Header, receipts: Any, check: Check | None, *, recorded: bool
    ) -> list[Receipt] | None:
        number = wire.number(block["number"])
        if receipts is None:
            if recorded:
                return None
            raise Suspicious(f"receipts of block {number} are null; the endpoint lags or the block is gone")
        kept = [receipt for receipt in receipts if receipt is not None]
        if len(kept) < len(receipts) and not self.chain.waived("receipt_count", number):
            raise Suspicious(f"receipts of block {number} hold null entries", "receipt_count")
        wrong = next((r for r in kept if str(r.get("blockHash")).lower() != block["hash"].lower()), None)
        if wrong is not None:
            raise Suspicious(
                f"receipts asked of block {number} {block['hash']} belong to block {wrong.get('blockHash')}"
            )
        if check is not None:
            check(block, kept)
        return kept

    async def _receipts_one_by_one(self, block: Header, check: Check | None) -> list[Receipt] | None:
        """For endpoints without eth_getBlockReceipts: one call a transaction."""
        calls = [Call("eth_getTransactionReceipt", (_hash_of(transaction),)) for transaction in block["transactions"]]

        def accept(results: list[Any]) -> list[Receipt] | None:
            return self._receipts_of(block, results, check, recorded=False)

        answer: list[Receipt] | None = await self._pool.ask(calls, accept=accept)
        return answer

    async def _greet(self, pool: Pool, endpoint: Endpoint) -> None:
        """Which chain is this, from which genesis, and what can the endpoint do?

        Raises:
            ChainMismatch: it serves another chain than configured, or another genesis than its neighbours.
        """
        chain_id = wire.number(await pool.single(endpoint, Call("eth_chainId")))
        if chain_id != self.chain.id:
            raise ChainMismatch(
                f"{endpoint.host} serves chain {chain_id}, but {self.chain.name} is chain {self.chain.id}; "
                f"correct rpc.{self.chain.name} in the settings; nothing was stored"
            )
        try:
            endpoint.batches = len(await pool.batch_of(endpoint, [Call("eth_chainId")] * 2)) == 2
        except (wire.Garbled, Rejected):
            endpoint.batches = False
        endpoint.version = str(await _or_none(pool, endpoint, Call("web3_clientVersion")))
        listed = await _or_none(pool, endpoint, Call("guelta_recorded"))
        recorded = None if listed is None else _recorded_numbers(endpoint, listed)
        lowest = recorded[0] if recorded else 0
        first = await _or_none(pool, endpoint, _by_number(lowest))
        genesis = _ref(first) if first else None
        known = self._identity
        if known and (known.genesis, known.recorded) != (genesis, recorded):
            raise ChainMismatch(
                f"{endpoint.host} starts at {genesis}, the other endpoints of {self.chain.name} at {known.genesis}; "
                "they serve different chains under one id"
            )
        self._identity = known or Identity(chain_id, genesis, recorded, endpoint.version)


async def _or_none(pool: Pool, endpoint: Endpoint, call: Call) -> Any:
    try:
        return await pool.single(endpoint, call)
    except Rejected:
        return None


def _recorded_numbers(endpoint: Endpoint, listed: Any) -> tuple[int, ...]:
    numbers = tuple(wire.number(one) if isinstance(one, str) else int(one) for one in listed)
    if not numbers or list(numbers) != sorted(set(numbers)):
        raise BadRecording(
            f"{endpoint.host} lists recorded blocks {numbers[:5]}…; expected ascending numbers, each once"
        )
    return numbers


def _by_number(number: int) -> Call:
    return Call("eth_getBlockByNumber", (wire.quantity(number), False))


def _ref(header: Header) -> BlockRef:
    return BlockRef(wire.number(header["number"]), header["hash"].lower())


def _hash_of(transaction: Any) -> str:
    return str(transaction["hash"] if isinstance(transaction, dict) else transaction)


def _no_null(tag: str) -> Callable[[list[Any]], list[Any]]:
    def accept(results: list[Any]) -> list[Any]:
        if results[0] is None:
            raise Suspicious(f"block {tag} is null; a node that has just started says so, never height 0")
        return results

    return accept


__all__ = ["ChainClient", "Gone", "HttpClient", "Identity", "LogFilter", "Suspicious", "TooLarge"]
