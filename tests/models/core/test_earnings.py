"""Who earned what from a payment: the golden case, and random graphs against the contract in plain integers."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import quality
from guelta.errors import Fatal
from guelta.money import amounts
from models.build import build
from models.core.earnings import _cascade
from models.marts import assets as asset_graph


def test_golden_case_of_the_reference_contract(world):
    world.chain()
    world.register(1, 0, [("a1", 5000), ("a2", 3000), ("a3", 2000)])
    world.register(2, 1, [("a3", 7000), ("a4", 3000)])
    world.edge(2, 1, 2000)
    world.register(3, 2, [("a5", 10_000)])
    world.edge(3, 2, 3000)
    world.mine()
    world.settle(3, 10**18 + 7)
    world.build("+core.accrual_proof", "+core.earnings")
    assert world.ask("select asset_id, path, ord, is_remainder, amount from core.accruals order by seq") == [
        (1, "3>2>1", 1, False, 29250000000000000),
        (1, "3>2>1", 2, False, 17550000000000000),
        (1, "3>2>1", 3, True, 11700000000000000),
        (2, "3>2", 1, False, 163800000000000001),
        (2, "3>2", 2, True, 70200000000000001),
        (3, "3", 1, True, 682500000000000005),
    ]
    assert world.ask("select path, depth, bps, amount_in, passed_up, kept from core.flows order by depth") == [
        ("3", 0, 10_000, 975000000000000007, 292500000000000002, 682500000000000005),
        ("3>2", 1, 3000, 292500000000000002, 58500000000000000, 234000000000000002),
        ("3>2>1", 2, 2000, 58500000000000000, 0, 58500000000000000),
    ]
    assert world.ask("select count(*), count(*) filter (where equal) from core.accrual_proof") == [(6, 6)]
    a3 = "0x" + world.address("a3").hex()
    assert world.ask(
        f"select role, source_asset, amount from core.earnings where party = '{a3}' order by source_asset"
    ) == [("data_contributor", 1, 11700000000000000), ("model_developer", 2, 163800000000000001)]


def test_a_log_that_differs_by_one_unit_is_found(world):
    world.chain()
    world.register(1, 0, [("a", 5000), ("b", 5000)])
    world.mine()
    world.settle(1, 1_000_000)
    world.transaction()
    world.settle(1, 77)
    told = world.rows["raw.reference_earning_accrued"][2]
    told |= world.pair("amount", told["amount"] + 1)
    del world.rows["raw.reference_earning_accrued"][3]
    world.build("+core.accrual_proof")
    assert world.ask("select seq, computed, emitted from core.accrual_proof where not equal order by seq") == [
        (1, 38, 39),
        (2, 38, None),
    ]
    assert world.broken("core.accrual_proof") == ["core.accrual_proof.in_set(equal, true)"]


def test_terms_count_from_the_log_after_them_on(world):
    world.chain()
    world.register(1, 0, [("old", 10_000)])
    world.mine()
    world.settle(1, 100, fee_bps=0)
    world.set_terms(1, [("new", 10_000)])
    world.settle(1, 100, fee_bps=0)
    world.build("+core.accrual_proof")
    assert world.ask("select terms_id, equal from core.accruals join core.accrual_proof using (value_id, seq)") == [
        ("1337:1:1", True),
        ("1337:1:2", True),
    ]


def test_money_that_nobody_can_be_named_for_stays_in_suspense(world):
    world.chain()
    world.register(1, 0, [("a", 10_000)])
    world.edge(1, 9, 2500)
    world.terms[9] = [("nobody", 10_000)]  # asset 9 was registered before the first block we hold
    world.mine()
    world.settle(1, 1000, fee_bps=100)
    world.settle(1, 10**38 + 5, fee_bps=0, token=world.TAI)
    del world.rows["raw.reference_earning_accrued"]
    world.build()
    assert world.ask("select party, role, source_asset, amount from core.earnings order by amount nulls last") == [
        ("suspense:no_terms", "suspense", 9, 247),
        ("0x" + world.address("a").hex(), "data_contributor", 1, 743),
        ("suspense:beyond_38_digits", "suspense", 1, None),
    ]
    wide = world.ask("select amount_raw from core.earnings where amount is null")
    assert int.from_bytes(wide[0][0], "big") == 10**38 + 5
    assert world.ask("select gross_value, supply_side, protocol_revenue, carry from marts.ecosystem_daily") == [
        (1000, 743, 10, 247)
    ]


def test_a_new_day_is_added_without_touching_the_others(an_economy):
    an_economy.build()
    everything = "select * from core.earnings order by earning_id"
    before = an_economy.ask(everything)
    an_economy.mine(hours=24)
    an_economy.settle(4, 123_457)
    built = an_economy.build()
    assert (built["core.value_events"].days, built["core.accruals"].days, built["core.earnings"].days) == (1, 1, 1)
    grown = an_economy.ask(everything)
    assert set(before) < set(grown)
    build(an_economy.lake, quality.tables(), full=True)
    assert an_economy.ask(everything) == grown


@st.composite
def economies(draw):
    """Assets with older parents, terms that change, and payments in between, as a list of happenings."""
    count = draw(st.integers(1, 6))
    accounts = st.sampled_from([bytes([n]) * 20 for n in range(1, 6)])

    def payees():
        size = draw(st.integers(1, 4))
        cuts = sorted(draw(st.lists(st.integers(0, 10_000), min_size=size - 1, max_size=size - 1)))
        bps = [b - a for a, b in zip([0, *cuts], [*cuts, 10_000], strict=True)]
        return [(draw(accounts), share) for share in bps]

    happenings: list[tuple] = []
    left = dict.fromkeys(range(1, count + 1), 9_000)
    for asset in range(1, count + 1):
        happenings.append(("terms", asset, payees()))
        for _ in range(draw(st.integers(0, 3)) if asset > 1 else 0):
            bps = draw(st.integers(0, left[asset]))
            left[asset] -= bps
            happenings.append(("edge", asset, draw(st.integers(1, asset - 1)), bps))
    for _ in range(draw(st.integers(1, 8))):
        if draw(st.booleans()):
            happenings.append(("terms", draw(st.integers(1, count)), payees()))
        whole = st.one_of(st.integers(0, 50), st.integers(10**18, 10**19), st.integers(10**37, 10**38 - 1))
        happenings.append(("pay", draw(st.integers(1, count)), draw(whole)))
    return happenings


@settings(max_examples=60, deadline=None)
@given(economies())
def test_random_graphs_equal_the_contract_in_plain_integers(happenings):
    edges, terms, payees, events, expected = [], [], [], [], []
    now_edges: dict[int, list] = {}
    now_terms: dict[int, list] = {}

    def credit(asset, amount, path):
        kept = amount
        for parent, bps in now_edges.get(asset, []):
            up = amount * bps // 10_000
            kept -= up
            yield from credit(parent, up, f"{path}>{parent}")
        left = kept
        for at, (account, bps) in enumerate(now_terms[asset], start=1):
            share = left if at == len(now_terms[asset]) else kept * bps // 10_000
            left -= share
            yield path, account, share

    for at, (what, asset, *rest) in enumerate(happenings):
        block, log = divmod(at, 3)
        if what == "terms":
            now_terms[asset] = rest[0]
            name = f"t{at}"
            terms.append((name, 1, asset, block, log))
            payees += [(name, n, account, "p", bps, 10_000) for n, (account, bps) in enumerate(rest[0], start=1)]
        elif what == "edge":
            now_edges.setdefault(asset, []).append(tuple(rest))
            edges.append((1, asset, rest[0], rest[1], len(now_edges[asset]), block, log))
        else:
            events.append((f"v{at:04}", 1, asset, b"\1" * 20, block, log, rest[0]))
            lines = list(credit(asset, rest[0], str(asset)))
            assert sum(share for _, _, share in lines) == rest[0]
            expected += [(f"v{at:04}", n, *line) for n, line in enumerate(lines, start=1)]

    int_keys = ["chain_id", "child_id", "parent_id", "bps", "ord", "block_number", "log_index"]
    edge_frame = pl.DataFrame(edges, schema=dict.fromkeys(int_keys, pl.Int64), orient="row")
    term_frame = pl.DataFrame(
        terms,
        schema={"terms_id": pl.String} | dict.fromkeys(["chain_id", "asset_id", "from_block", "from_log"], pl.Int64),
        orient="row",
    )
    payee_frame = pl.DataFrame(
        payees,
        schema={
            "terms_id": pl.String,
            "ord": pl.Int64,
            "account": pl.Binary,
            "party": pl.String,
            "bps": pl.Int64,
            "denominator": pl.Int64,
        },
        orient="row",
    )
    event_frame = pl.DataFrame(
        [event[:-1] for event in events],
        schema={
            "value_id": pl.String,
            "chain_id": pl.Int64,
            "asset_id": pl.Int64,
            "token": pl.Binary,
            "block_number": pl.Int64,
            "log_index": pl.Int64,
        },
        orient="row",
    ).with_columns(amounts("net", [event[-1] for event in events]), pl.lit(None, dtype=pl.Date).alias("day"))
    # the order of the rows that come in must not matter
    flows = _cascade.flows(event_frame.reverse(), edge_frame.reverse(), term_frame.reverse())
    found = _cascade.accruals(flows.reverse(), payee_frame.reverse())
    rows = [
        (value_id, seq, path, account, int(amount))
        for value_id, seq, path, account, amount in found.select(
            "value_id", "seq", "path", "account", "amount"
        ).iter_rows()
    ]
    assert sorted(rows) == sorted(expected)


def test_assets_that_use_each_other_are_refused_by_name():
    edges = pl.DataFrame(
        [(1, 1, 2, 100, 1, 0, 0), (1, 2, 1, 100, 1, 0, 1)],
        schema=["chain_id", "child_id", "parent_id", "bps", "ord", "block_number", "log_index"],
        orient="row",
    )
    event = pl.DataFrame(
        {"value_id": ["v"], "chain_id": [1], "asset_id": [1], "token": [b""], "block_number": [1], "log_index": [0]}
    ).with_columns(amounts("net", [10**30]), pl.lit(None, dtype=pl.Date).alias("day"))
    terms = pl.DataFrame({"terms_id": ["t"], "chain_id": [1], "asset_id": [1], "from_block": [0], "from_log": [0]})
    with pytest.raises(Fatal, match="use each other in a circle"):
        _cascade.flows(event, edges, terms)
    both = pl.DataFrame({"chain_id": [1, 1], "asset_id": [1, 2]})
    with pytest.raises(Fatal, match="use each other in a circle"):
        asset_graph.depths(both, edges.select("chain_id", "child_id", "parent_id"))


@settings(max_examples=40, deadline=None)
@given(st.sets(st.tuples(st.integers(1, 9), st.integers(1, 9)).map(sorted).map(tuple).filter(lambda e: e[0] != e[1])))
def test_depth_and_reuse_equal_a_walk_of_the_graph(pairs):
    parents = {child: {p for p, c in pairs if c == child} for child in range(1, 10)}

    def depth(asset):
        return 1 + max(map(depth, parents[asset]), default=0)

    def above(asset):
        return parents[asset] | {x for p in parents[asset] for x in above(p)}

    schema = {"chain_id": pl.Int64, "child_id": pl.Int64, "parent_id": pl.Int64}
    edges = pl.DataFrame([(1, child, parent) for parent, child in pairs], schema=schema, orient="row")
    ids = pl.DataFrame({"chain_id": [1] * 9, "asset_id": range(1, 10)}, schema_overrides={"asset_id": pl.Int64})
    found = asset_graph.depths(ids, edges)
    assert dict(found.select("asset_id", "depth").iter_rows()) == {asset: depth(asset) for asset in range(1, 10)}
    closure = {(child, parent) for _, child, parent in asset_graph.ancestry(edges).iter_rows()}
    assert closure == {(child, parent) for child in range(1, 10) for parent in above(child)}
