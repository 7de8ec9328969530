"""Which payout settles which leg: by stored reference, then by equal amount, then by equal sums."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from quality.matching.books import Leg, Payout

EARLIEST = timedelta(days=7)  # a payout may pay a leg this long before its due date
LATEST = timedelta(days=60)  # and this long after


@dataclass(slots=True)
class Settled:
    """What was found for one leg."""

    payouts: list[Payout] = field(default_factory=list)
    rule: str = "ref"
    astray: Payout | None = None
    astray_as: str = ""

    @property
    def amount(self) -> int:
        return sum(payout.amount for payout in self.payouts)


def settle(legs: Sequence[Leg], free: dict[str, Payout]) -> dict[str, Settled]:
    """What was found for each leg, by its key; what is matched, or went astray, is taken out of ``free``.

    A cancelled leg gets only what the platform says it sent for it, and only what no standing leg names: it never
    takes part where amounts are compared, but its own transaction is not the payment of the leg issued in its place.
    """
    found = {leg.key: Settled() for leg in legs}
    standing = [leg for leg in legs if leg.stands]
    _by_reference(standing, found, free)
    _by_reference([leg for leg in legs if not leg.stands], found, free)
    _by_amount(standing, found, free)
    _by_sum(standing, found, free)
    _astray(standing, found, free)
    return found


def _by_reference(legs: Sequence[Leg], found: dict[str, Settled], free: dict[str, Payout]) -> None:
    """The transaction that the platform says it sent: the equal amount in it first, then whatever reached the payee."""
    by_tx: dict[tuple[int, bytes], list[Payout]] = defaultdict(list)
    for payout in free.values():
        by_tx[payout.chain_id, payout.tx_hash].append(payout)
    for exact in (True, False):
        for leg in legs:
            if leg.sent_tx is None or found[leg.key].payouts:
                continue
            for payout in by_tx[leg.chain_id, leg.sent_tx]:
                reached = payout.account == leg.wallet and payout.token == leg.token
                if payout.payout_id in free and reached and (payout.amount == leg.amount or not exact):
                    _take(found, free, leg, [payout], "ref")
                    break


def _by_amount(legs: Sequence[Leg], found: dict[str, Settled], free: dict[str, Payout]) -> None:
    """The same payee, token and amount within the window, where only one leg and one payout can be meant."""
    waiting: dict[object, list[Leg]] = defaultdict(list)
    for leg in legs:
        if leg.sent_tx is None and not found[leg.key].payouts:
            waiting[leg.chain_id, leg.wallet, leg.token, leg.amount].append(leg)
    taken = {(leg.chain_id, leg.wallet, leg.token, leg.amount) for leg in legs if found[leg.key].payouts}
    offers: dict[object, list[Payout]] = defaultdict(list)
    for payout in free.values():
        offers[payout.chain_id, payout.account, payout.token, payout.amount].append(payout)
    for key, candidates in waiting.items():
        fitting = [p for p in offers[key] if _within(candidates[0], p)]
        # A leg of that payee and amount is settled already: the payout may be its double, so nobody guesses.
        if len(candidates) == len(fitting) == 1 and key not in taken:
            _take(found, free, candidates[0], fitting, "exact")


def _by_sum(legs: Sequence[Leg], found: dict[str, Settled], free: dict[str, Payout]) -> None:
    """Several payouts for one leg, or one payout for several legs of a run, where the sums are equal."""
    offers: dict[object, list[Payout]] = defaultdict(list)
    for payout in free.values():
        offers[payout.chain_id, payout.account, payout.token].append(payout)
    lacking: dict[tuple[int, bytes, bytes], list[Leg]] = defaultdict(list)
    for leg in legs:
        if found[leg.key].amount < leg.amount:
            lacking[leg.chain_id, leg.wallet, leg.token].append(leg)
    for key, candidates in lacking.items():
        if len(candidates) == 1:
            leg = candidates[0]
            fitting = [p for p in offers[key] if p.payout_id in free and _within(leg, p)]
            missing = leg.amount - found[leg.key].amount
            if fitting and sum(p.amount for p in fitting) == missing:
                _take(found, free, leg, fitting, "grouped")
            continue
        for run in sorted({leg.run_id for leg in candidates}):
            together = [leg for leg in candidates if leg.run_id == run and not found[leg.key].payouts]
            total = sum(leg.amount for leg in together)
            fitting = [p for p in offers[key] if p.payout_id in free and p.amount == total and _within(together[0], p)]
            if len(together) > 1 and len(fitting) == 1:
                for leg in together:
                    _take(found, free, leg, [fitting[0]._replace(amount=leg.amount)], "grouped")


def _astray(legs: Sequence[Leg], found: dict[str, Settled], free: dict[str, Payout]) -> None:
    """What the referenced transaction did instead: another account, another token, another chain."""
    by_tx: dict[bytes, list[Payout]] = defaultdict(list)
    for payout in free.values():
        by_tx[payout.tx_hash].append(payout)
    tests: tuple[tuple[str, Callable[[Leg, Payout], bool]], ...] = (
        ("wrong_token_or_chain", lambda leg, p: p.account == leg.wallet),
        ("wrong_recipient", lambda leg, p: p.chain_id == leg.chain_id and p.token == leg.token),
    )
    for status, test in tests:
        for leg in legs:
            if leg.sent_tx is None or found[leg.key].payouts or found[leg.key].astray:
                continue
            for payout in by_tx[leg.sent_tx]:
                if payout.payout_id in free and test(leg, payout):
                    found[leg.key].astray, found[leg.key].astray_as = free.pop(payout.payout_id), status
                    break


def _take(found: dict[str, Settled], free: dict[str, Payout], leg: Leg, payouts: Sequence[Payout], rule: str) -> None:
    settled = found[leg.key]
    settled.payouts += payouts
    settled.rule = rule
    for payout in payouts:
        free.pop(payout.payout_id, None)


def _within(leg: Leg, payout: Payout) -> bool:
    return leg.due_at - EARLIEST <= payout.at <= leg.due_at + LATEST
