"""What anybody can write on a chain must neither stop the house, nor hide in it, nor pass for money."""

import pytest

import quality
from guelta.errors import GateRefused
from models.build import build

JUNK = "junk"


def gated(world, *selection):
    world.land()
    gate = quality.gate(world.lake)
    return {one.name: one for one in build(world.lake, quality.tables(), selection=selection, gate=gate)}


@pytest.mark.parametrize(("amount", "days"), [(9 * 10**37, 0), (9 * 10**37, 1), (2**256 - 1, 0)])
def test_a_worthless_token_in_huge_amounts_stops_nothing_and_is_lost_nowhere(an_economy, amount, days):
    world, junk = an_economy, an_economy.address(JUNK)
    honest = "select party, token, kind, earned, paid, open from marts.contributor_balances order by all"
    world.build()
    before = world.ask(honest)
    for _ in range(2):
        world.mine(24 * days or 1)
        world.settle(4, amount, token=junk)
        world.claim("ann", amount, junk)
        world.transaction()
        world.transfer(world.TREASURY, world.address("ann"), amount, junk)  # a log of the junk contract, no more
    world.rows["raw.reference_calls_settled"][-1]["calls"] = 2**64 - 1
    world.finalize()
    built = gated(world)
    assert {one.name: one.reason for one in built.values() if "refused" in one.reason or "waits" in one.reason} == {}
    assert world.ask(honest) == before
    assert world.ask("select token from core.wide_tokens") == [(junk,)]
    raw = world.pair("x", amount)["x_raw"]
    mine = "token = unhex('" + junk.hex() + "')"
    assert world.ask(f"select amount, amount_raw from core.payments where {mine}") == [(None, raw)] * 2
    assert world.ask(f"select kind, amount_raw from core.payout_events where {mine} order by kind") == [
        ("claim", raw),
        ("claim", raw),
        ("transfer", raw),
        ("transfer", raw),
    ]
    assert world.ask(f"select count(*) from core.payouts where {mine}") == [(0,)]
    net = world.pair("x", amount - amount * 250 // 10_000)["x_raw"]
    assert (
        world.ask(f"select party, entries, amount, amount_raw from core.earnings where {mine}")
        == [("suspense:beyond_38_digits", 1, None, net)] * 2
    )


def test_what_the_logs_deny_is_nobodys_earning(world):
    world.chain()
    world.register(1, 0, [("a", 5000), ("b", 5000)])
    world.mine()
    world.settle(1, 10**6)
    told = world.rows["raw.reference_earning_accrued"][0]
    told |= world.pair("amount", told["amount"] - 1000)
    world.finalize()
    with pytest.raises(GateRefused, match=r"core\.accrual_proof\.in_set\(equal, true\)"):
        gated(world)
    assert world.lake.exists("core.accruals")
    assert [name for name in ("core.earnings", "marts.earnings_daily") if world.lake.exists(name)] == []
    # nor where the proof is simply left out
    build(world.lake, quality.tables(), selection=["core.accrual_proof"])  # no gate: what a proof would be that lies
    with pytest.raises(GateRefused, match=r"core\.earnings\.proven"):
        gated(world, "core.earnings")


def test_a_theft_beside_a_settlement_is_seen(an_economy):
    world = an_economy
    world.mine()
    world.settle(1, 1, fee_bps=0)
    thief = world.address("thief")
    world.transfer(world.TREASURY, thief, 10**24, world.TPART)  # the same transaction
    world.claim("ann", 2)
    world.transfer(world.TREASURY, world.address("ann"), 2, world.TUSD)  # as if it were the claim
    world.finalize()
    world.build("+core.payouts")
    assert world.ask(
        f"select kind, account, amount from core.payouts where block_number = {world.block} order by log_index"
    ) == [
        ("transfer", thief, 10**24),
        ("claim", world.address("ann"), 2),
        ("transfer", world.address("ann"), 2),
    ]
