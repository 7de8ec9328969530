"""A stretch of blocks: fetched in pieces that must agree, proven, and turned into rows. Nothing is committed here."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import polars as pl
import pyarrow as pa

from guelta.errors import BadRecording
from indexer import headers as chain_headers
from indexer import verify
from indexer.chains import Chain
from indexer.headers import Moved, runs
from indexer.rpc import columns
from indexer.rpc.client import ChainClient
from indexer.rpc.columns import Stamp
from indexer.rpc.pool import Gone, Suspicious
from indexer.rpc.wire import Header, LogFilter, LogPage, Receipt, WireLog, number
from indexer.verify import Facts


@dataclass(frozen=True, slots=True)
class Stretch:
    """Verified blocks, ascending, with their rows."""

    numbers: tuple[int, ...]
    stamps: tuple[Stamp, ...]
    parents: tuple[str, ...]
    facts: tuple[Facts, ...]
    blocks: pa.Table = field(repr=False)
    transactions: pa.Table = field(repr=False)
    logs: pa.Table = field(repr=False)

    @property
    def incomplete(self) -> list[int]:
        return [n for n, fact in zip(self.numbers, self.facts, strict=True) if not fact.complete]


@dataclass(frozen=True, slots=True)
class Source:
    """A chain as one endpoint serves it."""

    chain: Chain
    wanted: LogFilter
    recorded: tuple[int, ...] | None = None  # the only blocks there are, each of them final

    @property
    def gaps(self) -> bool:
        """A recording that does not run from block 0 without a gap: its blocks hang on no anchor."""
        return self.recorded is not None and self.recorded != tuple(range(len(self.recorded)))


async def read(client: ChainClient, source: Source, numbers: Sequence[int]) -> Stretch:
    """Fetch and prove ``numbers``.

    Raises:
        Moved: the answers belong to different forks; read again.
        GateRefused: a proof that this chain can give fails at every endpoint.
        BadRecording: neighbours in a recording that are no parent and child.
    """
    turn = client.turn
    try:
        return await _read(client, source, numbers)
    except Moved as error:
        client.distrust(turn)
        if source.recorded is not None:
            raise BadRecording(f"recorded chain {source.chain.name}: {error}; record these blocks again") from error
        raise
    except Gone as error:
        raise Moved(str(error)) from error
    except Suspicious as error:
        client.distrust(turn)
        raise Moved(str(error)) from error


async def _read(client: ChainClient, source: Source, numbers: Sequence[int]) -> Stretch:
    chain, wanted = source.chain, source.wanted
    headers = await client.headers(numbers)
    chain_headers.linked(headers)
    asked = [header for header in headers if verify.wants_receipts(header, wanted)]
    proven: dict[str, Facts] = {}
    if source.recorded is not None:
        receipts = await client.receipts(asked, None)
        lacking = {number(h["number"]) for h, r in zip(asked, receipts, strict=True) if r is None}
        pages = await _pages(client, [n for n in numbers if n not in lacking], wanted)
    else:
        receipts, pages = await asyncio.gather(
            client.receipts(asked, verify.demand(chain, proven)), _pages(client, numbers, wanted)
        )
    by_hash = {header["hash"]: found for header, found in zip(asked, receipts, strict=True)}
    facts = [proven.get(header["hash"]) or _facts(source, header, by_hash) for header in headers]
    stamps = [columns.stamp(header) for header in headers]
    known = {one.hash: one for one in stamps}
    _anchored(pages, {one.number: one.hash for one in stamps})
    fetched = [log for page in pages for log in page.logs]
    rows = columns.log_rows(chain.id, fetched, known)
    kept = [receipt for found in receipts for receipt in found or ()]
    witnesses = columns.log_rows(chain.id, _wanted(columns.logs_of(kept), kept, wanted), known)
    rows, witnesses = _counted(source, rows), _counted(source, witnesses)
    _same(chain, rows, witnesses)
    if not wanted.everything:
        senders = set(rows["tx_hash"].to_pylist())
        kept = [receipt for receipt in kept if bytes.fromhex(receipt["transactionHash"][2:]) in senders]
        counts = Counter(rows["block_number"].to_pylist())
        # What is kept of a filtered block gives no whole bloom, and its count is of the kept logs.
        facts = [replace(f, log_count=counts[n], bloom_ok=None) for n, f in zip(numbers, facts, strict=True)]
    return Stretch(
        numbers=tuple(numbers),
        stamps=tuple(stamps),
        parents=tuple(header["parentHash"].lower() for header in headers),
        facts=tuple(facts),
        blocks=columns.block_rows(chain.id, headers, [fact.columns() for fact in facts]),
        transactions=columns.transaction_rows(chain.id, kept, known),
        logs=rows,
    )


async def _pages(client: ChainClient, numbers: Sequence[int], wanted: LogFilter) -> list[LogPage]:
    return [await client.logs(run[0], run[-1], wanted) for run in runs(numbers)]


def _facts(source: Source, header: Header, receipts: dict[str, list[Receipt] | None]) -> Facts:
    if header["hash"] not in receipts:  # nothing was asked for: the header itself says there is nothing
        facts = verify.examine(source.chain, header, None, gaps=source.gaps, absent=True)
        height = number(header["number"])
        if not facts.header_ok and source.recorded is None and not source.chain.waived("header_hash", height):
            raise Suspicious(f"block {height}: expected keccak(header) {header['hash']}, found another", "header_hash")
        return facts
    return verify.examine(source.chain, header, receipts[header["hash"]], gaps=source.gaps)


def _anchored(pages: Sequence[LogPage], hashes: dict[int, str]) -> None:
    for page in pages:
        for anchor in page.anchors:
            if hashes[anchor.number] != anchor.hash:
                raise Moved(
                    f"logs up to block {anchor.number} came from fork {anchor.hash}, not {hashes[anchor.number]}"
                )


def _wanted(logs: list[WireLog], receipts: Sequence[Receipt], wanted: LogFilter) -> list[WireLog]:
    if wanted.everything:
        return logs
    plain = [log for receipt in receipts for log in receipt["logs"]]
    return [wire for wire, log in zip(logs, plain, strict=True) if wanted.takes(log["address"], log["topics"])]


def _counted(source: Source, rows: pa.Table) -> pa.Table:
    """Log indices unique within a block. A chain that is known to count per transaction, or a recording, is renumbered.

    Raises:
        Suspicious: any other chain gave a log twice.
    """
    twice = columns.doubled(rows)
    unknown = [n for n in twice if not source.chain.waived("log_index", n)]
    if unknown and source.recorded is None:
        raise Suspicious(f"block {unknown[0]} has a log index twice; the endpoint doubled a log", "log_index")
    return columns.renumbered(rows, twice) if twice else rows


def _same(chain: Chain, rows: pa.Table, witnesses: pa.Table) -> None:
    """``eth_getLogs`` gave exactly the logs that the proven receipts hold.

    On chains whose receipts leave some logs out (Polygon's state sync), those may stand in ``rows`` alone.
    """
    order = [("block_number", "ascending"), ("log_index", "ascending")]
    fetched, proven = rows.sort_by(order), witnesses.sort_by(order)
    if chain.receipts != "all":
        keys = ["block_hash", "log_index"]
        frame, known = pl.from_arrow(fetched), pl.from_arrow(proven)
        if isinstance(frame, pl.DataFrame) and isinstance(known, pl.DataFrame):
            fetched = frame.join(known.select(keys), on=keys, how="semi").to_arrow().cast(proven.schema)
    if not fetched.equals(proven):
        raise Suspicious(
            f"chain {chain.name}: eth_getLogs gave {fetched.num_rows} logs, the receipts of the same blocks hold "
            f"{proven.num_rows} or others; the endpoint dropped, doubled or changed a log",
            "logs_equal_receipts",
        )
