"""The four-way match: made worlds whose faults are known, and the conservation of every unit."""

import random
from collections import Counter, defaultdict
from dataclasses import replace
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


def booked(made: Leg, amount: int) -> Booking:
    at = made.due_at
    return Booking(made.key, made.run_id, made.leg_no, made.party, made.chain_id, made.token, amount, at)


def books(earnings=(), legs=(), payouts=(), bookings=None, failed=()) -> Books:
    if bookings is None:
        by_tx = {p.tx_hash: p.amount for p in payouts}
        bookings = [booked(x, by_tx[x.sent_tx]) for x in legs if x.sent_tx in by_tx]
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
        moved, noted, key = True, amount, f"leg:run:{n}"
        made = leg(n, party, amount, sent=tx)
        payout = paid(tx, party, amount, log=n)
        if fault == "paid_late":
            payout = payout._replace(at=DUE + timedelta(days=rng.randrange(1, 20)))
        elif fault == "partial":
            payout = payout._replace(amount=amount - rng.randrange(1, amount + 1) or 1)
            fault, noted = ("partial" if payout.amount < amount else "matched"), payout.amount
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
            made, moved, noted = leg(n, party, amount, state=state, due=due), False, None
        elif fault == "reverted_or_failed":
            failed.add((CHAIN, tx))
            moved, noted = False, None
        elif fault == "amount_mismatch":
            noted = amount + 9
        elif fault == "in_flight":
            payout, noted = payout._replace(block_number=NOW.block + 1, at=NOW.at + timedelta(hours=1)), None
        elif fault == "unexpected_on_chain":
            stray = rng.randbytes(32)
            payouts.append(paid(stray, party, amount + 1, log=n))
            answers[f"tx:{CHAIN}:0x{stray.hex()}:{n}"] = fault
            fault = "matched"
        answers[key] = fault
        legs.append(made)
        payouts += [payout] if moved else []
        bookings += [booked(made, noted)] if noted is not None else []
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
    assert tie(world) == [0, 0]


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
    lone = books([earned("a", 7)], [leg(1, "a", 7)], [paid(b"x" * 32, "a", 7)], [booked(leg(1, "a", 7), 7)])
    assert statuses(lone) == {"leg:run:1": "matched"}
    two = books([earned("a", 14)], [leg(1, "a", 7), leg(2, "a", 7)], [paid(b"x" * 32, "a", 7)], [])
    assert sorted(statuses(two).values()) == ["missing_on_chain", "missing_on_chain", "unexpected_on_chain"]


def test_several_payouts_pay_one_leg_and_one_payout_pays_several():
    parts = [paid(b"x" * 32, "a", 3), paid(b"y" * 32, "a", 4, log=1)]
    assert statuses(books([earned("a", 7)], [leg(1, "a", 7)], parts, [booked(leg(1, "a", 7), 7)])) == {
        "leg:run:1": "matched_grouped"
    }
    both = [booked(leg(1, "a", 3), 3), booked(leg(2, "a", 4), 4)]
    together = books([earned("a", 7)], [leg(1, "a", 3), leg(2, "a", 4)], [paid(b"x" * 32, "a", 7)], both)
    assert statuses(together) == {"leg:run:1": "matched_grouped", "leg:run:2": "matched_grouped"}
    assert sum(link.amount for link in match(together).links) == 7


def test_a_batch_pays_each_of_its_legs_in_one_transaction():
    tx = b"b" * 32
    legs = [leg(1, "a", 5, sent=tx), leg(2, "b", 5, sent=tx)]
    payouts = [paid(tx, "b", 5, log=1, kind="push"), paid(tx, "a", 5, log=0, kind="push")]
    world = books([earned("a", 5), earned("b", 5)], legs, payouts, [booked(x, 5) for x in legs])
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


def tie(world: Books) -> list[int]:
    """Earned less what the lines expect, paid less what they say of it: nothing may be left, whatever went wrong."""
    lines = match(world).lines
    astray = sum(line.astray.amount for line in lines if line.astray)
    return [
        sum(e.amount for e in world.earnings) - sum(line.expected for line in lines),
        sum(p.amount for p in world.payouts) - sum(line.settled for line in lines) - astray,
    ]


def tx(n: int) -> bytes:
    return bytes([n]) * 32


def stands(world: Books) -> dict[str, tuple[str, str | None]]:
    """Status and reason by key; the parties' lines by the party's name."""
    assert tie(world) == [0, 0]
    return {
        line.recon_key if not line.recon_key.startswith("party:") else line.party + line.period[4:]: (
            line.status,
            line.reason,
        )
        for line in match(world).lines
    }


def test_earnings_that_the_runs_passed_over_are_missing_unless_smaller_than_anything_they_ever_paid():
    tx = b"t" * 32
    world = books([earned("a", 50), earned("b", 49), earned("c", 51)], [leg(1, "a", 50, sent=tx)], [paid(tx, "a", 50)])
    named = {key.split(":")[1]: status for key, status in statuses(world).items() if key.startswith("party:")}
    assert named == {"b": "below_threshold_carried", "c": "missing_on_chain"}


def test_a_leg_that_instructs_more_than_was_earned_is_a_mismatch_though_it_is_paid_as_instructed():
    later = [earned("a", 100), earned("a", 50, period="2026-10")]
    world = books(later, [leg(1, "a", 150, sent=tx(1))], [paid(tx(1), "a", 150)])
    line = next(x for x in match(world).lines if x.leg)
    assert (line.status, line.expected, line.settled) == ("amount_mismatch", 100, 150)
    waiting = books([earned("a", 100)], [leg(1, "a", 150, state="instructed", due=NOW.at + timedelta(days=1))])
    assert stands(waiting) == {"leg:run:1": ("amount_mismatch", None)}


def test_a_cancelled_leg_that_is_paid_is_unexpected_and_a_double_where_its_new_issue_is_paid_too():
    old, new = leg(1, "a", 100, sent=tx(1), state="cancelled"), leg(2, "a", 100, sent=tx(2))
    both = [paid(tx(1), "a", 100), paid(tx(2), "a", 100, log=1)]
    world = books([earned("a", 100), earned("a", 100, period="2026-10")], [old, new], both)
    found = stands(world)
    assert found["leg:run:1"] == ("duplicate_payment", None)
    assert found["leg:run:2"] == ("matched", None)
    nobody = [x for x in match(world).links if x.recon_key == "leg:run:1"]
    assert [(x.earning, x.amount) for x in nobody] == [(None, 100)]
    # Without a reference of its own the new issue gets its own payment, never the one the cancelled leg names.
    unnamed = books([earned("a", 100)], [old, new._replace(sent_tx=None)], both, [booked(new, 100)])
    assert stands(unnamed)["leg:run:2"] == ("matched", None)
    alone = stands(books([earned("a", 100)], [old], both[:1]))
    assert alone == {"leg:run:1": ("unexpected_on_chain", None), "a-09": ("missing_on_chain", None)}
    assert stands(books([earned("a", 100)], [old], [])) == {"a-09": ("missing_on_chain", None)}


def test_a_held_leg_that_is_paid_is_unexpected():
    world = books([earned("a", 100)], [leg(1, "a", 100, sent=tx(1), state="held")], [paid(tx(1), "a", 100)])
    assert stands(world) == {"leg:run:1": ("unexpected_on_chain", None)}


def test_what_a_leg_left_of_its_payees_earnings_is_never_carried():
    legs = [leg(1, "a", 901, sent=tx(1)), leg(2, "b", 100, sent=tx(2))]
    payouts = [paid(tx(1), "a", 901), paid(tx(2), "b", 100, log=1)]
    world = books([earned("a", 1000), earned("b", 100)], legs, payouts)
    assert stands(world)["a-09"] == ("amount_mismatch", "attribution_restated")
    # Earned in August, left by the leg of September that was to pay it.
    older = books([earned("a", 1000, period="2026-08"), earned("b", 100)], legs, payouts)
    assert stands(older)["a-08"] == ("amount_mismatch", "attribution_restated")


def test_a_token_that_no_run_ever_paid_is_missing_once_it_is_past_due():
    other = earned("a", 10**30)._replace(token=OTHER)
    pays_b = [leg(2, "b", 100, sent=tx(2))]
    world = books([other, earned("b", 100)], pays_b, [paid(tx(2), "b", 100)])
    assert stands(world)["a-09"] == ("missing_on_chain", None)
    # October has no run yet; runs so far paid on the fifth day of the next month.
    october = books([other._replace(period="2026-10"), earned("b", 100)], pays_b, [paid(tx(2), "b", 100)])
    assert stands(october)["a-10"] == ("not_due", None)
    long_after = replace(october, final={CHAIN: Final(2_000, datetime(2026, 12, 1, tzinfo=UTC))})
    assert stands(long_after)["a-10"] == ("missing_on_chain", None)


def test_the_ledger_is_compared_whatever_state_a_leg_is_in():
    for state, status in (("cancelled", None), ("held", "on_hold"), ("instructed", "not_due")):
        made = leg(1, "a", 100, state=state, due=NOW.at + timedelta(days=1))
        assert stands(books([earned("a", 100)], [made])).get("leg:run:1", (None, None))[0] == status
        told = books([earned("a", 100)], [made], bookings=[booked(made, 100)])
        assert stands(told)["leg:run:1"] == ("amount_mismatch", "source_gap")


def test_a_booking_for_somebody_else_or_in_another_token_is_a_break_and_tokens_are_never_added():
    made, payout = leg(1, "a", 100, sent=tx(1)), paid(tx(1), "a", 100)
    right = booked(made, 100)
    for wrong, status, code in (
        (right._replace(token=OTHER), "wrong_token_or_chain", None),
        (right._replace(chain_id=1), "wrong_token_or_chain", "E07"),
        (right._replace(party="b"), "wrong_recipient", None),
    ):
        for rows, told in (([wrong], None), ([right, wrong._replace(ledger_id="2")], 100)):
            (line,) = match(books([earned("a", 100)], [made], [payout], rows)).lines
            assert (line.status, line.code, line.booked) == (status, code, told)


def test_a_booking_without_a_leg_stands_on_a_line_of_its_own_money():
    ghost = booked(leg(1, "a", 5), 5)._replace(run_id="ghost", token=OTHER, chain_id=5)
    more = ghost._replace(ledger_id="2", token=TOKEN, amount=7)
    first, second = match(books(bookings=[ghost, more])).lines
    assert (first.recon_key, first.status, first.reason) == ("leg:ghost:1", "amount_mismatch", "source_gap")
    assert [(x.chain_id, x.token, x.party, x.booked) for x in (first, second)] == [
        (5, TOKEN, "a", 7),
        (5, OTHER, "a", 5),
    ]
    assert first.recon_key != second.recon_key


def test_a_payee_may_take_later_only_what_he_earned_since_his_last_claim_in_that_token():
    pays_b = leg(1, "b", 5, sent=tx(5))._replace(kind="usage")
    claim = paid(tx(3), "a", 1, kind="claim", at=datetime(2026, 9, 5, tzinfo=UTC))
    payouts = [claim, paid(tx(5), "b", 5, kind="push")]
    usage = [earned("b", 5, kind="usage"), earned("a", 10**20, kind="usage")]
    since = earned("a", 7, kind="usage", period="2026-10")
    found = stands(books([*usage, since], [pays_b], payouts))
    assert (found["a-09"], found["a-10"]) == (("missing_on_chain", None), ("not_due", "claimable"))
    other = books([*usage, since._replace(token=OTHER, period="2026-09")], [pays_b], payouts)
    assert [x.status for x in match(other).lines if x.token == OTHER] == ["missing_on_chain"]
    # Where no run pays usage at all, claiming is the only way.
    assert stands(books([since], [], []))["a-10"] == ("not_due", "claimable")
