"""The house's own tables, built as things happen, equal those built from everything at once."""

import quality
from models.build import build
from models.digest import digest


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
