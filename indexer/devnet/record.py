"""Blocks on file: real ones served as they were recorded, and our own chain's, which prove themselves at load.

A file is JSON lines, plain or gzip, one block a line: ``{chain, chain_id, number, block, receipts, …}`` with ``block``
the answer of eth_getBlockByNumber(n, true) and ``receipts`` the list of its receipts, or null. A recording that
``write`` made opens with a line ``{"recording": {…}}`` and must verify whole, or it is refused: the digest of its text,
then hashes, roots, links and the head.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain as joined
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from guelta.errors import BadRecording, BadSetting
from indexer import proof
from indexer.devnet import archive
from indexer.devnet.blocks import Block, Json, Source, from_json


class Recording:
    """A read-only chain of the blocks that were recorded; between them there may be gaps. Every block is final."""

    version = "guelta-recorded/1.0"

    def __init__(self, chain_id: int, name: str, blocks: Iterable[Block]) -> None:
        self.chain_id = chain_id
        self.name = name
        self.lock = threading.RLock()
        self.listeners: list[Callable[[str, Sequence[Block]], None]] = []
        self._blocks = {block.number: block for block in sorted(blocks, key=lambda block: block.number)}
        self.recorded: Sequence[int] | None = list(self._blocks)
        self._numbers = list(self._blocks)
        self._by_hash = {block.hash: block for block in self._blocks.values()}
        self._where = {
            tx_hash.lower(): (block, i)
            for block in self._blocks.values()
            for i, tx_hash in enumerate(block.transaction_hashes)
        }

    @property
    def head(self) -> Block:
        return self._blocks[self._numbers[-1]]

    @property
    def safe(self) -> Block:
        return self.head

    @property
    def finalized(self) -> Block:
        return self.head

    def block(self, number: int) -> Block | None:
        return self._blocks.get(number)

    def blocks(self, first: int, last: int) -> Iterable[Block]:
        within = self._numbers[bisect_left(self._numbers, first) : bisect_right(self._numbers, last)]
        return [self._blocks[number] for number in within]

    def by_hash(self, block_hash: str) -> Block | None:
        return self._by_hash.get(block_hash.lower())

    def transaction(self, tx_hash: str) -> tuple[Block, int] | None:
        return self._where.get(tx_hash.lower())

    def pushed(self, block: Block) -> Json:
        return block.body


def load(*paths: str | Path) -> dict[int, Recording]:
    """One recording per chain id over all files. Raises BadRecording where a file is broken or does not verify."""
    found: dict[int, tuple[str, dict[int, Block]]] = {}
    for path in map(Path, paths):
        text = archive.text(path)
        lines = _lines(path, text)
        first = next(lines, None)
        if first is None:
            raise BadRecording(f"{path} holds no blocks; expected JSON lines, one block each")
        manifest = first[1].get("recording")
        if manifest is not None and not isinstance(manifest, dict):
            raise BadRecording(f"{first[0]}: expected an object under recording, found {manifest!r}")
        own: list[Block] = []
        for at, record in lines if manifest is not None else joined([first], lines):
            chain_id, name, block = _read(at, record)
            own.append(block)
            blocks = found.setdefault(chain_id, (name, {}))[1]
            before = blocks.setdefault(block.number, block)
            if before.hash != block.hash:
                raise BadRecording(
                    f"{at}: block {block.number} of chain {chain_id} is {block.hash}, before {before.hash}"
                )
            if manifest is not None and chain_id != manifest.get("chain_id"):
                raise BadRecording(f"{at}: chain {chain_id} in a recording of chain {manifest.get('chain_id')}")
        if manifest is not None:
            # Roots leave out what no header commits to (a log's index, a receipt's sender): the digest covers the text.
            edited = archive.changed(manifest, text.partition(b"\n")[2])
            problem = "its text was changed" if edited else _problem(manifest, own)
            if problem:
                raise BadRecording(f"{path} does not verify: {problem}; make it again or get an undamaged copy")
    for chain_id, (_, blocks) in found.items():
        _check_links(chain_id, blocks)
    return {chain_id: Recording(chain_id, name, blocks.values()) for chain_id, (name, blocks) in found.items()}


def write(
    chain: Source, path: str | Path, *, made_by: Mapping[str, str | int], first: int = 0, last: int | None = None
) -> str:
    """Record a chain's blocks, so that they verify themselves when loaded; answers the head hash.

    Args:
        chain: a devnet whose headers verify (flavours ethereum, op and zk).
        path: ends in .gz for gzip; the same blocks give the same bytes.
        made_by: who made it, kept in the first line: seed, commit, program.
        first: first block to record.
        last: last block to record; the head where left out.
    """
    blocks = list(chain.blocks(first, chain.head.number if last is None else last))
    if not blocks:
        raise BadSetting(f"no blocks from {first} to {last}: the head is {chain.head.number}")
    head = blocks[-1]
    manifest = {
        "chain_id": chain.chain_id,
        "first": first,
        "blocks": len(blocks),
        "head": head.hash,
        "made_by": {**made_by},
    }
    problem = _problem(manifest, blocks)
    if problem:
        raise BadSetting(f"only blocks that verify can be recorded: {problem}")
    archive.write(Path(path), manifest, b"".join([_line(chain, block) for block in blocks]))
    return head.hash


def _line(chain: Source, block: Block) -> bytes:
    body = block.body | {"transactions": block.transactions}
    record = {"chain": "devnet", "chain_id": chain.chain_id, "number": block.number, "block": body}
    return msgspec.json.encode(record | {"receipts": block.receipts}) + b"\n"


def _lines(path: Path, text: bytes) -> Iterator[tuple[str, Json]]:
    for number, line in enumerate(text.splitlines(), 1):
        at = f"{path} line {number}"
        try:
            record = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRecording(f"{at}: not JSON: {error}") from None
        if not isinstance(record, dict):
            raise BadRecording(f"{at}: expected an object, found {type(record).__name__}")
        yield at, record


def _read(at: str, record: Json) -> tuple[int, str, Block]:
    try:
        block = from_json(record["block"], record["receipts"])
        return int(record["chain_id"]), str(record["chain"]), block
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadRecording(
            f"{at}: expected chain, chain_id, block and receipts as eth_getBlockByNumber and eth_getBlockReceipts "
            f"answer them: {type(error).__name__} {error}"
        ) from None


def _check_links(chain_id: int, blocks: Mapping[int, Block]) -> None:
    for number, block in blocks.items():
        parent = blocks.get(number - 1)
        if parent is not None and block.parent_hash != parent.hash:
            raise BadRecording(
                f"chain {chain_id}: block {number} names the parent {block.parent_hash}, "
                f"but block {number - 1} is {parent.hash}; record both again"
            )


def _problem(manifest: Json, blocks: Sequence[Block]) -> str | None:
    """The first thing that does not hold, in words."""
    if len(blocks) != manifest.get("blocks") or not blocks:
        return f"{len(blocks)} blocks where the first line says {manifest.get('blocks')}"
    for expected, block in enumerate(blocks, manifest.get("first", 0)):
        if block.number != expected:
            return f"block {block.number} stands where block {expected} should"
        failed = [name for name, found, wanted in _facts(block) if found != wanted]
        if failed:
            return f"block {block.number}: {', '.join(failed)}"
    for parent, block in pairwise(blocks):
        if block.parent_hash != parent.hash:
            return f"block {block.number} does not link to block {parent.number}"
    if blocks[-1].hash != manifest.get("head"):
        return f"the head is {blocks[-1].hash}, the first line says {manifest.get('head')}"
    return None


def _facts(block: Block) -> Iterator[tuple[str, Any, str]]:
    body = block.body
    yield "header hash", _hex(proof.header_hash(body)), block.hash
    if block.receipts is None:
        yield "receipts missing", "null", "a list"
        return
    yield "receipts root", _hex(proof.receipts_root(block.receipts)), body["receiptsRoot"]
    bodies = [item for item in block.transactions if isinstance(item, dict) and item["type"] == "0x0"]
    if len(bodies) == len(block.transactions):  # a deposit's bytes are not encoded here
        yield "transactions root", _hex(proof.transactions_root(bodies)), body["transactionsRoot"]
    for receipt in block.receipts:
        for log in receipt["logs"]:
            if (log["blockHash"], log["blockNumber"]) != (block.hash, body["number"]):
                yield "a log of another block", log["blockHash"], block.hash


def _hex(root: bytes | None) -> str:
    return "" if root is None else "0x" + root.hex()
