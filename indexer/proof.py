"""What a block's own header proves: keccak, RLP, trie roots, header hash and bloom, as pure functions.

Blocks, receipts and logs come as JSON-RPC gives them (mappings of hex text). The same code checks real chains, the
embedded chain and recordings. Rules: EIP-2718, the yellow paper's appendices B and D, OP's deposit specification.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from Crypto.Hash import keccak as _pycryptodome

try:  # three to nine times faster on short inputs, but wheels exist for one platform only: never a dependency
    from sha3 import keccak_256 as _sha3
except ImportError:
    _sha3 = None

Json = Mapping[str, Any]
Rlp = bytes | Sequence["Rlp"]
Log = Json
Receipt = Json
Header = Json

EMPTY_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
EMPTY_UNCLES = bytes.fromhex("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347")
EMPTY_BLOOM = bytes(256)
DEPOSIT = 0x7E

_HEADER = (
    ("parentHash", False), ("sha3Uncles", False), ("miner", False), ("stateRoot", False), ("transactionsRoot", False),
    ("receiptsRoot", False), ("logsBloom", False), ("difficulty", True), ("number", True), ("gasLimit", True),
    ("gasUsed", True), ("timestamp", True), ("extraData", False), ("mixHash", False), ("nonce", False),
)  # fmt: skip
# In the order forks added them; the last two are reserved and have not been seen on a real chain yet.
_HEADER_TAIL = (
    ("baseFeePerGas", True), ("withdrawalsRoot", False), ("blobGasUsed", True), ("excessBlobGas", True),
    ("parentBeaconBlockRoot", False), ("requestsHash", False), ("blockAccessListHash", False), ("slotNumber", True),
)  # fmt: skip


def keccak(data: bytes) -> bytes:
    if _sha3 is not None:
        digest: bytes = _sha3(data).digest()
        return digest
    return _pycryptodome.new(digest_bits=256, data=data).digest()


# -- RLP -------------------------------------------------------------------------------------------------------------


def rlp(item: Rlp) -> bytes:
    """Encode bytes, or a list of such, to any depth."""
    if isinstance(item, (bytes, bytearray)):
        if len(item) == 1 and item[0] < 0x80:
            return bytes(item)
        return _prefix(len(item), 0x80) + item
    body = b"".join([rlp(part) for part in item])
    return _prefix(len(body), 0xC0) + body


def integer(value: int) -> bytes:
    """The minimal big-endian form that RLP wants; zero is the empty string."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def unrlp(data: bytes) -> Any:
    """Decode one item; raises ValueError on bytes left over or missing."""
    item, end = _decode(data, 0)
    if end != len(data):
        raise ValueError(f"RLP item of {end} bytes is followed by {len(data) - end} more")
    return item


# -- headers ---------------------------------------------------------------------------------------------------------


def header_rlp(header: Header) -> bytes | None:
    """The bytes whose keccak is the block hash; None where the header's shape is not Ethereum's.

    Not supported means: a mandatory field is missing or no hex, or the tail of later fields has a hole. That is an
    outcome to record (the proof level falls), not an error. Any other key is ignored.
    """
    try:
        return _header_rlp(header)
    except ValueError:
        return None


def header_hash(header: Header) -> bytes | None:
    encoded = header_rlp(header)
    return None if encoded is None else keccak(encoded)


def read_header(encoded: bytes) -> dict[str, bytes | int]:
    """The fields of a stored ``header_rlp`` by their JSON-RPC names, so that an audit needs no network."""
    items = unrlp(encoded)
    fields = (_HEADER + _HEADER_TAIL)[: len(items)]
    return {
        name: int.from_bytes(item, "big") if is_integer else item
        for (name, is_integer), item in zip(fields, items, strict=True)
    }


# -- tries -----------------------------------------------------------------------------------------------------------


def trie_root(values: Sequence[bytes]) -> bytes:
    """Root of the Merkle Patricia trie that holds value i under the key rlp(i)."""
    if not values:
        return EMPTY_ROOT
    items = [(nibbles, values[i]) for nibbles, i in _index_keys(len(values))]
    return keccak(_node(items, 0))


def receipts_root(receipts: Iterable[Receipt]) -> bytes:
    ordered = sorted(receipts, key=lambda receipt: int(receipt["transactionIndex"], 16))
    return trie_root([encode_receipt(receipt) for receipt in ordered])


def encode_receipt(receipt: Receipt) -> bytes:
    """The receipt as the receipts trie holds it. A missing bloom is recomputed; types are compared as numbers."""
    kind = int(receipt.get("type") or "0x0", 16)
    status = receipt.get("status")
    # Before Byzantium: the state root after the transaction.
    head = "a0" + receipt["root"][2:] if status is None else "01" if int(status, 16) else "80"
    bloom = receipt.get("logsBloom")
    bloom_hex = bloom[2:] if bloom else logs_bloom(receipt["logs"]).hex()
    logs = "".join([_log_hex(log) for log in receipt["logs"]])
    body = f"{head}{_integer_hex(receipt['cumulativeGasUsed'])}b90100{bloom_hex}{_list_prefix(len(logs) // 2)}{logs}"
    if kind == DEPOSIT and receipt.get("depositReceiptVersion") is not None:
        # Between Regolith and Canyon the nonce is in the JSON but not in the root.
        body += _integer_hex(receipt["depositNonce"]) + _integer_hex(receipt["depositReceiptVersion"])
    return bytes.fromhex(f"{kind:02x}" * (kind > 0) + _list_prefix(len(body) // 2) + body)


def transactions_root(transactions: Sequence[Json]) -> bytes | None:
    """Root of the transactions trie; None where an item is null, a hash only, or of a shape we do not encode."""
    encoded = [encode_transaction(transaction) for transaction in transactions]
    return None if None in encoded else trie_root([item for item in encoded if item is not None])


def encode_transaction(transaction: Any) -> bytes | None:
    """A signed transaction of the types 0x0, 0x1 and 0x2 as the trie holds it."""
    if not isinstance(transaction, Mapping):
        return None
    kind = int(transaction.get("type") or "0x0", 16)
    names = _TRANSACTION.get(kind)
    if names is None:
        return None
    body: list[Rlp] = []
    for name, is_integer in names:
        value = transaction.get(name)
        if name == "accessList":
            body.append([[_bytes(e["address"]), [_bytes(k) for k in e["storageKeys"]]] for e in value or ()])
        elif value is not None:
            body.append(_field(value, is_integer))
        elif name == "to":  # a creation
            body.append(b"")
        else:
            return None
    return (bytes([kind]) if kind else b"") + rlp(body)


def withdrawals_root(withdrawals: Sequence[Json]) -> bytes | None:
    """Root of the withdrawals trie (EIP-4895); None where an item is null."""
    if any(withdrawal is None for withdrawal in withdrawals):
        return None
    fields = (("index", True), ("validatorIndex", True), ("address", False), ("amount", True))
    return trie_root([rlp([_field(item[name], is_integer) for name, is_integer in fields]) for item in withdrawals])


# -- blooms ----------------------------------------------------------------------------------------------------------


def bloom(*items: str) -> bytes:
    """The 256-byte filter of addresses and topics given as hex text."""
    bits = 0
    for item in items:
        bits |= _mask(item.lower())
    return bits.to_bytes(256, "big")


def logs_bloom(logs: Iterable[Log]) -> bytes:
    bits = 0
    for log in logs:
        bits |= _mask(log["address"].lower())
        for topic in log["topics"]:
            bits |= _mask(topic)
    return bits.to_bytes(256, "big")


def union(blooms: Iterable[bytes]) -> bytes:
    bits = 0
    for one in blooms:
        bits |= int.from_bytes(one, "big")
    return bits.to_bytes(256, "big")


def may_hold(header_bloom: bytes, *items: str) -> bool:
    """False proves that no log of the block has all these addresses and topics; True proves nothing."""
    bits = int.from_bytes(header_bloom, "big")
    return all(bits & mask == mask for mask in map(_mask, (item.lower() for item in items)))


def is_subset(part: bytes, whole: bytes) -> bool:
    bits = int.from_bytes(part, "big")
    return bits & int.from_bytes(whole, "big") == bits


_LEGACY = (("nonce", True), ("gasPrice", True), ("gas", True), ("to", False), ("value", True), ("input", False))
_SIGNATURE = (("v", True), ("r", True), ("s", True))
_TRANSACTION = {
    0: _LEGACY + _SIGNATURE,
    1: (("chainId", True), *_LEGACY, ("accessList", False), *_SIGNATURE),
    2: (
        ("chainId", True), ("nonce", True), ("maxPriorityFeePerGas", True), ("maxFeePerGas", True), ("gas", True),
        ("to", False), ("value", True), ("input", False), ("accessList", False), *_SIGNATURE,
    ),
}  # fmt: skip
_TOPICS_PREFIX = ("c0", "e1", "f842", "f863", "f884")


def _header_rlp(header: Header) -> bytes | None:
    items: list[Rlp] = []
    for name, is_integer in _HEADER:
        value = header.get(name)
        if value is None:
            return None
        items.append(_field(value, is_integer))
    ended = False
    for name, is_integer in _HEADER_TAIL:
        value = header.get(name)
        if value is None:
            ended = True
        elif ended:
            return None
        else:
            items.append(_field(value, is_integer))
    return rlp(items)


def _field(value: str, is_integer: bool) -> bytes:
    return integer(int(value, 16)) if is_integer else _bytes(value)


def _bytes(value: str) -> bytes:
    return bytes.fromhex(value[2:])


def _prefix(length: int, short: int) -> bytes:
    if length < 56:
        return bytes([short + length])
    size = integer(length)
    return bytes([short + 55 + len(size)]) + size


def _decode(data: bytes, at: int) -> tuple[Any, int]:
    if at >= len(data):
        raise ValueError(f"RLP ends at byte {len(data)}, an item should start at {at}")
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    short = 0x80 if first < 0xC0 else 0xC0
    start, length = at + 1, first - short
    if length > 55:
        start += length - 55
        length = int.from_bytes(data[at + 1 : start], "big")
    end = start + length
    if end > len(data):
        raise ValueError(f"RLP item at byte {at} says {length} bytes, only {len(data) - start} are there")
    if short == 0x80:
        return data[start:end], end
    items = []
    while start < end:
        item, start = _decode(data, start)
        items.append(item)
    if start != end:
        raise ValueError(f"RLP list at byte {at} ends inside an item")
    return items, end


# Receipts are put together as hex text and turned into bytes once: that is what makes pure Python fast enough.


@lru_cache(maxsize=1 << 14)
def _list_prefix(length: int) -> str:
    return _prefix(length, 0xC0).hex()


@lru_cache(maxsize=1 << 12)
def _text_prefix(length: int) -> str:
    return _prefix(length, 0x80).hex()


@lru_cache(maxsize=1 << 14)
def _integer_hex(value: str) -> str:
    return rlp(integer(int(value, 16))).hex()


def _log_hex(log: Log) -> str:
    topics = log["topics"]
    data = log["data"][2:]
    size = len(data) // 2
    head = "" if size == 1 and data < "80" else _text_prefix(size)
    topics_hex = "".join(["a0" + topic[2:] for topic in topics])
    body = f"94{log['address'][2:]}{_TOPICS_PREFIX[len(topics)]}{topics_hex}{head}{data}"
    return _list_prefix(len(body) // 2) + body


@lru_cache(maxsize=1 << 16)
def _mask(item: str) -> int:
    digest = keccak(bytes.fromhex(item[2:]))
    bits = 0
    for i in (0, 2, 4):
        bits |= 1 << ((digest[i] << 8 | digest[i + 1]) & 2047)
    return bits


@lru_cache(maxsize=256)
def _index_keys(count: int) -> list[tuple[str, int]]:
    return sorted((rlp(integer(i)).hex(), i) for i in range(count))


def _node(items: list[tuple[str, bytes]], depth: int) -> bytes:
    """RLP of the node that holds these items, which are sorted by nibbles and agree in their first ``depth``."""
    first = items[0][0]
    if len(items) == 1:
        return rlp((_path(first[depth:], 2), items[0][1]))
    last = items[-1][0]
    end = depth
    while end < len(first) and first[end] == last[end]:  # sorted: what first and last share, all share
        end += 1
    if end > depth:
        branch = _node(items, end)
        reference = branch if len(branch) < 32 else b"\xa0" + keccak(branch)
        path = rlp(_path(first[depth:end], 0))
        return _prefix(len(path) + len(reference), 0xC0) + path + reference
    children = [b"\x80"] * 17
    if len(first) == depth:
        children[16] = rlp(items[0][1])
        items = items[1:]
    start = 0
    while start < len(items):
        nibble = items[start][0][depth]
        stop = start + 1
        while stop < len(items) and items[stop][0][depth] == nibble:
            stop += 1
        child = _node(items[start:stop], depth + 1)
        # A node below 32 bytes is embedded, not hashed.
        children[int(nibble, 16)] = child if len(child) < 32 else b"\xa0" + keccak(child)
        start = stop
    body = b"".join(children)
    return _prefix(len(body), 0xC0) + body


def _path(nibbles: str, flag: int) -> bytes:
    """Hex-prefix encoding: flag 2 for a leaf, 0 for an extension."""
    if len(nibbles) % 2:
        return bytes.fromhex(f"{flag + 1}{nibbles}")
    return bytes.fromhex(f"{flag}0{nibbles}")
