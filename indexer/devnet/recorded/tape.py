"""An EVM that repeats: a transaction's outcome is found by what happened before it, in whatever order branches come."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from guelta.errors import BadRecording, Fatal
from indexer.devnet.evm import Machine, Outcome
from indexer.devnet.transactions import Transaction


class Tape:
    """Stands where the EVM would. Calls, balances and code were not recorded: reading them raises Fatal."""

    live = False

    def __init__(self, outcomes: Mapping[str, Outcome]) -> None:
        self.outcomes = outcomes
        self._past = ""
        self._block = ""

    def begin(self, number: int, timestamp: int) -> None:
        self._block = f"{number} at {timestamp}"

    def run(self, transaction: Transaction) -> Outcome:
        key = _digest(self._past, self._block, transaction.hash)
        outcome = self._outcome(key, transaction)
        # What was answered is part of the past: an altered outcome hides all that follow.
        self._past = _digest(key, msgspec.json.encode(outcome).decode())
        return outcome

    def mark(self) -> Any:
        return self._past

    def back(self, mark: Any) -> None:
        self._past = mark

    def call(self, sender: str, to: str, data: bytes) -> bytes:
        raise _unheard(f"a call of {to} by {sender} with {len(data)} bytes")

    def balance(self, account: str) -> int:
        raise _unheard(f"the balance of {account}")

    def code(self, account: str) -> bytes:
        raise _unheard(f"the code of {account}")

    def _outcome(self, key: str, transaction: Transaction) -> Outcome:
        found = self.outcomes.get(key)
        if found is None:
            raise BadRecording(
                f"transaction {transaction.hash} of block {self._block} was not recorded after these transactions and "
                "outcomes: the recording was altered or is of another story; record it again with "
                "python -m indexer.devnet.recorded.make"
            )
        return found


class Recorder(Tape):
    """Runs on another machine and keeps what it answered in ``outcomes``."""

    def __init__(self, machine: Machine) -> None:
        self.taken: dict[str, Outcome] = {}
        super().__init__(self.taken)
        self._machine = machine

    def begin(self, number: int, timestamp: int) -> None:
        super().begin(number, timestamp)
        self._machine.begin(number, timestamp)

    def mark(self) -> Any:
        return super().mark(), self._machine.mark()

    def back(self, mark: Any) -> None:
        super().back(mark[0])
        self._machine.back(mark[1])

    def _outcome(self, key: str, transaction: Transaction) -> Outcome:
        return self.taken.setdefault(key, self._machine.run(transaction))


def _digest(*parts: str) -> str:
    return blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def _unheard(what: str) -> Fatal:
    return Fatal(f"{what} was not recorded; a recorded chain answers blocks, receipts and logs, the rest needs pyrevm")
