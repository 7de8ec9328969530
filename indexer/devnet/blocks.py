"""A block as the embedded chain and a recording hold it, ready to be served."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec

Json = dict[str, Any]


class Log(NamedTuple):
    """What a filter looks at, beside the bytes that are served."""

    address: str
    topics: tuple[str, ...]
    json: bytes


@dataclass(frozen=True, slots=True)
class Block:
    number: int
    hash: str
    parent_hash: str
    timestamp: int
    body: Json
    """The JSON-RPC block without its transactions."""
    transactions: Sequence[Json | str]
    receipts: Sequence[Json] | None
    """None where a recording holds none: not the same as empty."""
    logs: tuple[Log, ...]
    joined: bytes
    """The logs' JSON with commas between: an unfiltered eth_getLogs copies it."""

    @property
    def transaction_hashes(self) -> list[str]:
        return [item if isinstance(item, str) else item["hash"] for item in self.transactions]


class Source(Protocol):
    """What can be served: the embedded chain, or a recording."""

    chain_id: int
    version: str
    lock: threading.RLock
    recorded: Sequence[int] | None
    listeners: list[Callable[[str, Sequence[Block]], None]]

    @property
    def head(self) -> Block: ...
    @property
    def safe(self) -> Block: ...
    @property
    def finalized(self) -> Block: ...
    def block(self, number: int) -> Block | None: ...
    def by_hash(self, block_hash: str) -> Block | None: ...
    def blocks(self, first: int, last: int) -> Iterable[Block]: ...
    def transaction(self, tx_hash: str) -> tuple[Block, int] | None: ...
    def pushed(self, block: Block) -> Json: ...


def from_json(block: Json, receipts: Sequence[Json] | None) -> Block:
    """A block of a recording; nothing is changed on the way."""
    logs = tuple(
        Log(log["address"].lower(), tuple(topic.lower() for topic in log["topics"]), msgspec.json.encode(log))
        for receipt in receipts or ()
        for log in receipt["logs"]
    )
    return Block(
        number=int(block["number"], 16),
        hash=block["hash"].lower(),
        parent_hash=block["parentHash"].lower(),
        timestamp=int(block["timestamp"], 16),
        body={key: value for key, value in block.items() if key != "transactions"},
        transactions=block["transactions"],
        receipts=receipts,
        logs=logs,
        joined=b",".join([log.json for log in logs]),
    )


def log_json(log: Json) -> bytes:
    """The same bytes as a JSON encoder would give, several times faster: seal() makes one for every log."""
    topics = ",".join([f'"{topic}"' for topic in log["topics"]])
    return (
        f'{{"address":"{log["address"]}","topics":[{topics}],"data":"{log["data"]}",'
        f'"blockNumber":"{log["blockNumber"]}","blockHash":"{log["blockHash"]}",'
        f'"transactionHash":"{log["transactionHash"]}","transactionIndex":"{log["transactionIndex"]}",'
        f'"logIndex":"{log["logIndex"]}","blockTimestamp":"{log["blockTimestamp"]}","removed":false}}'
    ).encode()


def matching(
    logs: Iterable[Log], addresses: frozenset[str] | None, topics: Sequence[frozenset[str] | None]
) -> list[bytes]:
    """The JSON of the logs that pass a filter, in order."""
    allowed_at = [(i, allowed) for i, allowed in enumerate(topics) if allowed is not None]
    least = len(topics)  # a null topic matches anything, but something has to be there
    return [
        log.json
        for log in logs
        if (addresses is None or log.address in addresses)
        and len(log.topics) >= least
        and all(log.topics[i] in allowed for i, allowed in allowed_at)
    ]
