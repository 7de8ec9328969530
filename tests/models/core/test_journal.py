"""The books balance: debits equal credits, and what the books say lies in the vault is what lies in the vault."""

import pytest


@pytest.fixture
def books(a_built_economy):
    return a_built_economy


def _balances(books, where="true"):
    return books.ask(
        "select account, sub_account, symbol, cast(sum(debit) - sum(credit) as decimal(38,0)) as balance "
        f"from core.journal join core.tokens using (chain_id, token) where {where} "
        "group by all having sum(debit) <> sum(credit) order by all"
    )


def test_every_entry_and_the_trial_balance_sum_to_zero(books):
    assert (
        books.ask(
            "select entry_id from core.journal group by entry_id, chain_id, token having sum(debit) <> sum(credit)"
        )
        == []
    )
    assert books.ask("select symbol, sum(debit) - sum(credit), count(*) > 3 from core.journal "
                     "join core.tokens using (chain_id, token) group by symbol order by symbol") == [
        ("TAI", 0, True),
        ("TPART", 0, True),
        ("TUSD", 0, True),
    ]  # fmt: skip


def test_a_prepaid_call_is_counted_once(books):
    """5,000,003 were bought as credits, used, and settled on chain by the operator; 1,000,003 and 999 were paid directly."""
    assert _balances(books, "account in ('gross_value', 'deferred_revenue', 'cash') and symbol = 'TUSD'") == [
        ("cash", "operator", "TUSD", 9_000_000 - 1_000_000 - 5_000_003),
        ("deferred_revenue", "", "TUSD", -(9_000_000 - 1_000_000 - 5_000_003)),
        ("gross_value", "", "TUSD", -(5_000_003 + 1_000_003 + 999)),
    ]
    assert books.ask("select sum(gross_value) from marts.usage_value_daily join marts.tokens using (chain_id, token) "
                     "where symbol = 'TUSD'") == [(5_000_003 + 1_000_003 + 999,)]  # fmt: skip
    assert books.ask("select rail, sum(gross_value) from marts.usage_value_daily group by rail order by rail")[1] == (
        "prepaid_credit",
        5_000_003,
    )


def test_custody_in_the_books_is_what_the_tokens_say(books):
    held = books.ask(
        "with moves as (select token, to_address as who, amount from core.token_movements union all "
        "select token, from_address, 0 - amount from core.token_movements) "
        "select symbol, sum(amount) from moves join core.tokens using (token) "
        f"where who = unhex('{books.VAULT.hex()}') group by symbol order by symbol"
    )
    assert held == [
        (symbol, balance) for _, _, symbol, balance in _balances(books, "account = 'custody' and sub_account = 'vault'")
    ]


def test_what_is_owed_is_what_was_earned_less_what_was_paid(books):
    owed = _balances(books, "account in ('payable_contributor', 'payable_partner_token')")
    by_token = books.ask(
        "select symbol, sum(open) from marts.contributor_balances join marts.tokens using (chain_id, token) "
        "group by symbol order by symbol"
    )
    assert sorted((symbol, -balance) for _, _, symbol, balance in owed) == by_token
    assert {(account, symbol) for account, _, symbol, _ in owed} == {
        ("payable_contributor", "TAI"),
        ("payable_contributor", "TUSD"),
        ("payable_partner_token", "TPART"),
    }


def test_the_walk_closes_on_what_is_open_and_equals_the_printed_one(books):
    from quality.reconcile import summary

    names = "period, chain_id, token, opening, earned, adjustments, settled, in_flight, held, closing, over"
    printed = [tuple(getattr(row, name) for name in names.split(", ")) for row in summary(books.lake).walk]
    assert books.ask(f"select {names} from marts.reconciliation_walk order by chain_id, token, period") == sorted(
        printed, key=lambda row: (row[1], row[2], row[0])
    )
    last = books.ask(
        "select token, closing from marts.reconciliation_walk "
        "where period = (select max(period) from marts.reconciliation_walk) order by token"
    )
    assert last == books.ask("select token, sum(open) from marts.contributor_balances group by token order by token")
