"""The four-way match: made worlds whose faults are known, and the conservation of every unit."""

import random
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from quality.matching import Booking, Books, Earning, Final, Leg, Link, Payout, match

CHAIN = 1337
TOKEN, OTHER = b"\x01" * 20, b"\x02" * 20
DUE = datetime(2026, 10, 5, 23, 59, 59, tzinfo=UTC)
NOW = Final(1_000, datetime(2026, 11, 1, tzinfo=UTC))


def wallet(party: str) -> bytes:
    return sha256(party.encode()).digest()[:20]


def earned(party: str, amount: int, *, period: str = "2026-09", n: int = 0, kind: str = "task") -> Earning:
    day = date.fromisoformat(f"{period}-{n + 1:02d}")
    return Earning(f"e-{party}-{period}-{kind}-{n}", day, period, CHAIN, TOKEN, party, wallet(party), kind, amount)


def leg(n: int, party: str, amount: int, *, sent: bytes | None = None, state: str = "sent", due: datetime = DUE) -> Leg:
    at = due - timedelta(days=3)
    return Leg("run", n, party, wallet(party), CHAIN, TOKEN, amount, "task", "2026-09", at, due, sent, state)


def paid(
    tx: bytes, party: str, amount: int, *, at: datetime = DUE - timedelta(days=1), block: int = 900, log: int = 0,
    token: bytes = TOKEN, account: bytes | None = None, kind: str = "transfer",
) -> Payout:  # fmt: skip
    to = account or wallet(party)
    return Payout(f"{tx.hex()}:{log}", CHAIN, block, log, tx, at, kind, to, party, token, amount)


def books(earnings=(), legs=(), payouts=(), bookings=None, failed=()) -> Books:
    if bookings is None:
        by_tx = {p.tx_hash: p.amount for p in payouts}
        bookings = [Booking(x.run_id, x.leg_no, by_tx[x.sent_tx]) for x in legs if x.sent_tx in by_tx]
    return Books(list(earnings), list(legs), list(payouts), list(bookings), frozenset(failed), {CHAIN: NOW})


def statuses(world: Books) -> dict[str, str]:
    return {line.recon_key: line.status for line in match(world).lines}


FAULTS = [
    "matched",
    "paid_late",
    "partial",
    "duplicate_payment",
    "wrong_recipient",
    "wrong_token_or_chain",
    "missing_on_chain",
    "reverted_or_failed",
    "amount_mismatch",
    "on_hold",
    "not_due",
    "in_flight",
    "unexpected_on_chain",
    "below_threshold_carried",
]


def a_world(seed: int, size: int) -> tuple[Books, dict[str, str]]:
    """One leg a party, each with one fault; the answer is written down while the fault is made."""
    rng = random.Random(seed)
    earnings: list[Earning] = []
    legs: list[Leg] = []
    payouts: list[Payout] = []
    bookings: list[Booking] = []
    failed, answers = set(), {}
    for n in range(size):
        # The first leg is a plain one: where no run was ever instructed, nothing can be carried.
        party, fault, tx = f"p{n}", rng.choice(FAULTS) if n else "matched", rng.randbytes(32)
        parts = [rng.randrange(1, 10**24) for _ in range(rng.randrange(1, 4))]
        amount = sum(parts)
        if fault == "below_threshold_carried":
            earnings.append(earned(party, 1))
            answers[f"party:{party}:{CHAIN}:0x{TOKEN.hex()}:2026-09:task"] = fault
            continue
        earnings += [earned(party, part, n=i) for i, part in enumerate(parts)]
        moved, booked, key = True, amount, f"leg:run:{n}"
        made = leg(n, party, amount, sent=tx)
        payout = paid(tx, party, amount, log=n)
        if fault == "paid_late":
            payout = payout._replace(at=DUE + timedelta(days=rng.randrange(1, 20)))
        elif fault == "partial":
            payout = payout._replace(amount=amount - rng.randrange(1, amount + 1) or 1)
            fault, booked = ("partial" if payout.amount < amount else "matched"), payout.amount
        elif fault == "duplicate_payment":
            again = rng.randbytes(32)
            payouts.append(paid(again, party, amount, at=payout.at + timedelta(hours=40), log=n))
            answers[f"tx:{CHAIN}:0x{again.hex()}:{n}"] = fault
            fault = "matched"
        elif fault == "wrong_recipient":
            payout = payout._replace(account=rng.randbytes(20), party="0xdead")
        elif fault == "wrong_token_or_chain":
            payout = payout._replace(token=OTHER, amount=amount // 10**12 + 1)
        elif fault in ("missing_on_chain", "on_hold", "not_due"):
            state = "held" if fault == "on_hold" else "instructed"
            due = NOW.at + timedelta(days=2) if fault == "not_due" else DUE
            made, moved, booked = leg(n, party, amount, state=state, due=due), False, None
        elif fault == "reverted_or_failed":
            failed.add((CHAIN, tx))
            moved, booked = False, None
        elif fault == "amount_mismatch":
            booked = amount + 9
        elif fault == "in_flight":
            payout, booked = payout._replace(block_number=NOW.block + 1, at=NOW.at + timedelta(hours=1)), None
        elif fault == "unexpected_on_chain":
            stray = rng.randbytes(32)
            payouts.append(paid(stray, party, amount + 1, log=n))
            answers[f"tx:{CHAIN}:0x{stray.hex()}:{n}"] = fault
            fault = "matched"
        answers[key] = fault
        legs.append(made)
        payouts += [payout] if moved else []
        bookings += [Booking("run", n, booked)] if booked is not None else []
    for side in (earnings, legs, payouts, bookings):
        rng.shuffle(side)
    return books(earnings, legs, payouts, bookings, failed), answers


def naive_links(world: Books, links: list[Link]) -> dict[tuple[str, str], int]:
    """Discharge unit by unit of account: a list scan for each payout, without queues or pointers."""
    order = sorted(
        {(x.payout.at, x.payout.block_number, x.payout.log_index, x.recon_key): x for x in links if x.earning}.items()
    )
    left = {e.earning_id: e.amount for e in world.earnings}
    made: dict[tuple[str, str], int] = {}
    for _, link in order:
        assert link.earning
        who, rest = link.earning.party, link.payout.amount
        for e in sorted((e for e in world.earnings if e.party == who), key=lambda e: (e.day, e.earning_id)):
            part = min(rest, left[e.earning_id])
            if part and e.day <= link.payout.at.date():
                made[link.payout.payout_id, e.earning_id] = part
                left[e.earning_id] -= part
                rest -= part
    return made


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60))
def test_every_planted_fault_is_found_under_its_status_and_nothing_else(seed, size):
    world, answers = a_world(seed, size)
    found = match(world)
    assert {line.recon_key: line.status for line in found.lines} == answers
    assert len({line.recon_key for line in found.lines}) == len(found.lines)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60))
def test_every_unit_of_a_final_payout_is_allocated_once_and_no_earning_beyond_itself(seed, size):
    world, _ = a_world(seed, size)
    links = match(world).links
    settled, discharged = defaultdict(int), Counter()
    for link in links:
        settled[link.payout.payout_id] += link.amount
        if link.earning:
            discharged[link.earning.earning_id] += link.amount
            assert link.earning.day <= link.payout.at.date()
    assert settled == {p.payout_id: p.amount for p in world.payouts if p.block_number <= NOW.block}
    assert all(discharged[e.earning_id] <= e.amount for e in world.earnings)
    assert naive_links(world, links) == {
        (x.payout.payout_id, x.earning.earning_id): x.amount for x in links if x.earning
    }


def test_a_leg_without_a_reference_is_matched_by_its_amount_only_where_nobody_else_could_be_meant():
    lone = books([earned("a", 7)], [leg(1, "a", 7)], [paid(b"x" * 32, "a", 7)], [Booking("run", 1, 7)])
    assert statuses(lone) == {"leg:run:1": "matched"}
    two = books([earned("a", 14)], [leg(1, "a", 7), leg(2, "a", 7)], [paid(b"x" * 32, "a", 7)], [])
    assert sorted(statuses(two).values()) == ["missing_on_chain", "missing_on_chain", "unexpected_on_chain"]


def test_several_payouts_pay_one_leg_and_one_payout_pays_several():
    parts = [paid(b"x" * 32, "a", 3), paid(b"y" * 32, "a", 4, log=1)]
    assert statuses(books([earned("a", 7)], [leg(1, "a", 7)], parts, [Booking("run", 1, 7)])) == {
        "leg:run:1": "matched_grouped"
    }
    both = [Booking("run", 1, 3), Booking("run", 2, 4)]
    together = books([earned("a", 7)], [leg(1, "a", 3), leg(2, "a", 4)], [paid(b"x" * 32, "a", 7)], both)
    assert statuses(together) == {"leg:run:1": "matched_grouped", "leg:run:2": "matched_grouped"}
    assert sum(link.amount for link in match(together).links) == 7


def test_a_batch_pays_each_of_its_legs_in_one_transaction():
    tx = b"b" * 32
    legs = [leg(1, "a", 5, sent=tx), leg(2, "b", 5, sent=tx)]
    payouts = [paid(tx, "b", 5, log=1, kind="push"), paid(tx, "a", 5, log=0, kind="push")]
    world = books([earned("a", 5), earned("b", 5)], legs, payouts, [Booking("run", 1, 5), Booking("run", 2, 5)])
    assert statuses(world) == {"leg:run:1": "matched", "leg:run:2": "matched"}


def test_claims_are_compared_with_what_was_earned_up_to_their_day():
    tx, late = b"c" * 32, b"d" * 32
    earnings = [earned("a", 10, kind="usage"), earned("a", 5, kind="usage", period="2026-10")]
    claims = [paid(tx, "a", 10, kind="claim"), paid(late, "a", 8, kind="claim", at=datetime(2026, 10, 20, tzinfo=UTC))]
    found = match(books(earnings, [], claims, []))
    assert {line.recon_key: (line.status, line.delta) for line in found.lines} == {
        f"tx:{CHAIN}:0x{tx.hex()}:0": ("matched", 0),
        f"tx:{CHAIN}:0x{late.hex()}:0": ("unexpected_on_chain", 3),
    }
    before = match(books(earnings, [], claims[:1], []))
    assert [(line.status, line.expected) for line in before.lines if line.recon_key.startswith("party:")] == [
        ("not_due", 5)
    ]


def test_earnings_that_the_runs_passed_over_are_missing_unless_smaller_than_anything_they_ever_paid():
    tx = b"t" * 32
    world = books([earned("a", 50), earned("b", 49), earned("c", 51)], [leg(1, "a", 50, sent=tx)], [paid(tx, "a", 50)])
    named = {key.split(":")[1]: status for key, status in statuses(world).items() if key.startswith("party:")}
    assert named == {"b": "below_threshold_carried", "c": "missing_on_chain"}
