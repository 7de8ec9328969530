"""The house's own tables, built as things happen, equal those built from everything at once."""

from datetime import timedelta

import quality
from models.build import build
from models.digest import digest

from .world import START


def test_late_rows_new_terms_and_new_names_reach_every_table(an_economy):
    world = an_economy
    world.build()
    tables = quality.tables()
    names = [model.name for model in tables]
    ((chain_id, root, token, amount),) = world.ask(
        "select chain_id, batch_root, token, amount from core.payments order by day, log_index limit 1"
    )
    world.mine(24 * 40)
    world.settle(4, 123_457)
    world.party("stranger", joined_at=world.at, activated_at=world.at)  # an account that was only an address
    world.transaction()
    world.set_terms(1, [("ann", 10_000)])
    world.mine(5)
    world.settle(3, 999_983)
    late = {"entry_id": "late", "client_id": "client", "kind": "usage", "chain_id": chain_id, "token": token}
    world.put("platform_credits", **late, **world.pair("amount", amount), batch_root=root, at=world.at)
    built = world.build()
    assert any(one.days for one in built.values())  # something was built by its days alone
    incremental = digest(world.lake, names)
    build(world.lake, tables, full=True)
    assert digest(world.lake, names) == incremental
    assert all(one.skipped for one in build(world.lake, tables))


def test_a_call_that_a_revision_moves_to_another_day_stands_once(an_economy):
    world = an_economy
    tables = quality.tables()
    chosen = ["+core.usage_days", "+core.latency_buckets"]
    world.land()
    build(world.lake, tables, selection=chosen, gate=quality.gate(world.lake))
    count = "select count(*), count(distinct call_id) from core.calls"
    moved = {
        "call_id": "k-0-0",
        "root_call_id": "k-0-0",
        "client_id": "client",
        "status": "ok",
        "source": "gateway",
    } | {"origin": "web3"}
    for rev, day in ((2, 2), (3, 1), (5, 0), (4, 2)):
        world.put("gateway_calls", **moved, rev=rev, at=START + timedelta(days=day))
        world.land()
        build(world.lake, tables, selection=chosen, gate=quality.gate(world.lake))
        names = ["core.calls", "core.usage_days", "core.latency_buckets"]
        incremental = digest(world.lake, names)
        assert world.ask(count) == [(12, 12)]
        build(world.lake, tables, selection=chosen, full=True)
        assert digest(world.lake, names) == incremental
