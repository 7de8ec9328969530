"""Which transactions each hourly block carries, on the final branch and on the one that is dropped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from indexer.devnet.story.clock import FORK, HEAD, HOURS, REORG_DEPTH
from indexer.devnet.story.vault import Vault


@dataclass(frozen=True, slots=True)
class Op:
    """One transaction. In ``args`` a text such as ``@tusd`` stands for that contract's address."""

    sender: str
    contract: str  # tusd, tai, tpart, registry, vault, staking
    function: str
    args: tuple[Any, ...]
    tag: str = ""  # how the story finds the transaction again once it is mined
    movable: bool = False  # independent of its neighbours: a reorg may put it into another block
    fails: bool = False


class Plan:
    def __init__(self) -> None:
        self.hours: list[list[Op]] = [[] for _ in range(HOURS)]

    def add(self, hour: int, op: Op) -> None:
        assert 0 < hour <= HEAD, f"{op.function} at hour {hour}: the story has hours 1 to {HEAD}"
        self.hours[hour].append(op)

    def dropped_branch(self) -> list[Sequence[Op]]:
        """The blocks after the fork that the network forgets: payouts stand one block earlier than they will."""
        window = range(FORK + 1, FORK + 1 + REORG_DEPTH)
        blocks: list[Sequence[Op]] = []
        for hour in window:
            stay = [op for op in self.hours[hour] if not op.movable]
            early = [op for op in self.hours[hour + 1] if op.movable] if hour + 1 in window else []
            first = [op for op in self.hours[hour] if op.movable] if hour == window[0] else []
            blocks.append([*first, *early, *stay])
        return blocks


def apply(vault: Vault, hour: int, op: Op) -> None:
    """What a successful transaction changes in the vault's books."""
    if op.fails or op.contract not in {"registry", "vault"}:
        return
    if op.function == "register":
        vault.set_terms(vault.assets + 1, op.args[3], op.args[4])
        vault.assets += 1
    elif op.function == "setTerms":
        vault.set_terms(*op.args)
    elif op.function == "addEdge":
        child, parent, _, bps = op.args
        vault.add_edge(child, parent, bps)
    elif op.function == "settle":
        asset, token, amount, _, _ = op.args
        vault.settle(hour, asset, token, amount)
    elif op.function == "claim":
        vault.take(op.sender, op.args[0], vault.owed[op.sender, op.args[0]])
    elif op.function == "payBatch":
        _, token, accounts, amounts = op.args
        for account, amount in zip(accounts, amounts, strict=True):
            vault.take(account, token, amount)
