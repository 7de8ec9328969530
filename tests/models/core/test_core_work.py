"""What the platform reported: the newest version counts, and work is worth the rate of the day it was handed in."""

from datetime import timedelta


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


def test_a_wallet_named_by_two_parties_belongs_to_the_last(world):
    world.chain()
    world.party("first", wallet=world.address("shared"))
    world.mine()
    world.party("second", wallet=world.address("shared"))
    world.build("+core.party_keys", "core.parties")
    assert world.ask("select party from core.party_keys") == [("second",)]
    assert world.ask("select party from core.parties order by party") == [("first",), ("second",)]


def test_the_way_in_is_told_step_by_step(a_built_economy):
    steps = a_built_economy.ask("select type from core.party_events where party = 'ann' order by \"at\", type")
    assert steps == [("activated",), ("joined",), ("first_approved",), ("first_payout",)]
