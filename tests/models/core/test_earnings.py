"""Who earned what from a payment: the golden case, and random graphs against the contract's recursion in plain integers."""

import models
from models.build import build


def _build(world, *selection):
    world.land()
    return build(world.lake, models.load(), selection=selection)


def _rows(world, sql, *tables):
    with world.lake.duck(tables) as con:
        return con.execute(sql).fetchall()


def test_golden_case_of_the_reference_contract(world):
    world.chain()
    world.register(1, 0, [("a1", 5000), ("a2", 3000), ("a3", 2000)])
    world.register(2, 1, [("a3", 7000), ("a4", 3000)])
    world.edge(2, 1, 2000)
    world.register(3, 2, [("a5", 10_000)])
    world.edge(3, 2, 3000)
    world.mine()
    world.settle(3, 10**18 + 7)
    _build(world, "+core.accrual_proof", "+core.flows")
    rows = _rows(
        world, "select asset_id, path, ord, cast(amount as varchar) from core.accruals order by seq", "core.accruals"
    )
    assert rows == [
        (1, "3>2>1", 1, "29250000000000000"),
        (1, "3>2>1", 2, "17550000000000000"),
        (1, "3>2>1", 3, "11700000000000000"),
        (2, "3>2", 1, "163800000000000001"),
        (2, "3>2", 2, "70200000000000001"),
        (3, "3", 1, "682500000000000005"),
    ]
    proof = _rows(world, "select count(*), count(*) filter (where equal) from core.accrual_proof", "core.accrual_proof")
    assert proof == [(6, 6)]
