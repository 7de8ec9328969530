"""What tells one kind of chain from another, for tests that must not take every chain for Ethereum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from indexer import proof
from indexer.devnet.blocks import Json
from indexer.devnet.transactions import as_hex

Flavour = Literal["ethereum", "cosmos", "ethermint", "op", "zk"]
FINAL_AT_ONCE = ("cosmos", "ethermint")
GAS_LIMIT = 2**53


def sealed_header(
    flavour: Flavour,
    receipts: Sequence[Json],
    *,
    receipts_root: bytes,
    parent: str,
    state: bytes,
    number: int,
    timestamp: int,
    salt: bytes,
    transactions: Sequence[bytes],
) -> Json:
    """The block as JSON-RPC gives it, without its transactions."""
    bloom = proof.union(bytes.fromhex(receipt["logsBloom"][2:]) for receipt in receipts)
    header: Json = {
        "number": hex(number),
        "parentHash": parent,
        "sha3Uncles": as_hex(proof.EMPTY_UNCLES),
        "miner": "0x" + "00" * 20,
        "stateRoot": as_hex(state),  # a running digest, not a state trie
        "transactionsRoot": as_hex(proof.trie_root(transactions)),
        "receiptsRoot": as_hex(proof.EMPTY_ROOT if flavour == "ethermint" else receipts_root),
        "logsBloom": as_hex(proof.EMPTY_BLOOM if flavour == "zk" else bloom),
        "difficulty": "0x0",
        "gasLimit": hex(GAS_LIMIT),
        "gasUsed": receipts[-1]["cumulativeGasUsed"] if receipts else "0x0",
        "timestamp": hex(timestamp),
        "extraData": as_hex(salt),
        "mixHash": "0x" + "00" * 32,
        "nonce": "0x" + "00" * 8,
        "baseFeePerGas": "0x0",
        "withdrawalsRoot": as_hex(proof.EMPTY_ROOT),
    }
    encoded = proof.header_rlp(header)
    assert encoded is not None
    if flavour in FINAL_AT_ONCE:  # such chains hash a header of another make
        encoded = b"CometBFT" + encoded
    header["hash"] = as_hex(proof.keccak(encoded))
    return header | {"size": hex(len(encoded) + sum(map(len, transactions))), "uncles": [], "withdrawals": []}


def pushed_header(flavour: Flavour, body: Json) -> Json:
    """Cosmos chains push headers with an empty bloom and root: nobody may skip a block because of them."""
    if flavour in FINAL_AT_ONCE:
        return body | {"logsBloom": as_hex(proof.EMPTY_BLOOM), "receiptsRoot": as_hex(proof.EMPTY_ROOT)}
    return body


def deposit(number: int, common: Json) -> tuple[Json, Json, bytes]:
    """The system deposit that opens a block of an OP chain after Canyon."""
    sender, to = "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001", "0x4200000000000000000000000000000000000015"
    source = proof.keccak(number.to_bytes(32, "big"))
    target, gas = bytes.fromhex(to[2:]), 1_000_000
    fields = [source, bytes.fromhex(sender[2:]), target, b"", b"", proof.integer(gas), b"", b""]
    raw = bytes([proof.DEPOSIT]) + proof.rlp(fields)
    place = {**common, "transactionHash": as_hex(proof.keccak(raw)), "transactionIndex": "0x0"}
    nonce = {"depositNonce": hex(number), "depositReceiptVersion": "0x1"}
    receipt = {
        **place,
        **nonce,
        "type": "0x7e",
        "status": "0x1",
        "from": sender,
        "to": to,
        "contractAddress": None,
        "cumulativeGasUsed": hex(46_000),
        "gasUsed": hex(46_000),
        "effectiveGasPrice": "0x0",
        "logs": [],
        "logsBloom": as_hex(proof.EMPTY_BLOOM),
    }
    body = {
        **common,
        "transactionIndex": "0x0",
        "hash": place["transactionHash"],
        "type": "0x7e",
        "from": sender,
        "to": to,
        "input": "0x",
        "value": "0x0",
        "mint": "0x0",
        "nonce": hex(number),
        "gas": hex(gas),
        "gasPrice": "0x0",
        "sourceHash": as_hex(source),
        "isSystemTx": False,
    }
    return body, receipt, raw
