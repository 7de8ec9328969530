"""From logs as the node wrote them to Arrow columns, without a Python value for every field.

Fields of one kind are joined and cut by stride. A stride proves nothing about content, so the fixed characters are
compared with a template first; a log that differs anywhere is rewritten in the canonical form, and the cut repeated.
"""

import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import starmap
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from guelta.errors import Inexact
from guelta.lake.schema import Day, Int32, Int64, Timestamp
from guelta.money import DECIMAL_LIMIT, to_raw
from indexer import tables
from indexer.rpc.pool import Suspicious
from indexer.rpc.wire import Header, Raw, Receipt, WireLog, number, unhex

Bytes = npt.NDArray[np.uint8]
_TOPIC = 69  # '"0x' + 64 digits + '"' and one comma


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a row takes from its block."""

    number: int
    hash: str
    seconds: int


def stamp(header: Header) -> Stamp:
    return Stamp(number(header["number"]), header["hash"].lower(), number(header["timestamp"]))


def log_rows(chain_id: int, logs: Sequence[WireLog], blocks: Mapping[str, Stamp]) -> pa.Table:
    """Rows of ``raw.logs``, in the order given.

    Raises:
        Suspicious: a log of a block we do not follow, a log marked removed, or a field that is no hex.
    """
    for log in logs:
        if log.removed:
            raise Suspicious(f"a log of block {log.blockNumber} is marked removed; the endpoint is in a reorg")
    try:
        hashes = _fixed([log.blockHash for log in logs], 32)
    except _Uneven:
        logs = list(map(_canonical, logs))
        hashes = _fixed([log.blockHash for log in logs], 32)
    try:
        return _cut(chain_id, logs, hashes, blocks)
    except _Uneven:
        logs = list(map(_canonical, logs))
        return _cut(chain_id, logs, hashes, blocks)


def logs_of(receipts: Sequence[Receipt]) -> list[WireLog]:
    """The logs of receipts in the shape of ``eth_getLogs``."""
    return [
        WireLog(
            _quoted(log["address"]),
            Raw(json.dumps(log["topics"], separators=(",", ":")).encode()),
            _quoted(log["data"]),
            _quoted(receipt["blockHash"]),
            _quoted(receipt["transactionHash"]),
            receipt["blockNumber"],
            log["logIndex"],
            log.get("transactionIndex") or receipt["transactionIndex"],  # Cronos 131465 gives two different ones
        )
        for receipt in receipts
        for log in receipt["logs"]
    ]


def doubled(rows: pa.Table) -> list[int]:
    """Blocks in which a log index stands more than once: a doubled log, or a node that counts per transaction."""
    frame = pl.DataFrame(rows.select(["block_number", "block_hash", "log_index"]))
    twice = frame.filter(frame.select(["block_hash", "log_index"]).is_duplicated())
    return sorted(twice["block_number"].unique().to_list())


def renumbered(rows: pa.Table, blocks: Sequence[int]) -> pa.Table:
    """Logs of ``blocks`` counted through the block, in the order of transactions, as every other chain does."""
    order = pl.int_range(pl.len()).over("block_hash").cast(pl.Int32)
    frame = pl.DataFrame(rows).sort(["block_number", "tx_index", "log_index"], maintain_order=True)
    index = pl.when(pl.col("block_number").is_in(blocks)).then(order).otherwise(pl.col("log_index"))
    return frame.with_columns(log_index=index).to_arrow().cast(rows.schema)


def transaction_rows(chain_id: int, receipts: Sequence[Receipt], blocks: Mapping[str, Stamp]) -> pa.Table:
    """Rows of ``raw.transactions``: what a receipt says. The value sent stands in the transaction only: null."""
    stamps = [blocks[receipt["blockHash"].lower()] for receipt in receipts]
    prices = [_optional(receipt.get("effectiveGasPrice")) for receipt in receipts]
    status = [_optional(receipt.get("status")) for receipt in receipts]
    return _table(
        tables.TRANSACTIONS.schema,
        _coordinates(chain_id, stamps)
        | {
            "tx_hash": pa.array([unhex(receipt["transactionHash"]) for receipt in receipts], pa.binary()),
            "tx_index": pa.array([number(receipt["transactionIndex"]) for receipt in receipts], Int32),
            "from_address": pa.array([unhex(receipt["from"]) for receipt in receipts], pa.binary()),
            "to_address": pa.array([unhex(r["to"]) if r.get("to") else None for r in receipts], pa.binary()),
            "value": pa.nulls(len(receipts), pa.decimal128(38, 0)),
            "value_raw": pa.nulls(len(receipts), pa.binary()),
            "status": pa.array(status, Int32),
            "gas_used": pa.array([_optional(receipt.get("gasUsed")) for receipt in receipts], Int64),
            "effective_gas_price": pa.array(list(map(_decimal, prices)), pa.decimal128(38, 0)),
            "effective_gas_price_raw": pa.array([None if p is None else to_raw(p) for p in prices], pa.binary()),
        },
    )


def block_rows(chain_id: int, headers: Sequence[Header], facts: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of ``raw.blocks``; ``facts`` are the columns that verification adds (proof level, counts, header_rlp)."""
    stamps = list(map(stamp, headers))
    plain = {
        "parent_hash": pa.array([unhex(header["parentHash"]) for header in headers], pa.binary()),
        "logs_bloom": pa.array([unhex(header["logsBloom"]) for header in headers], pa.binary()),
        "receipts_root": pa.array([unhex(header["receiptsRoot"]) for header in headers], pa.binary()),
        "tx_count": pa.array([len(header.get("transactions", ())) for header in headers], Int32),
    }
    schema = tables.BLOCKS.schema
    derived = {name: pa.array([fact[name] for fact in facts], schema.field(name).type) for name in facts[0]}
    return _table(schema, _coordinates(chain_id, stamps) | plain | derived)


def digest_of(rows: pa.Table) -> str:
    """sha256 over canonical log rows in (block_number, log_index) order: the same on every machine and cut."""
    import hashlib

    ordered = rows.sort_by([("block_number", "ascending"), ("log_index", "ascending")])
    names = ("chain_id", "block_hash", "log_index", "address", "topic0", "topic1", "topic2", "topic3", "data")
    columns = [ordered[name].to_pylist() for name in names]
    return hashlib.sha256(b"".join(starmap(_canonical_row, zip(*columns, strict=True)))).hexdigest()


class _Uneven(Exception):
    """Joined fields that do not have the template's fixed characters in place."""


def _cut(chain_id: int, logs: Sequence[WireLog], hashes: Bytes, blocks: Mapping[str, Stamp]) -> pa.Table:
    stamps = _stamps(logs, hashes, blocks)
    columns = _coordinates(chain_id, stamps) | {
        "tx_hash": _binary(_fixed([log.transactionHash for log in logs], 32)),
        "tx_index": pa.array([_small(log.transactionIndex) for log in logs], Int32),
        "log_index": pa.array([_small(log.logIndex) for log in logs], Int32),
        "address": _binary(_fixed([log.address for log in logs], 20)),
        **_topics([log.topics for log in logs]),
        "data": _data([log.data for log in logs]),
    }
    return _table(tables.LOGS.schema, columns)


def _stamps(logs: Sequence[WireLog], hashes: Bytes, blocks: Mapping[str, Stamp]) -> list[Stamp]:
    body = hashes.tobytes()
    stamps = []
    for i, log in enumerate(logs):
        block = blocks.get("0x" + body[i * 32 : i * 32 + 32].hex())
        if block is None or block.number != _small(log.blockNumber):
            raise Suspicious(
                f"a log of block {_small(log.blockNumber)} names block hash 0x{body[i * 32 : i * 32 + 32].hex()}, "
                "which is not in the chain of headers just read; the endpoint mixes forks"
            )
        stamps.append(block)
    return stamps


def _coordinates(chain_id: int, stamps: Sequence[Stamp]) -> dict[str, pa.Array]:
    seconds = np.array([block.seconds for block in stamps], dtype=np.int64)
    time = pa.array(seconds * 1_000_000, pa.int64()).cast(Timestamp)
    return {
        "chain_id": pa.array(np.full(len(stamps), chain_id, dtype=np.int64), Int64),
        "block_number": pa.array([block.number for block in stamps], Int64),
        "block_hash": pa.array([_hash_bytes(block.hash) for block in stamps], pa.binary()),
        "block_time": time,
        "day": time.cast(Day),
    }


def _topics(fields: Sequence[Raw]) -> dict[str, pa.Array]:
    """Lists of 0 to 4 topics, cut per count: a list of k topics is 1 + 69 k characters long."""
    lengths = np.fromiter(map(len, fields), dtype=np.int64, count=len(fields))
    counts = (lengths - 1) // _TOPIC
    if ((lengths != 1 + _TOPIC * counts) & (lengths != 2)).any() or (counts > 4).any():
        raise _Uneven
    words = np.zeros((4, len(fields), 32), dtype=np.uint8)
    for count in range(1, 5):
        at = np.flatnonzero(counts == count)
        if len(at) == 0:
            continue
        cells = _cells([fields[i] for i in at.tolist()], 1 + _TOPIC * count, _topics_template(count))
        for k in range(count):
            start = 4 + _TOPIC * k
            words[k, at] = _unhexed(cells[:, start : start + 64])
    return {f"topic{k}": _binary(words[k], valid=counts > k) for k in range(4)}


def _data(fields: Sequence[Raw]) -> pa.Array:
    """Payloads of any length: the digits of all are joined and decoded once."""
    lengths = np.fromiter(map(len, fields), dtype=np.int64, count=len(fields))
    joined = np.frombuffer(b"".join(fields), dtype=np.uint8)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    if len(fields) and ((lengths < 4) | (lengths % 2 != 0)).any():
        raise _Uneven
    fixed = np.concatenate([starts, starts + 1, starts + 2, ends - 1])
    wanted = np.repeat(np.frombuffer(b'"0x"', dtype=np.uint8), len(fields))
    if (joined[fixed] != wanted).any():
        raise _Uneven
    keep = np.ones(len(joined), dtype=bool)
    keep[fixed] = False
    sizes = (lengths - 4) // 2
    offsets = np.zeros(len(fields) + 1, dtype=np.int32)
    np.cumsum(sizes, out=offsets[1:])
    return pa.Array.from_buffers(
        pa.binary(), len(fields), [None, pa.py_buffer(offsets), pa.py_buffer(_unhex(joined[keep].tobytes()))]
    )


def _fixed(fields: Sequence[Raw], width: int) -> Bytes:
    """Quoted hex of ``width`` bytes each, as an (n, width) matrix."""
    template = b'"0x' + b"." * (2 * width) + b'"'
    return _unhexed(_cells(fields, len(template), template)[:, 3:-1])


def _cells(fields: Sequence[Raw], size: int, template: bytes) -> Bytes:
    joined = b"".join(fields)
    if len(joined) != size * len(fields):
        raise _Uneven
    cells = np.frombuffer(joined, dtype=np.uint8).reshape(-1, size)
    pattern = np.frombuffer(template, dtype=np.uint8)
    fixed = np.flatnonzero(pattern != ord("."))
    if (cells[:, fixed] != pattern[fixed]).any():
        raise _Uneven
    return cells


def _unhexed(digits: Bytes) -> Bytes:
    body = _unhex(np.ascontiguousarray(digits).tobytes())
    return np.frombuffer(body, dtype=np.uint8).reshape(len(digits), digits.shape[1] // 2)


def _unhex(digits: bytes) -> bytes:
    try:
        return binascii.unhexlify(digits)
    except binascii.Error as error:
        raise _Uneven from error


def _binary(matrix: Bytes, valid: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    n, width = matrix.shape
    if valid is not None and not valid.all():
        sizes = np.where(valid, width, 0)
        offsets = np.zeros(n + 1, dtype=np.int32)
        np.cumsum(sizes, out=offsets[1:])
        bitmap = np.packbits(valid, bitorder="little")
        body = np.ascontiguousarray(matrix[valid])
        buffers = [pa.py_buffer(bitmap), pa.py_buffer(offsets), pa.py_buffer(body)]
        return pa.Array.from_buffers(pa.binary(), n, buffers, null_count=int(n - valid.sum()))
    offsets = np.arange(0, (n + 1) * width, width, dtype=np.int32)
    return pa.Array.from_buffers(
        pa.binary(), n, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(matrix))]
    )


def _canonical(log: WireLog) -> WireLog:
    """The same log with lower-case hex, no white space and no escapes.

    Raises:
        Suspicious: a field is no hex text at all, or of the wrong length.
    """
    fields = {name: _hex_text(log, name) for name in ("address", "data", "blockHash", "transactionHash")}
    try:
        topics = [str(topic).lower() for topic in json.loads(bytes(log.topics))]
    except ValueError as error:
        raise _no_hex(log, "topics") from error
    sizes = {"address": 42, "blockHash": 66, "transactionHash": 66}
    short = next((name for name, size in sizes.items() if len(fields[name]) != size), None)
    if short or len(topics) > 4 or any(len(t) != 66 or not _is_hex(t) for t in topics) or len(fields["data"]) % 2:
        raise _no_hex(log, short or "topics or data")
    return WireLog(
        _quoted(fields["address"]),
        Raw(json.dumps(topics, separators=(",", ":")).encode()),
        _quoted(fields["data"]),
        _quoted(fields["blockHash"]),
        _quoted(fields["transactionHash"]),
        log.blockNumber,
        log.logIndex,
        log.transactionIndex,
    )


def _hex_text(log: WireLog, name: str) -> str:
    try:
        text = json.loads(bytes(getattr(log, name)))
    except ValueError as error:
        raise _no_hex(log, name) from error
    if not isinstance(text, str) or not _is_hex(text.lower()):
        raise _no_hex(log, name)
    return text.lower()


def _is_hex(text: str) -> bool:
    return text.startswith("0x") and all(c in "0123456789abcdef" for c in text[2:])


def _no_hex(log: WireLog, name: str) -> Suspicious:
    return Suspicious(f"log {log.logIndex} of block {log.blockNumber}: {name} is no hex text of the right length")


def _quoted(text: str) -> Raw:
    return Raw(f'"{text.lower()}"'.encode())


def _canonical_row(chain: int, block: bytes, index: int, address: bytes, *rest: bytes | None) -> bytes:
    *topics, data = rest
    words = b"".join(b"\x00" * 33 if topic is None else b"\x01" + topic for topic in topics)
    payload = data or b""
    return b"".join(
        (
            chain.to_bytes(8, "big"),
            block,
            index.to_bytes(4, "big"),
            address,
            words,
            len(payload).to_bytes(4, "big"),
            payload,
        )
    )


def _optional(text: str | None) -> int | None:
    return None if text is None else number(text)


def _decimal(value: int | None) -> int | None:
    return value if value is not None and value < DECIMAL_LIMIT else None


@cache
def _topics_template(count: int) -> bytes:
    return b"[" + b",".join([b'"0x' + b"." * 64 + b'"'] * count) + b"]"


@lru_cache(maxsize=1 << 16)
def _small(text: str) -> int:
    """Log, transaction and block numbers repeat in a batch."""
    value = int(text, 16)
    if value < 0:
        raise Inexact(f"expected a quantity, found {text!r}")
    return value


@lru_cache(maxsize=1 << 14)
def _hash_bytes(text: str) -> bytes:
    return unhex(text)


def _table(schema: pa.Schema, columns: dict[str, pa.Array]) -> pa.Table:
    """Without ``month``: the lake derives it."""
    kept = pa.schema([field for field in schema if field.name != "month"])
    return pa.table([columns[field.name] for field in kept], schema=kept)
