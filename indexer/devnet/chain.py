"""A deterministic chain on a real EVM: queue transactions, seal blocks, reorganise at will.

The same calls in the same order give the same head hash, on every machine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from guelta.errors import BadSetting
from indexer import proof
from indexer.devnet.blocks import Block, Json, Log, log_json
from indexer.devnet.contracts import Contract, creation_code
from indexer.devnet.evm import Evm, Machine
from indexer.devnet.flavours import FINAL_AT_ONCE, Flavour, deposit, pushed_header, sealed_header
from indexer.devnet.transactions import (
    Transaction,
    address_of,
    as_hex,
    create_address,
    prepared,
    transaction_json,
)

CHAIN_ID = 1337  # never a real chain's
ZERO = "0x" + "00" * 20


class Devnet:
    """One chain in memory.

    Args:
        chain_id: 1337 unless a test needs several chains.
        genesis_time: timestamp of block 0, in seconds.
        block_time: seconds between blocks where ``seal`` is given no timestamp.
        finality_depth: how far ``finalized`` trails the head; it never moves back unless a reorg passes it.
        flavour: ``cosmos`` and ``ethermint`` hash blocks another way and are final at once, ``ethermint`` also gives a
            constant receiptsRoot, ``op`` opens each block with a deposit (0x7e), ``zk`` leaves logsBloom zero.
        balances: native coin at genesis; later funding would not survive a reorg.
        machine: what runs transactions; a real EVM where left out.
    """

    recorded: Sequence[int] | None = None
    version = "guelta-devnet/1.0"

    def __init__(
        self,
        *,
        chain_id: int = CHAIN_ID,
        genesis_time: int,
        block_time: int = 2,
        finality_depth: int = 16,
        flavour: Flavour = "ethereum",
        balances: Mapping[str, int] | None = None,
        machine: Machine | None = None,
    ) -> None:
        self._machine: Machine = Evm(chain_id, balances or {}) if machine is None else machine
        self.chain_id = chain_id
        self.block_time = block_time
        self.flavour = flavour
        self.finality_depth = 0 if flavour in FINAL_AT_ONCE else finality_depth
        self.lock = threading.RLock()
        self.listeners: list[Callable[[str, Sequence[Block]], None]] = []
        self._state = proof.keccak(b"guelta devnet")
        self._states: list[bytes] = []
        self._marks: list[Any] = []
        self._blocks: list[Block] = []
        self._mined: list[list[Transaction]] = []
        self._by_hash: dict[str, Block] = {}
        self._where: dict[str, tuple[int, int]] = {}
        self._pending: list[Transaction] = []
        self._nonces: dict[str, int] = {}
        self._creations: dict[str, int] = {}
        self._finalized = 0
        self._seal(genesis_time, b"")

    # -- writing

    def deploy(self, name: str, *args: Any, sender: str) -> str:
        """Queue the creation of a reference contract; the address is known before the block is sealed."""
        sender = address_of(sender)
        with self.lock:
            address = create_address(sender, self._creations.get(sender, 0))
            self.submit(sender, None, creation_code(name, *args))
        return address

    def submit(self, sender: str, to: str | None, data: bytes = b"", value: int = 0) -> str:
        """Queue a transaction for the next block; answers its hash."""
        sender, to = address_of(sender), None if to is None else address_of(to)
        with self.lock:
            nonce = self._nonces.get(sender, 0)
            made = prepared(self.chain_id, sender, to, bytes(data), value, nonce)
            self._nonces[sender] = nonce + 1
            if to is None:
                self._creations[sender] = self._creations.get(sender, 0) + 1
            self._pending.append(made)
        return made.hash

    def seal(self, timestamp: int | None = None, salt: bytes = b"") -> Block:
        """Run what is queued as one block. Another ``salt`` gives another hash to the same content."""
        with self.lock:
            parent = self.head
            at = parent.timestamp + self.block_time if timestamp is None else timestamp
            if at <= parent.timestamp:
                raise BadSetting(f"block {parent.number + 1} needs a timestamp above {parent.timestamp}, found {at}")
            if len(salt) > 32:
                raise BadSetting(f"a salt is at most 32 bytes, found {len(salt)}")
            block = self._seal(at, salt)
        self._tell("head", [block])
        return block

    def reorg(self, depth: int) -> list[list[Transaction]]:
        """Drop the last ``depth`` blocks; answers their transactions, oldest block first.

        Submit them again (``again``) in place, elsewhere, or not at all, and seal with a new salt.
        """
        with self.lock:
            head = self.head.number
            if not 1 <= depth <= head:
                raise BadSetting(f"a reorg drops 1 to {head} blocks (block 0 stays), found {depth}")
            if self._pending:
                raise BadSetting(f"seal the {len(self._pending)} queued transactions before a reorg")
            first = head - depth + 1
            self._machine.back(self._marks[first])
            self._state = self._states[first]
            dropped, removed = self._mined[first:], self._blocks[first:]
            for items in (self._marks, self._states, self._blocks, self._mined):
                del items[first:]
            for block in removed:
                del self._by_hash[block.hash]
                for tx_hash in block.transaction_hashes:
                    del self._where[tx_hash]
            for lost in (transaction for transactions in dropped for transaction in transactions):
                self._nonces[lost.sender] -= 1
                if lost.to is None:
                    self._creations[lost.sender] -= 1
            self._finalized = min(self._finalized, first - 1)
            self._machine.begin(first - 1, self.head.timestamp)
        self._tell("removed", removed)
        return dropped

    def again(self, transaction: Transaction) -> str:
        """Queue a dropped transaction once more: the same hash while its sender's order is the same."""
        return self.submit(transaction.sender, transaction.to, transaction.data, transaction.value)

    def fork(self, depth: int, mode: Literal["same", "drop", "reverse"] = "same", salt: bytes = b"fork") -> Block:
        """Reorganise and mine as many blocks again: the same transactions, none of them, or block by block reversed."""
        with self.lock:
            times = [block.timestamp for block in self._blocks[-depth:]]
            dropped = self.reorg(depth)
            for at, transactions in zip(times, dropped[::-1] if mode == "reverse" else dropped, strict=True):
                for transaction in () if mode == "drop" else transactions:
                    self.again(transaction)
                block = self.seal(at, salt)
        return block

    # -- reading

    @property
    def live(self) -> bool:
        """Whether it answers calls and takes transactions from outside."""
        return self._machine.live

    def call(self, to: str, data: bytes, sender: str | None = None) -> bytes:
        """Run at the latest block and forget the effects. Raises Reverted."""
        with self.lock, self._forgetting():
            return self._machine.call(address_of(sender or ZERO), address_of(to), bytes(data))

    def estimate_gas(self, sender: str, to: str | None, data: bytes, value: int = 0) -> int:
        with self.lock, self._forgetting():
            target = None if to is None else address_of(to)
            made = prepared(self.chain_id, address_of(sender), target, bytes(data), value, 0)
            return self._machine.run(made).gas_used

    def contract(self, name: str, address: str) -> Contract:
        return Contract(self, name, address_of(address))

    def balance(self, account: str) -> int:
        with self.lock:
            return self._machine.balance(address_of(account))

    def code(self, account: str) -> bytes:
        with self.lock:
            return self._machine.code(address_of(account))

    def nonce(self, account: str) -> int:
        return self._nonces.get(address_of(account), 0)

    @property
    def head(self) -> Block:
        return self._blocks[-1]

    @property
    def safe(self) -> Block:
        return self._blocks[max(self._finalized, self.head.number - self.finality_depth // 2)]

    @property
    def finalized(self) -> Block:
        return self._blocks[self._finalized]

    def block(self, number: int) -> Block | None:
        return self._blocks[number] if 0 <= number < len(self._blocks) else None

    def blocks(self, first: int, last: int) -> Iterable[Block]:
        return self._blocks[max(first, 0) : last + 1]

    def by_hash(self, block_hash: str) -> Block | None:
        return self._by_hash.get(block_hash.lower())

    def transaction(self, tx_hash: str) -> tuple[Block, int] | None:
        at = self._where.get(tx_hash.lower())
        return None if at is None else (self._blocks[at[0]], at[1])

    def receipts(self, number: int) -> Sequence[Json]:
        block = self.block(number)
        return () if block is None or block.receipts is None else block.receipts

    def logs(self, first: int = 0, last: int | None = None) -> list[Json]:
        """The logs of a range as JSON-RPC gives them."""
        end = self.head.number if last is None else last
        return [log for block in self.blocks(first, end) for r in block.receipts or () for log in r["logs"]]

    def pushed(self, block: Block) -> Json:
        """The header as a newHeads subscription gives it."""
        return pushed_header(self.flavour, block.body)

    def _seal(self, timestamp: int, salt: bytes) -> Block:
        number = len(self._blocks)
        self._marks.append(self._machine.mark())
        self._states.append(self._state)
        self._machine.begin(number, timestamp)
        transactions, self._pending = self._pending, []

        common = {"blockNumber": hex(number), "blockHash": ""}
        receipts: list[Json] = []
        raw: list[bytes] = []
        bodies: list[Json] = []
        cumulative = 0
        if self.flavour == "op":
            body, receipt, encoded = deposit(number, common)
            bodies.append(body)
            receipts.append(receipt)
            raw.append(encoded)
            cumulative = int(receipt["gasUsed"], 16)
        log_index = 0
        at_hex = hex(timestamp)
        for transaction in transactions:
            outcome = self._machine.run(transaction)
            cumulative += outcome.gas_used
            index = hex(len(receipts))
            place = {**common, "transactionHash": transaction.hash, "transactionIndex": index}
            made = []
            for log in outcome.logs:  # log_index counts per block
                made.append(
                    {
                        "address": log.address,
                        "topics": log.topics,
                        "data": log.data,
                        **place,
                        "logIndex": hex(log_index),
                        "blockTimestamp": at_hex,
                        "removed": False,
                    }
                )
                log_index += 1
            receipts.append(
                {
                    **place,
                    "type": "0x0",
                    "status": "0x1" if outcome.succeeded else "0x0",
                    "from": transaction.sender,
                    "to": transaction.to,
                    "contractAddress": outcome.created,
                    "cumulativeGasUsed": hex(cumulative),
                    "gasUsed": hex(outcome.gas_used),
                    "effectiveGasPrice": "0x0",
                    "logs": made,
                    "logsBloom": as_hex(proof.logs_bloom(made)),
                }
            )
            bodies.append(transaction_json(transaction, place, self.chain_id))
            raw.append(transaction.raw)

        root = proof.receipts_root(receipts)
        self._state = proof.keccak(self._state + root + salt)
        body = sealed_header(
            self.flavour,
            receipts,
            receipts_root=root,
            parent=self.head.hash if self._blocks else as_hex(bytes(32)),
            state=self._state,
            number=number,
            timestamp=timestamp,
            salt=salt,
            transactions=raw,
        )
        for item in (*receipts, *bodies):
            item["blockHash"] = body["hash"]
        served = []
        for receipt in receipts:
            for log in receipt["logs"]:
                log["blockHash"] = body["hash"]
                served.append(Log(log["address"], tuple(log["topics"]), log_json(log)))
        block = Block(
            number=number,
            hash=body["hash"],
            parent_hash=body["parentHash"],
            timestamp=timestamp,
            body=body,
            transactions=bodies,
            receipts=receipts,
            logs=tuple(served),
            joined=b",".join([log.json for log in served]),
        )
        self._blocks.append(block)
        self._mined.append(transactions)
        self._by_hash[block.hash] = block
        for i, item in enumerate(bodies):
            self._where[item["hash"]] = (number, i)
        self._finalized = max(self._finalized, number - self.finality_depth)
        return block

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        mark = self._machine.mark()
        try:
            yield
        finally:
            self._machine.back(mark)

    def _tell(self, what: str, blocks: Sequence[Block]) -> None:
        for listener in self.listeners:
            listener(what, blocks)
