"""Every table is made from what is there: nothing at all, one side of the house alone, or everything."""

import quality
from models.build import build


def test_every_table_is_made_from_an_empty_lake(world):
    built = build(world.lake, quality.tables())
    assert {b.name: b.reason for b in built if b.skipped} == {}
    assert {b.name: b.rows for b in built if b.rows and b.name != "core.latency_bounds"} == {}


def test_every_rule_of_every_table_holds_in_a_small_economy(a_built_economy):
    broken = {model.name: a_built_economy.broken(model.name) for model in quality.tables()}
    assert {name: found for name, found in broken.items() if found} == {}


def test_a_second_build_finds_nothing_to_do(a_built_economy):
    again = a_built_economy.build()
    assert [name for name, built in again.items() if not built.skipped] == []


def test_movements_of_every_standard_keep_every_digit(world):
    world.chain()
    token, other, x, y = (world.address(name) for name in ("spam", "cards", "x", "y"))
    world.transfer(x, y, 10**37, token)
    world.transfer(world.ZERO, y, 2**256 - 1, token)
    world.emit("erc721_transfer", other, from_address=x, to_address=y, **world.pair("token_id", 2**255))
    ids, values = [7, 2**200], [3, 10**39]
    world.emit(
        "erc1155_transfer_batch",
        other,
        operator=x,
        from_address=x,
        to_address=y,
        ids=[7, None],
        ids_raw=[world.pair("id", i)["id_raw"] for i in ids],
        values=[3, None],
        values_raw=[world.pair("v", v)["v_raw"] for v in values],
    )
    world.mine(hours=24)
    world.transfer(x, y, 4, token)
    world.transfer(y, x, 5, token)
    world.build("+marts.token_movements_daily")
    legs = world.ask(
        "select standard, sub, amount, amount_raw, token_id_raw from core.token_movements order by log_index, sub, day"
    )
    raw = {name: world.pair("n", name)["n_raw"] for name in (10**37, 4, 5, 1, 2**256 - 1, 2**255, *ids, *values)}
    assert sorted(legs, key=str) == sorted(
        [
            ("erc20", 0, 10**37, raw[10**37], None),
            ("erc20", 0, None, raw[2**256 - 1], None),
            ("erc20", 0, 4, raw[4], None),
            ("erc20", 0, 5, raw[5], None),
            ("erc721", 0, 1, raw[1], raw[2**255]),
            ("erc1155", 0, 3, raw[3], raw[7]),
            ("erc1155", 1, None, raw[10**39], raw[2**200]),
        ],
        key=str,
    )
    assert world.ask(
        "select day = date '2026-08-01', standard, transfers, senders, receivers, amount "
        "from marts.token_movements_daily order by day, standard"
    ) == [
        (True, "erc1155", 2, 1, 1, None),
        (True, "erc20", 2, 1, 1, None),  # a sum that might not fit is not made
        (True, "erc721", 1, 1, 1, 1),
        (False, "erc20", 2, 2, 2, 9),
    ]


def test_calls_alone_give_usage_and_latency(world):
    from datetime import UTC, datetime

    for number in range(3):
        world.put(
            "gateway_calls",
            call_id=f"c{number}",
            rev=1,
            root_call_id=f"c{number}",
            client_id="tenant",
            origin="web2",
            asset_name="Anima",
            at=datetime(2024, 11, 15, 1, tzinfo=UTC),
            latency_us=10 ** (number + 3),
            status="SUCCEED",
            source="trace:gentd26",
        )
    world.build()
    assert world.ask(
        "select asset_name, client, origin, chain_id, calls, paid_calls, errors from marts.usage_daily"
    ) == [("Anima", "tenant", "web2", None, 3, 0, 0)]
    assert world.ask("select role, chain_id, party, is_new from marts.active_parties") == [
        ("client", 0, "tenant", True)
    ]
    assert world.ask("select count(*), sum(calls) from marts.latency_daily") == [(3, 3)]
