"""The vault's arithmetic in Python: what a settlement credits to whom, so that payouts can be planned.

It mirrors EarningsVault._credit (floor per parent and account, the last account takes the rest); a test holds it
against the logs of the real contract.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from guelta.money import mul_div

BPS = 10_000


@dataclass(frozen=True, slots=True)
class Credit:
    hour: int
    asset: int
    account: str
    token: str
    amount: int


class Vault:
    def __init__(self, fee_bps: int) -> None:
        self.fee_bps, self.assets = fee_bps, 0
        self.owed: dict[tuple[str, str], int] = defaultdict(int)  # (account, token) -> base units
        self.credits: list[Credit] = []
        self._parents: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._terms: dict[int, tuple[Sequence[str], Sequence[int]]] = {}

    def set_terms(self, asset: int, accounts: Sequence[str], bps: Sequence[int]) -> None:
        self._terms[asset] = (accounts, bps)

    def add_edge(self, child: int, parent: int, bps: int) -> None:
        self._parents[child].append((parent, bps))

    def settle(self, hour: int, asset: int, token: str, amount: int) -> None:
        self._credit(hour, asset, token, amount - mul_div(amount, self.fee_bps, BPS))

    def take(self, account: str, token: str, amount: int) -> None:
        """A claim or a batch payout."""
        left = self.owed[account, token] - amount
        assert left >= 0, f"{account} is owed {self.owed[account, token]} {token}, asked {amount}"
        self.owed[account, token] = left

    def _credit(self, hour: int, asset: int, token: str, amount: int) -> None:
        kept = amount
        for parent, bps in self._parents[asset]:
            up = mul_div(amount, bps, BPS)
            kept -= up
            self._credit(hour, parent, token, up)
        accounts, bps_list = self._terms[asset]
        left = kept
        for position, (account, bps) in enumerate(zip(accounts, bps_list, strict=True)):
            share = left if position == len(accounts) - 1 else mul_div(kept, bps, BPS)
            left -= share
            self.owed[account, token] += share
            self.credits.append(Credit(hour, asset, account, token, share))
