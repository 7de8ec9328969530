"""What a transaction of the embedded chain is: its bytes, its hash, its JSON."""

from __future__ import annotations

import re
from typing import NamedTuple

from guelta.errors import BadSetting
from indexer import proof
from indexer.devnet.blocks import Json

GAS = 30_000_000
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


class Transaction(NamedTuple):
    hash: str
    sender: str
    to: str | None
    """None creates a contract."""
    data: bytes
    value: int
    nonce: int
    raw: bytes


def prepared(chain_id: int, sender: str, to: str | None, data: bytes, value: int, nonce: int) -> Transaction:
    if not 0 <= value < 2**256:  # pyrevm answers a wrong size with a panic, not with an exception
        raise BadSetting(f"a transaction's value is 0 to 2^256-1 base units, found {value}")
    raw = _raw_transaction(chain_id, sender, to, data, value, nonce)
    return Transaction(as_hex(proof.keccak(raw)), sender, to, data, value, nonce, raw)


def create_address(sender: str, nonce: int) -> str:
    """Where the ``nonce``-th contract of a sender lands. On this chain only creations count."""
    return "0x" + proof.keccak(proof.rlp([bytes.fromhex(sender[2:]), proof.integer(nonce)]))[12:].hex()


def address_of(text: str) -> str:
    if not isinstance(text, str) or not _ADDRESS.fullmatch(text):
        raise BadSetting(f"an address is 0x and 40 hex digits, found {text!r}")
    return text.lower()


def as_hex(data: bytes) -> str:
    return "0x" + data.hex()


def _raw_transaction(chain_id: int, sender: str, to: str | None, data: bytes, value: int, nonce: int) -> bytes:
    """A legacy transaction; nobody signs here, so the sender stands in for the signature: hashes differ by sender."""
    number = proof.integer
    target = b"" if to is None else bytes.fromhex(to[2:])
    signature = [number(chain_id * 2 + 35), number(int(sender, 16)), b""]
    return proof.rlp([number(nonce), b"", number(GAS), target, number(value), data, *signature])


def transaction_json(transaction: Transaction, place: Json, chain_id: int) -> Json:
    return {
        "blockHash": "",
        "blockNumber": place["blockNumber"],
        "transactionIndex": place["transactionIndex"],
        "hash": transaction.hash,
        "type": "0x0",
        "from": transaction.sender,
        "to": transaction.to,
        "input": as_hex(transaction.data),
        "value": hex(transaction.value),
        "nonce": hex(transaction.nonce),
        "gas": hex(GAS),
        "gasPrice": "0x0",
        "chainId": hex(chain_id),
        "v": hex(chain_id * 2 + 35),
        "r": hex(int(transaction.sender, 16)),
        "s": "0x0",
    }
