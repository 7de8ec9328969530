"""Paying people: monthly runs of legs, claims from the vault, the platform's ledger, and what goes wrong on the way."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from indexer.devnet.story.actors import Cast
from indexer.devnet.story.annotation import Labelling
from indexer.devnet.story.clock import (
    FINAL,
    FORK,
    HEAD,
    OPEN_PERIOD,
    PERIODS,
    REORG_DEPTH,
    due,
    hour_after,
    period,
    period_end,
)
from indexer.devnet.story.faults_planted import CALENDAR, transposed
from indexer.devnet.story.plan import Op, Plan, apply
from indexer.devnet.story.vault import Vault
from indexer.proof import keccak

USAGE, TASK = "usage", "task"
WHOLE = 10**18
CHUNK = 20  # accounts a batch transaction pays


@dataclass(slots=True)
class Leg:
    run_id: str
    leg_no: int
    party: str
    wallet: str
    token: str
    amount: int
    kind: str
    period: str
    instructed: int
    state: str = "instructed"
    sent: int | None = None  # the second its transaction is mined
    tag: str = ""  # of the transaction
    fault: str = ""
    booked: int | None = None  # what the ledger says was paid

    @property
    def key(self) -> str:
        return f"{self.run_id}:{self.leg_no}"


@dataclass(frozen=True, slots=True)
class Stray:
    """A transfer that no leg asked for."""

    tag: str
    status: str


class Payouts:
    """Plays the months: reads what the vault owes, adds payout transactions to the plan, remembers every leg."""

    def __init__(self, rng: random.Random, permille: int, people: Cast, work: Labelling, plan: Plan, fee: int) -> None:
        self.rng, self.people, self.plan, self.vault = rng, people, plan, Vault(fee)
        self.legs: list[Leg] = []
        self.strays: list[Stray] = []
        self.paid_by_run = {w.party.address: w.party.party_id for w in people.workers}
        # Half of the labs leave payment to the platform; every other payee claims.
        self.paid_by_run |= {d.address: d.party_id for d in people.developers[::2]}
        self.threshold = {"tusd": 100_000 * permille // 1_000, "tai": WHOLE * permille // 2_000, "tpart": 2 * WHOLE}
        self.rewards: dict[tuple[str, str], int] = defaultdict(int)  # (party, period)
        for s in work.submissions:
            if s.decided is not None and s.reward:
                self.rewards[s.worker.party.party_id, period(s.decided)] += s.reward
        self._wallet = {p.party_id: p.wallet for p in people.parties if p.wallet}
        self._claims: dict[int, list[str]] = defaultdict(list)

    def play(self) -> None:
        """Go through the hours in order; at the end every transaction stands in the plan."""
        self._schedule_claims()
        runs = {hour_after(period_end(p) + 86_400) + 10: p for p in PERIODS}
        for hour in range(HEAD + 1):
            if hour in runs:
                self._instruct(runs[hour], hour * 3_600)
            if hour in (45 * 24 + 9, 77 * 24 + 11):
                self._unexpected(hour, known=hour > 50 * 24)
            for op in self.plan.hours[hour]:
                apply(self.vault, hour, op)
            for account in self._claims.get(hour, ()):
                self._claim(hour, account)

    # -- claims

    def _schedule_claims(self) -> None:
        people = self.people
        claimers = [p.address for p in (*people.publishers, *people.makers, *people.nodes, people.pool)]
        claimers += [d.address for d in people.developers[1::2]] + list(people.anonymous)
        for account in claimers:
            hour = self.rng.randrange(15 * 24, 26 * 24)
            while hour < 91 * 24:
                self._claims[hour].append(account)
                hour += self.rng.randrange(9 * 24, 20 * 24)
            # Everyone clears the closed months in the first days of November.
            self._claims[self.rng.randrange(94 * 24, 96 * 24)].append(account)

    def _claim(self, hour: int, account: str) -> None:
        for token in ("tusd", "tai"):
            if self.vault.owed[account, f"@{token}"]:
                op = Op(account, "vault", "claim", (f"@{token}",))
                self.plan.add(hour, op)
                apply(self.vault, hour, op)

    # -- runs

    def _instruct(self, name: str, at: int) -> None:
        for kind, due_now in ((USAGE, self._usage_due(name)), (TASK, self._task_due(name))):
            legs = [
                Leg(f"{name}-{kind}", n, party, self._wallet[party], token, amount, kind, name, at)
                for n, ((party, token), amount) in enumerate(sorted(due_now.items()), start=1)
            ]
            self._plant(name, kind, legs)
            self.legs += legs
            self._send(name, kind, legs)

    def _usage_due(self, name: str) -> dict[tuple[str, str], int]:
        ends = period_end(name) // 3_600
        owed: dict[tuple[str, str], int] = defaultdict(int)
        for credit in self.vault.credits:
            if credit.hour < ends and credit.account in self.paid_by_run:
                owed[self.paid_by_run[credit.account], credit.token[1:]] += credit.amount
        return self._above_threshold(owed, USAGE)

    def _task_due(self, name: str) -> dict[tuple[str, str], int]:
        owed: dict[tuple[str, str], int] = defaultdict(int)
        for (party, month), amount in self.rewards.items():
            if month <= name:
                owed[party, "tpart"] += amount
        return self._above_threshold(owed, TASK)

    def _above_threshold(self, owed: dict[tuple[str, str], int], kind: str) -> dict[tuple[str, str], int]:
        for leg in self.legs:
            if leg.kind == kind:
                owed[leg.party, leg.token] -= leg.amount
        return {key: amount for key, amount in owed.items() if amount >= self.threshold[key[1]]}

    def _plant(self, name: str, kind: str, legs: list[Leg]) -> None:
        """Choose who the month's faults happen to: sizeable legs of people to whom nothing else happened."""
        hit = {leg.party for leg in self.legs if leg.fault}
        free = [leg for leg in legs if leg.party not in hit and leg.amount >= self.threshold[leg.token]]
        chosen: set[str] = set()
        for fault in CALENDAR.get((name, kind), ()):
            candidates = [leg for leg in free if leg.party not in chosen]
            picked = self.rng.sample(candidates, fault.count)
            for leg in picked:
                leg.fault = fault.status
                chosen.add(leg.party)
            if fault.status == "missing_on_chain":
                for n, leg in enumerate(picked, start=1):
                    # Prepared as a run of their own, which nobody ever sent.
                    leg.run_id, leg.leg_no = f"{name}-{kind}-b", n

    def _send(self, name: str, kind: str, legs: list[Leg]) -> None:
        batches: dict[str, list[Leg]] = defaultdict(list)
        for leg in legs:
            if leg.fault:
                self._send_faulty(name, leg)
            elif kind == TASK:
                self._transfer(leg, self._on_time(name))
            else:
                batches[leg.token].append(leg)
        for token, together in batches.items():
            for start in range(0, len(together), CHUNK):
                self._batch(self._on_time(name), f"{name}/{token}/{start}", together[start : start + CHUNK])

    def _on_time(self, name: str) -> int:
        """An hour from the third to the fifth day; the September reorg falls into August's payouts."""
        opens = hour_after(period_end(name)) + 2 * 24 + 8
        closes = min(hour_after(period_end(name)) + 4 * 24 + 18, FINAL)
        if name == PERIODS[0] and self.rng.randrange(4) == 0:
            return self.rng.randrange(FORK + 1, FORK + REORG_DEPTH + 1)
        return self.rng.randrange(opens, closes)

    def _send_faulty(self, name: str, leg: Leg) -> None:
        hour, late = self._on_time(name), hour_after(due(name)) + self.rng.randrange(24, 6 * 24)
        if leg.fault == "on_hold":
            leg.state = "held"
        elif leg.fault in {"not_due", "missing_on_chain"}:
            pass  # instructed, and nothing sent
        elif leg.fault == "in_flight":
            self._pay(leg, self.rng.randrange(FINAL + 2, HEAD))
        elif leg.fault == "paid_late":
            self._pay(leg, late)
        elif leg.fault == "partial":
            self._pay(leg, hour, leg.amount * 3 // 5)
        elif leg.fault == "amount_mismatch":
            self._pay(leg, hour)
            leg.booked = transposed(leg.amount)
        elif leg.fault == "duplicate_payment":
            self._transfer(leg, hour)
            again = f"duplicate/{leg.key}"
            # Some hours later somebody presses the button again.
            self._out(hour + self.rng.randrange(30, 70), "tpart", leg.wallet, leg.amount, again, movable=False)
            self.strays.append(Stray(again, "duplicate_payment"))
        elif leg.fault == "wrong_recipient":
            unknown = "0x" + keccak(f"typo/{leg.wallet}".encode())[12:].hex()
            others = sorted(set(self.paid_by_run) - {leg.wallet})
            self._transfer(leg, hour, to=unknown if name == PERIODS[0] else self.rng.choice(others))
        elif leg.fault == "wrong_token_or_chain":
            self._transfer(leg, hour, token="tusd", amount=leg.amount // 10**12)  # noqa: S106
        else:
            assert leg.fault == "reverted_or_failed", leg.fault
            args = (keccak(leg.run_id.encode()), f"@{leg.token}", [leg.wallet], [leg.amount])
            # Sent from the treasury, which is not the vault's owner: the contract refuses.
            treasury = self.people.treasury.address
            self._mark(leg, hour, f"leg/{leg.key}", None)
            self.plan.add(hour, Op(treasury, "vault", "payBatch", args, leg.tag, fails=True))

    def _pay(self, leg: Leg, hour: int, amount: int | None = None) -> None:
        if leg.kind == TASK:
            self._transfer(leg, hour, amount=amount)
        else:
            self._batch(hour, f"single/{leg.key}", [leg], amount)

    def _transfer(
        self, leg: Leg, hour: int, *, to: str | None = None, token: str | None = None, amount: int | None = None
    ) -> None:
        self._mark(leg, hour, f"leg/{leg.key}", leg.amount if amount is None or token else amount)
        self._out(hour, token or leg.token, to or leg.wallet, amount or leg.amount, leg.tag)
        if not leg.fault and self.rng.randrange(10) < 3:
            self._cash_out(leg, hour + self.rng.randrange(40, 240))

    def _batch(self, hour: int, name: str, legs: Sequence[Leg], amount: int | None = None) -> None:
        amounts = [leg.amount for leg in legs] if amount is None else [amount]
        for leg, paid in zip(legs, amounts, strict=True):
            self._mark(leg, hour, f"batch/{name}", paid)
        args = (keccak(legs[0].run_id.encode()), f"@{legs[0].token}", [leg.wallet for leg in legs], amounts)
        self.plan.add(hour, Op(self.people.operator.address, "vault", "payBatch", args, legs[0].tag, movable=True))

    def _out(self, hour: int, token: str, to: str, amount: int, tag: str, *, movable: bool = True) -> None:
        treasury = self.people.treasury.address
        self.plan.add(hour, Op(treasury, token, "transfer", (to, amount), tag, movable=movable))

    def _mark(self, leg: Leg, hour: int, tag: str, booked: int | None) -> None:
        leg.state, leg.sent, leg.tag = "sent", hour * 3_600, tag
        leg.booked = booked if hour <= FINAL else None  # the ledger books final payments only

    def _cash_out(self, leg: Leg, hour: int) -> None:
        """Part of a reward goes on to an exchange."""
        if hour <= HEAD:
            exchange = "0x" + keccak(b"guelta/exchange")[12:].hex()
            amount = leg.amount * self.rng.randrange(20, 95) // 100
            self.plan.add(hour, Op(leg.wallet, leg.token, "transfer", (exchange, amount)))

    def _unexpected(self, hour: int, *, known: bool) -> None:
        """Money out of the treasury that nobody instructed: to a stranger, then to someone who left, paid in full."""
        tag = f"unexpected/{hour}"
        amount = 41 * WHOLE + self.rng.randrange(WHOLE)
        to = self._settled_leaver() if known else "0x" + keccak(b"guelta/stranger")[12:].hex()
        self._out(hour, "tpart", to, amount, tag, movable=False)
        self.strays.append(Stray(tag, "unexpected_on_chain"))

    def _settled_leaver(self) -> str:
        paid: dict[str, int] = defaultdict(int)
        troubled = {leg.party for leg in self.legs if leg.fault}
        for leg in self.legs:
            paid[leg.party] += leg.amount if leg.kind == TASK else 0
        earned: dict[str, int] = defaultdict(int)
        for (party, _), amount in self.rewards.items():
            earned[party] += amount
        leavers = [p for p, amount in sorted(paid.items()) if amount and amount == earned[p] and p not in troubled]
        assert leavers, "nobody left with everything paid; give the story more contributors"
        return self._wallet[self.rng.choice(leavers)]

    # -- answers

    def open_lines(self) -> list[tuple[str, str, str, str, str]]:
        """(party or wallet, token, period, kind, status) of earnings that no leg or claim covers yet."""
        lines = []
        last: dict[tuple[str, str, str], str] = {}
        for leg in self.legs:
            key = (leg.party, leg.token, leg.kind)
            last[key] = max(last.get(key, ""), leg.period)
        earned: dict[tuple[str, str, str, str], int] = defaultdict(int)
        for credit in self.vault.credits:
            if credit.account in self.paid_by_run:
                name = period(credit.hour * 3_600)
                earned[self.paid_by_run[credit.account], credit.token[1:], name, USAGE] += credit.amount
        for (party, month), amount in self.rewards.items():
            earned[party, "tpart", month, TASK] += amount
        for (party, token, month, kind), amount in sorted(earned.items()):
            if amount and month > last.get((party, token, kind), ""):
                status = "not_due" if month == OPEN_PERIOD else "below_threshold_carried"
                lines.append((party, token, month, kind, status))
        by_wallet = {p.wallet: p.party_id for p in self.people.parties if p.wallet}
        for (account, token), left in sorted(self.vault.owed.items()):
            if left and account not in self.paid_by_run:
                # All claims came in November, so what is left was earned after them.
                lines.append((by_wallet.get(account, account), token[1:], OPEN_PERIOD, USAGE, "not_due"))
        return lines
