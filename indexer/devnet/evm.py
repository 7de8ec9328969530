"""What runs a chain's transactions: pyrevm, or whatever else gives their outcomes.

The rules that keep pyrevm right (they cost days to find) stand beside the lines that need them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from guelta.errors import Fatal
from indexer.devnet.transactions import GAS, Transaction, address_of

_REVERT = re.compile(r"output: 0x([0-9a-fA-F]*)")


class Reverted(Fatal):
    """A call that the contract refused; ``output`` is what it said, ABI-encoded."""

    def __init__(self, message: str, output: bytes) -> None:
        super().__init__(message)
        self.output = output


class Emitted(NamedTuple):
    address: str
    topics: Sequence[str]
    data: str


class Outcome(NamedTuple):
    """What a transaction did, as far as its receipt tells."""

    succeeded: bool
    gas_used: int
    created: str | None
    logs: Sequence[Emitted]


class Machine(Protocol):
    """The state that transactions change, which can be marked and brought back."""

    live: bool
    """Whether it runs anything, calls too; a recording only repeats what was run."""

    def begin(self, number: int, timestamp: int) -> None: ...
    def run(self, transaction: Transaction) -> Outcome: ...
    def mark(self) -> Any: ...
    def back(self, mark: Any) -> None: ...
    def call(self, sender: str, to: str, data: bytes) -> bytes: ...
    def balance(self, account: str) -> int: ...
    def code(self, account: str) -> bytes: ...


def available() -> bool:
    """Whether pyrevm has a wheel here: none for Linux aarch64 nor for Python 3.13."""
    try:
        import pyrevm  # noqa: F401
    except ImportError:
        return False
    return True


class Evm:
    """A real EVM in memory. Raises Fatal where pyrevm is not installed."""

    live = True

    def __init__(self, chain_id: int, balances: Mapping[str, int]) -> None:
        try:
            import pyrevm as revm
        except ImportError as error:
            raise Fatal(
                "the embedded chain needs pyrevm, which has no wheel for this machine; "
                "guelta demo plays from its recording instead, and guelta replay FILE serves others"
            ) from error
        self._block_env = revm.BlockEnv
        self._evm: Any = revm.EVM(env=revm.Env(cfg=revm.CfgEnv(chain_id=chain_id)), gas_limit=2**63, spec_id="CANCUN")
        for account, amount in balances.items():
            self._evm.set_balance(address_of(account), amount)

    def begin(self, number: int, timestamp: int) -> None:
        # Not advanced by itself: NUMBER would stay 0 and TIMESTAMP 1 for ever.
        self._evm.set_block_env(self._block_env(number=number, timestamp=timestamp, basefee=0, gas_limit=2**63))

    def run(self, transaction: Transaction) -> Outcome:
        evm, created = self._evm, None
        sender, to, data, value = transaction.sender, transaction.to, transaction.data, transaction.value
        evm.reset_transient_storage()
        try:
            if to is None:
                created = evm.deploy(sender, data, value, GAS).lower()
            else:
                evm.message_call(sender, to, data, value=value, gas=GAS)
        except RuntimeError:  # reverted, out of gas, or not enough coin: a failed transaction
            result = evm.result
            return Outcome(False, 21_000 if result is None else result.gas_used, None, ())
        result = evm.result
        logs = [Emitted(log.address.lower(), log.topics, "0x" + bytes(log.data[1]).hex()) for log in result.logs]
        return Outcome(True, result.gas_used, created, logs)  # intrinsic gas is inside already

    def mark(self) -> Any:
        # Every open checkpoint adds one to the call depth, 1,024 at most: commit() closes it and it stays valid.
        checkpoint = self._evm.snapshot()
        self._evm.commit()
        return checkpoint

    def back(self, mark: Any) -> None:
        """Newer marks would revert to a wrong state afterwards: forget them."""
        self._evm.snapshot()  # revert() needs an open checkpoint
        self._evm.revert(mark)

    def call(self, sender: str, to: str, data: bytes) -> bytes:
        """Effects stay until ``back``."""
        try:
            return bytes(self._evm.message_call(sender, to, data, gas=GAS))
        except RuntimeError as error:
            output = _REVERT.search(str(error))
            raise Reverted(str(error), bytes.fromhex(output[1]) if output else b"") from None

    def balance(self, account: str) -> int:
        return int(self._evm.get_balance(account))

    def code(self, account: str) -> bytes:
        # revm pads code by a word and a STOP, so that a cut PUSH at its end stays readable.
        return bytes(self._evm.get_code(account) or b"").removesuffix(bytes(33))
