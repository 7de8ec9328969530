"""Whether the configured chains and the platform's database answer, and what each endpoint can do."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from guelta.errors import BadSetting, ChainMismatch, GueltaError, SourceUnreachable
from guelta.settings import Settings, masked
from indexer import chains, verify
from indexer.chains import Chain
from indexer.metrics import Meter
from indexer.rpc import wire
from indexer.rpc.pool import Endpoint, Policy, Pool
from indexer.rpc.wire import Call, Rejected
from indexer.sources import sources

_HASTY = Policy(attempts=2, greeting_attempts=2, timeout_s=10.0)
_DEEP = 100  # blocks below the head to look for one with transactions


@dataclass(frozen=True, slots=True)
class Probe:
    """What one endpoint said of itself. ``error`` is set where it is of no use, and then nothing else is known."""

    chain: str
    url: str  # masked
    error: GueltaError | None = None
    version: str = ""
    head: int = 0
    finalized: int | None = None  # None: no such tag
    batches: bool = False
    block_receipts: bool = False
    level: str | None = None  # what a recent block proved; None where no receipts were at hand
    ceiling: str = ""  # what any block of the chain can prove

    def said(self) -> str:
        """One line for people."""
        if self.error:
            return str(self.error)
        final = "no finalized tag" if self.finalized is None else f"finalized {self.finalized}"
        able = f"batches {_yes(self.batches)}, eth_getBlockReceipts {_yes(self.block_receipts)}"
        proved = f"a recent block proves {self.level or 'nothing yet'}, the chain allows {self.ceiling}"
        return f"{self.version or 'unnamed'}: head {self.head}, {final}; {able}; {proved}"

    def warning(self) -> str | None:
        """What will cost time or proof, where something will."""
        if self.error:
            return None
        if self.level and verify.LEVELS.index(self.level) < verify.LEVELS.index(self.ceiling):
            return f"its blocks prove {self.level}, the chain allows {self.ceiling}: follow may refuse them"
        lacks = [
            name for name, has in (("batches", self.batches), ("eth_getBlockReceipts", self.block_receipts)) if not has
        ]
        return f"without {' and '.join(lacks)} following is slower; another endpoint may have them" if lacks else None


def probe(settings: Settings, *, policy: Policy = _HASTY) -> list[Probe]:
    """Ask every URL of every configured chain, all at once."""

    async def together() -> list[Probe]:
        pairs = [(name, url) for name, urls in settings.rpc.items() for url in urls]
        return list(await asyncio.gather(*[_probe(name, url, policy) for name, url in pairs]))

    return asyncio.run(together())


def waiting(settings: Settings) -> dict[str, str | GueltaError | None]:
    """By off-chain source: None where it is ready, a text where it is not set up, an error where it does not answer."""
    found: dict[str, str | GueltaError | None] = {}
    for name, source in sources().items():
        found[name] = source.absent(settings)
    if found.get("platform") is None:
        found["platform"] = _database(settings.platform)
    return found


def _database(url: str) -> SourceUnreachable | BadSetting | None:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

    try:
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        return BadSetting(f"{masked(url)} names no database known here ({type(error).__name__}); set GUELTA_PLATFORM")
    try:
        engine.connect().close()
    except DBAPIError as error:
        return SourceUnreachable(f"{masked(url)} did not answer ({type(error.orig).__name__}); check that it runs")
    finally:
        engine.dispose()
    return None


async def _probe(name: str, url: str, policy: Policy) -> Probe:
    try:
        chain = chains.chain(name)
    except BadSetting as error:
        return Probe(name, masked(url), error)
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return Probe(name, "", BadSetting(f"rpc.{name} is no URL; expected one like https://host/path"))
    found: list[Probe] = []

    async def greet(pool: Pool, endpoint: Endpoint) -> None:
        found.append(await _look(chain, pool, endpoint))

    pool = Pool(name, [url], greet, policy=policy, meter=Meter())
    try:
        async with pool:
            await pool.ask([Call("eth_chainId")])
    except GueltaError as error:
        return Probe(name, masked(url), error)
    return found[-1]


async def _look(chain: Chain, pool: Pool, endpoint: Endpoint) -> Probe:
    chain_id = wire.number(await pool.single(endpoint, Call("eth_chainId")))
    if chain_id != chain.id:
        raise ChainMismatch(
            f"it serves chain {chain_id}, but {chain.name} is chain {chain.id}; correct rpc.{chain.name}"
        )
    head = await pool.single(endpoint, Call("eth_getBlockByNumber", ("latest", False)))
    if head is None:
        raise SourceUnreachable(f"{endpoint.host} knows no latest block; it may have just started")
    recorded = await _maybe(pool, endpoint, Call("guelta_recorded"))
    final = await _maybe(pool, endpoint, Call("eth_getBlockByNumber", ("finalized", False)))
    try:
        endpoint.batches = len(await pool.batch_of(endpoint, [Call("eth_chainId")] * 2)) == 2
    except (wire.Garbled, Rejected):
        endpoint.batches = False
    height = wire.number(head["number"])
    block = await _busy(pool, endpoint, head, [height - i for i in (1, 2, 5, 10, 20, 50, _DEEP) if height - i >= 0])
    receipts = await _maybe(pool, endpoint, Call("eth_getBlockReceipts", (block["hash"],)))
    able = isinstance(receipts, list)
    gaps = recorded is not None
    return Probe(
        chain.name,
        masked(endpoint.url),
        version=str(await _maybe(pool, endpoint, Call("web3_clientVersion")) or ""),
        head=height,
        finalized=wire.number(final["number"]) if final else None,
        batches=endpoint.batches,
        block_receipts=able,
        level=verify.examine(chain, block, receipts, gaps=gaps).proof_level if able else None,
        ceiling=chain.proof_ceiling(gaps=gaps),
    )


async def _busy(pool: Pool, endpoint: Endpoint, head: wire.Header, others: Sequence[int]) -> wire.Header:
    """The newest of a few blocks that holds a transaction: an empty one proves little."""
    if head["transactions"]:
        return head
    for number in others:
        block = await _maybe(pool, endpoint, Call("eth_getBlockByNumber", (wire.quantity(number), False)))
        if block and block["transactions"]:
            return dict(block)
    return head


async def _maybe(pool: Pool, endpoint: Endpoint, call: Call) -> Any:
    try:
        return await pool.single(endpoint, call)
    except Rejected:
        return None


def _yes(able: bool) -> str:
    return "yes" if able else "no"
