"""What the platform reported: the newest version counts, and work is worth the rate of the day it was handed in."""

from datetime import timedelta

import quality
from models.build import build

from .world import START


def test_a_reward_has_the_rate_of_the_day_the_work_was_handed_in(a_built_economy):
    one, two = 2 * 10**18 + 1, 3 * 10**18
    assert a_built_economy.ask(
        "select party, submission_id, points, amount, rate_version, cast(day as varchar) from core.reward_entries "
        "order by submission_id"
    ) == [
        ("ann", "s-0", 21, one, 1, "2026-08-14"),
        ("ann", "s-1", 21, one, 1, "2026-08-14"),
        ("bob", "s-2", 21, two, 2, "2026-08-14"),
    ]
    assert a_built_economy.ask(
        "select party, terms_id, entries, amount, provenance from core.earnings where kind = 'task' order by party"
    ) == [("ann", "task-1:1", 2, 2 * one, "platform"), ("bob", "task-1:2", 1, two, "platform")]


def test_a_corrected_row_replaces_the_one_before_whenever_it_arrives(an_economy):
    an_economy.build()
    late = an_economy.at + timedelta(days=1)
    row = {"submission_id": "s-1", "task_id": "task-1", "item_id": "i-1", "annotator_id": "ann", "label": 1}
    an_economy.put("platform_submissions", **row, submitted_at=late, status="rejected", updated_at=late)
    an_economy.build()
    assert an_economy.ask("select submission_id from core.reward_entries order by submission_id") == [
        ("s-0",),
        ("s-2",),
    ]
    assert an_economy.ask("select amount from core.earnings where kind = 'task' and party = 'ann'") == [
        (2 * 10**18 + 1,)
    ]
    an_economy.put(
        "platform_submissions", **row, submitted_at=late, status="approved", updated_at=late - timedelta(days=1)
    )
    an_economy.build()
    assert an_economy.ask("select count(*) from core.reward_entries") == [(2,)]


def test_who_names_a_wallet_later_gets_nothing_of_its_past(world):
    world.chain()
    world.register(1, 0, [("shared", 10_000)], owner="shared")
    world.settle(1, 100, payer="shared", fee_bps=0)  # before anybody named the wallet
    world.mine(24)
    world.party("first", wallet=world.address("shared"))
    world.settle(1, 200, fee_bps=0)
    world.build("+marts.earnings_daily", "+core.payouts", "+core.assets", "core.parties")
    earned = "select party, amount from core.accruals order by amount"
    assert world.ask(earned) == [("first", 100), ("first", 200)]
    world.mine(24)
    world.party("second", wallet=world.address("shared"))
    world.settle(1, 300, fee_bps=0)
    world.claim("shared", 5)
    world.mine(24)
    world.party("first", wallet=world.address("shared"), country="DE")  # an edit names nothing anew
    world.settle(1, 400, payer="shared", fee_bps=0)
    world.finalize()
    world.build("+marts.earnings_daily", "+core.payouts", "+core.assets", "core.parties")
    assert world.ask(earned) == [("first", 100), ("first", 200), ("second", 300), ("second", 400)]
    assert world.ask("select payer_party from core.payments where amount in (100, 400) order by amount") == [
        ("first",),
        ("second",),
    ]
    assert world.ask("select owner_party from core.assets") == [("first",)]
    assert world.ask("select party from core.payouts") == [("second",)]
    assert world.ask(
        "select party, valid_from is null, valid_to is null, contested from core.party_keys order by party"
    ) == [("first", True, False, True), ("second", False, True, True)]
    assert world.broken("core.party_keys") == ["core.party_keys.in_set(contested, false)"]
    assert world.ask("select party from core.parties order by party") == [("first",), ("second",)]


def test_the_way_in_is_told_step_by_step(a_built_economy):
    steps = a_built_economy.ask("select type from core.party_events where party = 'ann' order by \"at\", type")
    assert steps == [("activated",), ("joined",), ("first_approved",), ("first_payout",)]


def test_work_without_a_rate_or_a_chain_waits_in_sight(an_economy):
    before = START - timedelta(seconds=1)
    done = {"item_id": "x", "annotator_id": "ann", "label": 1, "status": "approved"}
    decided = START + timedelta(days=1)
    for name, task, at in (("early", "task-1", before), ("nochain", "t-2", decided), ("points", "t-3", decided)):
        an_economy.put(
            "platform_submissions", submission_id=name, task_id=task, submitted_at=at, decided_at=decided, **done
        )
    task = {"version": 1, "title": "x", "data_type": "image", "valid_from": START, "base_points": 10, "bonus_pct": 0}
    an_economy.put(
        "platform_tasks", task_id="t-2", **task, reward_token=an_economy.TPART, **an_economy.pair("reward_amount", 5)
    )
    an_economy.put("platform_tasks", task_id="t-3", **task)
    an_economy.land()
    build(an_economy.lake, quality.tables(), selection=["+core.earnings"], gate=quality.gate(an_economy.lake))
    assert an_economy.ask(
        "select entry_id, party, state, points, amount from core.reward_entries where entry_id not like 's-%' "
        "order by entry_id"
    ) == [
        ("early", "ann", "no_rate", None, None),
        ("nochain", "ann", "no_chain", 10, 5),
        ("points", "ann", "points_only", 10, None),
    ]
    assert an_economy.broken("core.reward_entries") == ["core.reward_entries.in_set(state, owed, points_only)"]
    assert an_economy.ask("select sum(entries) from core.earnings where kind = 'task'") == [(3,)]
