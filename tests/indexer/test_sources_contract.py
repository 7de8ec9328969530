"""Row contracts: what is right becomes typed and exact, what is wrong comes back with its reason, nothing is lost."""

from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guelta.money import DECIMAL_LIMIT, from_raw
from indexer.sources import sources, tables
from indexer.sources.contract import Contract, Field

WALLET = "0x" + "aB" * 20
SMALL = Contract(
    "raw.platform_small",
    (
        Field("id"),
        Field("amount", "amount"),
        Field("count", "int32", required=False),
        Field("wallet", "address", required=False),
        Field("state", required=False, values=("open", "shut")),
        Field("updated_at", "time"),
    ),
    ("id", "updated_at"),
    "updated_at",
)
GOOD = {
    "id": "a",
    "amount": "5",
    "count": "1",
    "wallet": WALLET,
    "state": "open",
    "updated_at": "2026-08-01T02:00:00+02:00",
}


def judge(**changes):
    row = GOOD | changes
    return SMALL.check(pl.DataFrame({k: [v] for k, v in row.items()}, schema=dict.fromkeys(row, pl.String)))


def test_a_right_row_is_typed_exactly():
    good, bad = judge()
    assert bad.is_empty()
    assert good.drop("position").to_dicts() == [
        {
            "id": "a",
            "amount": 5,
            "amount_raw": (5).to_bytes(32, "big"),
            "count": 1,
            "wallet": bytes.fromhex("ab" * 20),
            "state": "open",
            "updated_at": datetime(2026, 8, 1, tzinfo=UTC),
            "day": date(2026, 8, 1),
        }
    ]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"id": None}, "id.missing"),
        ({"id": ""}, "id.text"),
        ({"amount": None}, "amount.missing"),
        ({"amount": "12.5"}, "amount.amount"),
        ({"amount": "-3"}, "amount.amount"),
        ({"amount": "1e18"}, "amount.amount"),
        ({"amount": "9" * 79}, "amount.amount"),
        ({"amount": str(2**256)}, "amount.amount"),
        ({"amount": "٣"}, "amount.amount"),
        ({"count": "many"}, "count.int32"),
        ({"count": "-1"}, "count.int32"),
        ({"count": "1.0"}, "count.int32"),
        ({"count": str(2**31)}, "count.int32"),
        ({"count": "9" * 30}, "count.int32"),
        ({"wallet": "0x1234"}, "wallet.address"),
        ({"wallet": "ab" * 20}, "wallet.address"),
        ({"state": "ajar"}, "state.text"),
        ({"updated_at": "yesterday"}, "updated_at.time"),
        ({"updated_at": "2026-08-01T00:00:00"}, "updated_at.time"),
        ({"updated_at": "2026-02-30T00:00:00Z"}, "updated_at.time"),
        ({"updated_at": None}, "updated_at.missing"),
    ],
)
def test_a_wrong_field_names_its_rule_and_what_was_found(changes, rule):
    good, bad = judge(**changes)
    assert (good.height, bad["rule_id"].to_list()) == (0, [rule])
    found = next(iter(changes.values()))
    assert (found or "found ") in bad["reason"][0]


def test_every_reason_is_given_not_only_the_first():
    _, bad = judge(amount="-1", state="ajar")
    assert bad.height == 1
    assert [part.split(":")[0] for part in bad["reason"][0].split("; ")] == ["amount.amount", "state.text"]


@given(st.integers(0, 2**256 - 1))
def test_any_uint256_keeps_every_digit(amount):
    good, bad = judge(amount=str(amount))
    assert bad.is_empty()
    assert from_raw(good["amount_raw"][0]) == amount
    assert good["amount"][0] == (amount if amount < DECIMAL_LIMIT else None)


@given(st.lists(st.one_of(st.none(), st.text(max_size=12), st.integers(-5, 10**40).map(str)), min_size=1, max_size=20))
def test_every_row_is_either_good_or_bad(texts):
    rows = pl.DataFrame(
        {"id": [str(i) for i in range(len(texts))], "amount": texts, "updated_at": [GOOD["updated_at"]] * len(texts)},
        schema=dict.fromkeys(("id", "amount", "updated_at"), pl.String),
    )
    good, bad = SMALL.check(rows)
    assert sorted([*good["position"], *bad["position"]]) == list(range(len(texts)))


def test_a_source_is_found_by_its_file_and_fills_declared_tables():
    found = sources()
    assert list(found) == ["annotations", "gateway", "platform", "traces"]
    filled = {contract.table for source in found.values() for contract in source.TABLES}
    assert filled == {contract.table for contract in tables.ALL}
    for contract in tables.ALL:
        assert contract.spec.schema.field("day").nullable is False
