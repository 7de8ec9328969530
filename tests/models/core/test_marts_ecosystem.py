"""The published tables say what the story was."""

from fractions import Fraction

from models import histogram


def test_value_is_what_contributors_and_the_protocol_got(a_built_economy):
    assert a_built_economy.ask(
        "select cast(day as varchar), symbol, gross_value, supply_side, protocol_revenue, carry, difference, payments, "
        "calls from marts.ecosystem_daily join marts.tokens using (chain_id, token) order by day, symbol"
    ) == [
        ("2026-08-02", "TUSD", 1_000_003, 975_003, 25_000, 0, 0, 1, 7),
        ("2026-08-03", "TAI", 10**18 + 7, 10**18 + 7 - 25 * 10**15, 25 * 10**15, 0, 0, 1, 7),
        ("2026-08-03", "TUSD", 5_001_002, 4_876_002, 125_000, 0, 0, 2, 14),
    ]
    assert a_built_economy.ask(
        "select asset_kind, stage, payer, rail, sum(gross_value) from marts.usage_value_daily group by all order by all"
    ) == [
        ("agent", "composition", "client", "direct", 1_000_003),
        ("agent", "composition", "operator", "prepaid_credit", 5_000_003),
        ("dataset", "training", "client", "direct", 10**18 + 7),
        ("model", "deployment", "client", "direct", 999),
    ]


def test_payouts_are_claims_pushes_and_what_the_treasury_sent(a_built_economy):
    """Its stake moved into a contract, fees into the treasury and settlements by the operator pay nobody."""
    assert a_built_economy.ask(
        "select payouts.kind, party, symbol, amount from marts.payouts as payouts "
        "join marts.tokens using (chain_id, token) order by payouts.kind"
    ) == [
        ("claim", "ann", "TUSD", 1000),
        ("push", "bob", "TUSD", 777),
        ("transfer", "ann", "TPART", 2 * 10**18 + 1),
    ]
    assert a_built_economy.ask(
        "select kind, earned, instructed, paid, open from marts.contributor_balances "
        "join marts.tokens using (chain_id, token) where party = 'ann' and symbol = 'TPART'"
    ) == [("task", 2 * (2 * 10**18 + 1), 0, 2 * 10**18 + 1, 2 * 10**18 + 1)]
    assert a_built_economy.ask("select instructed, paid from marts.contributor_balances where instructed > 0") == [
        (777, 777)
    ]


def test_usage_and_latency_add_up_from_the_calls(a_built_economy):
    assert a_built_economy.ask(
        "select cast(day as varchar), client, asset_kind, calls, paid_calls, errors, completion_tokens "
        "from marts.usage_daily order by day, client"
    ) == [
        (f"2026-08-0{day}", client, "agent", 2, 1, errors, tokens)
        for day in (1, 2, 3)
        for client, errors, tokens in (("client", 1, 2), ("other", 0, 4))
    ]
    buckets = a_built_economy.ask("select bucket, sum(calls) from marts.latency_daily group by bucket order by bucket")
    assert buckets == [(histogram.bucket_of(us), 3) for us in (0, 1_003, 1_004, 90_000_000)]
    slowest = histogram.quantile(buckets, Fraction(99, 100))
    assert abs(slowest - 90_000_000) < 900_000
    assert a_built_economy.ask("select count(*) from core.payment_calls") == [(6,)]


def test_assets_know_how_deep_they_stand(a_built_economy):
    assert a_built_economy.ask(
        "select asset_id, kind, name, owner, parents, children, depth, reuse from marts.assets order by asset_id"
    ) == [
        (1, "dataset", "dataset 1", "dev", 0, 2, 1, 2),
        (2, "dataset", "dataset 2", "dev", 0, 1, 1, 2),
        (3, "model", "model 3", "dev", 2, 1, 2, 1),
        (4, "agent", "Guide", "dev", 2, 0, 3, 0),
    ]


def test_active_parties_are_exact_sets_with_their_first_day(a_built_economy):
    assert a_built_economy.ask(
        "select party, cast(day as varchar), is_new from marts.active_parties where role in ('client', 'payer') "
        "and party in ('client', 'operator') order by party, role, day"
    ) == [
        ("client", "2026-08-01", True),
        ("client", "2026-08-02", False),
        ("client", "2026-08-03", False),
        ("client", "2026-08-02", True),
        ("client", "2026-08-03", False),
        ("operator", "2026-08-03", True),
    ]


def test_stakes_carry_the_token_that_moved(an_economy):
    staking = an_economy.address("staking")
    an_economy.transaction()
    an_economy.transfer(an_economy.address("cyd"), staking, 100, an_economy.TAI)
    an_economy.emit("reference_staked", staking, user=an_economy.address("cyd"), **an_economy.pair("amount", 100))
    an_economy.build()
    assert an_economy.ask("select party, type, token is not null, delta from core.stake_events order by log_index") == [
        ("cyd", "slash", True, -5),
        ("cyd", "stake", True, 100),
    ]
