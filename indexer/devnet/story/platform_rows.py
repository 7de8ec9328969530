"""What the platform knew and when: every version of every row its database ever held."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from indexer.devnet.story.actors import Cast, Party
from indexer.devnet.story.annotation import Labelling, Submission
from indexer.devnet.story.calls import Batch
from indexer.devnet.story.clock import CUT, HEAD, due, second, stamp
from indexer.devnet.story.market import Asset
from indexer.devnet.story.payouts import Leg

Row = dict[str, Any]
NOW = HEAD * 3_600
CORRECTED_FROM = second(CUT) + 3_600


def parties(people: Cast, assets: Sequence[Asset]) -> Iterator[Row]:
    for who in [*people.parties, *(a.agent for a in assets if a.agent)]:
        moments = [t for t in (who.waitlisted, who.joined, who.activated) if t is not None and t <= NOW]
        for at in moments:
            yield _party(who, at)


def _party(who: Party, at: int) -> Row:
    def known(moment: int | None) -> str | None:
        return stamp(moment) if moment is not None and moment <= at else None

    return {
        "party_id": who.party_id,
        "kind": who.kind,
        "roles": ",".join(who.roles),
        "name": who.name,
        "wallet": who.wallet if known(who.activated) else None,
        "country": who.country,
        "client_tier": who.tier,
        "waitlisted_at": known(who.waitlisted),
        "joined_at": known(who.joined),
        "activated_at": known(who.activated),
        "updated_at": stamp(at),
    }


def assets(market: Sequence[Asset], chain_id: int) -> Iterator[Row]:
    for asset in market:
        yield {
            "chain_id": chain_id,
            "asset_id": asset.asset_id,
            "name": asset.name,
            "description": f"{asset.name}, by {asset.owner.name}",
            "language": asset.language,
            "updated_at": stamp(asset.opens),
        }


def tasks(work: Labelling, market: Sequence[Asset], chain_id: int, partner_token: str) -> Iterator[Row]:
    dataset_ids = {a.dataset: a.asset_id for a in market if a.dataset is not None}
    for task in work.tasks:
        for rate in task.rates:
            yield {
                "task_id": task.task_id,
                "version": rate.version,
                "title": task.title,
                "data_type": task.data_type,
                "language": task.language,
                "difficulty": task.difficulty,
                "chain_id": chain_id,
                "dataset_id": dataset_ids[task.dataset],
                "label_count": task.labels,
                "reward_kind": task.reward_kind,
                "base_points": rate.base_points,
                "bonus_pct": rate.bonus_pct,
                "reward_token": None if rate.amount is None else partner_token,
                "reward_amount": None if rate.amount is None else str(rate.amount),
                "review_quorum": task.quorum,
                "valid_from": stamp(rate.valid_from),
                "updated_at": stamp(rate.valid_from),
            }


def gold(work: Labelling) -> Iterator[Row]:
    for task in work.tasks:
        for item, label in sorted(task.gold.items()):
            yield {"task_id": task.task_id, "item_id": item, "label": label, "updated_at": stamp(task.opens)}


def submissions(work: Labelling, rng: random.Random, count: Callable[[str], None]) -> Iterator[Row]:
    """Handed in, then decided; some arrive late, some are corrected in November."""
    for s in work.submissions:
        if s.received != s.at:
            count("late")
        yield _submission(s, s.received, "submitted", None)
        if s.decided is not None:
            final = _submission(s, s.decided, s.status, s.decided)
            # A corrected time never changes money: what was approved stays approved.
            if s.decided < CORRECTED_FROM - 86_400 and rng.randrange(120) == 0:
                count("corrected")
                yield final | {"seconds": s.seconds * 60}
                yield final | {"updated_at": stamp(CORRECTED_FROM + rng.randrange(40 * 3_600))}
            else:
                yield final


def _submission(s: Submission, at: int, status: str, decided: int | None) -> Row:
    return {
        "submission_id": s.submission_id,
        "task_id": s.task.task_id,
        "item_id": s.item,
        "annotator_id": s.worker.party.party_id,
        "label": s.label,
        "value_f64": None,
        "seconds": s.seconds,
        "content_hash": "0x" + s.content.hex() if s.content else None,
        "language": s.task.language,
        "submitted_at": stamp(s.at),
        "status": status,
        "decided_at": None if decided is None else stamp(decided),
        "updated_at": stamp(at),
    }


def reviews(work: Labelling) -> Iterator[Row]:
    for s in work.submissions:
        for review in s.reviews:
            yield {
                "review_id": review.review_id,
                "submission_id": s.submission_id,
                "reviewer_id": review.reviewer,
                "round": review.round,
                "decision": "approve" if review.approve else "disapprove",
                "reason": None if review.approve else "label",
                "reviewed_at": stamp(review.at),
                "updated_at": stamp(review.at),
            }


def prepaid(batches: Sequence[Batch], chain_id: int, tokens: dict[str, str], rng: random.Random) -> Iterator[Row]:
    """Prepaid accounts: topped up before they run dry, used batch by batch, never below zero."""
    by_client: dict[str, list[Batch]] = defaultdict(list)
    for batch in sorted(batches, key=lambda b: (b.at, b.root)):
        if batch.origin == "web2":
            by_client[batch.client].append(batch)
    for turn, (client, used) in enumerate(sorted(by_client.items())):
        entries: list[tuple[str, int, bytes | None, int]] = []
        begins, balance = used[0].at - 5 * 86_400, 0
        if turn % 5 == 0:
            entries.append(("coupon", 2_000_000, None, begins))
            balance += 2_000_000
        for number, batch in enumerate(used):
            if balance < batch.amount:
                coming = sum(b.amount for b in used[number : number + 8])
                top_up = -(-coming // 1_000_000) * 1_000_000  # people buy whole dollars
                entries.append(("topup", top_up, None, batch.at - rng.randrange(3_600, 40 * 3_600)))
                balance += top_up
            entries.append(("usage", batch.amount, batch.root, batch.at))
            balance -= batch.amount
        last = used[-1].at
        if turn % 7 == 3 and balance:
            entries.append(("refund" if turn % 2 else "expiry", balance, None, min(last + 86_400, NOW)))
        for number, (kind, amount, root, at) in enumerate(entries, start=1):
            yield {
                "entry_id": f"{client}-credit-{number:04d}",
                "client_id": client,
                "kind": kind,
                "chain_id": chain_id,
                "token": tokens["tusd"],
                "amount": str(amount),
                "batch_root": "0x" + root.hex() if root else None,
                "at": stamp(at),
                "updated_at": stamp(at),
            }


def payout_legs(legs: Sequence[Leg], mined: dict[str, str], chain_id: int, tokens: dict[str, str]) -> Iterator[Row]:
    for leg in legs:
        first = {
            "run_id": leg.run_id,
            "leg_no": leg.leg_no,
            "party_id": leg.party,
            "wallet": leg.wallet,
            "chain_id": chain_id,
            "token": tokens[leg.token],
            "amount": str(leg.amount),
            "kind": leg.kind,
            "period": leg.period,
            "instructed_at": stamp(leg.instructed),
            "due_at": stamp(due(leg.period)),
            "sent_tx": None,
            "state": "instructed",
            "idempotency_key": f"{leg.period}/{leg.kind}/{leg.party}/{leg.token}",
            "updated_at": stamp(leg.instructed),
        }
        yield first
        if leg.state == "held":
            yield first | {"state": "held", "updated_at": stamp(leg.instructed + 7_200)}
        if leg.sent is not None:
            yield first | {"state": "sent", "sent_tx": mined[leg.tag], "updated_at": stamp(leg.sent + 60)}


def ledger(legs: Sequence[Leg], chain_id: int, tokens: dict[str, str]) -> Iterator[Row]:
    for leg in legs:
        if leg.booked is not None and leg.sent is not None:
            at = min(leg.sent + 2 * 3_600, NOW - 60)
            yield {
                "ledger_id": f"book-{leg.run_id}-{leg.leg_no}",
                "run_id": leg.run_id,
                "leg_no": leg.leg_no,
                "party_id": leg.party,
                "chain_id": chain_id,
                "token": tokens[leg.token],
                "amount": str(leg.booked),
                "booked_at": stamp(at),
                "updated_at": stamp(at),
            }


def malformed(tokens: dict[str, str], chain_id: int) -> dict[str, list[Row]]:
    """Rows that no contract accepts; each stands beside the good ones, so nothing is missing without them."""
    early, late = stamp(20 * 86_400), stamp(CORRECTED_FROM)
    submission = {
        "submission_id": "bad-1", "task_id": "task-01", "item_id": "task-01-i0000", "annotator_id": "user-0001",
        "label": 0, "value_f64": None, "seconds": 10, "content_hash": None, "language": "en", "submitted_at": early,
        "status": "submitted", "decided_at": None, "updated_at": early,
    }  # fmt: skip
    credit = {
        "entry_id": "bad-1", "client_id": "client-001", "kind": "topup", "chain_id": chain_id,
        "token": tokens["tusd"], "amount": "12.50", "batch_root": None, "at": early, "updated_at": early,
    }  # fmt: skip
    return {
        "submissions": [
            submission | {"status": "aproved"},
            submission | {"submission_id": "bad-2", "seconds": -5, "updated_at": late},
            submission | {"submission_id": "bad-3", "annotator_id": None},
            submission | {"submission_id": "bad-4", "submitted_at": "last Tuesday"},
        ],
        "credits": [
            credit,
            credit | {"entry_id": "bad-2", "amount": "-3", "updated_at": late},
            credit | {"entry_id": "bad-3", "amount": "9" * 79},
            credit | {"entry_id": "bad-4", "amount": "1e18"},
        ],
        "reviews": [
            {
                "review_id": "bad-1", "submission_id": "s-000001", "reviewer_id": "user-0001", "round": 1,
                "decision": "maybe", "reason": None, "reviewed_at": early, "updated_at": early,
            }
        ],
        "parties": [
            {
                "party_id": "bad-1", "kind": "person", "roles": "annotator", "name": "Nobody", "wallet": "0x1234",
                "country": "DE", "client_tier": None, "waitlisted_at": None, "joined_at": early,
                "activated_at": early, "updated_at": early,
            }
        ],
    }  # fmt: skip
