"""Any metric by any dimension: exact, never across tokens, with what stands behind it."""

from datetime import UTC, date, datetime
from fractions import Fraction

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from guelta.errors import BadModel, BadSetting
from guelta.lake.ops import GATE_RESULTS
from guelta.lake.schema import Day as DayType
from guelta.lake.schema import Hash, Int64, Text, Timestamp, spec
from models.build import build
from models.histogram import LONGEST_US, boundaries, bucket_of, quantile, value_of
from models.metrics import Viewer, ask, catalogue

TUSD, TAI = bytes.fromhex("11" * 20), bytes.fromhex("22" * 20)
TUSD_, TAI_ = "0x" + "11" * 20, "0x" + "22" * 20
BIG = 10**37 + 7  # exact only as an integer

VALUE = """/*
title: What was paid, by day
grain: [day, chain_id, asset_id, token, payer]
columns:
  day: UTC day.
  chain_id: Chain.
  asset_id: Asset called.
  token: Token paid in.
  payer: Who paid.
  gross: Base units paid.
  fee: Base units of it the protocol kept.
  payments: How many payments.
metrics:
  gross_value: {sum: gross, by: [chain_id, asset_id, token, payer], unit: base units, from: on_chain}
  ann_value: {sum: gross, by: [chain_id, token], where: {payer: ann}, unit: base units, from: on_chain}
  payments: {sum: payments, by: [chain_id, asset_id, token, payer], from: platform}
  take_rate: {ratio: [fee, gross_value], by: [chain_id, token], from: on_chain}
  ann_share: {ratio: [ann_value, gross_value], by: [chain_id, token], from: on_chain}
  payers: {distinct: payer, by: [chain_id, asset_id]}
partition: {by: day, window: 0}
*/
select
    day, chain_id, asset_id, token, payer, cast(sum(gross) as decimal(38,0)) as gross,
    cast(sum(fee) as decimal(38,0)) as fee, count(*) as payments
from raw.payments
group by day, chain_id, asset_id, token, payer
"""
TEXTS = """with texts as (
    select day, chain_id, asset_id, '0x' || lower(hex(token)) as token, payer, gross, fee from raw.payments
)
"""
LATENCY = '''"""Latency buckets."""
import polars as pl
from models.histogram import boundaries

header = """
title: Latency buckets
grain: [day, asset_id, bucket]
columns: {day: UTC day., asset_id: Asset., bucket: Bucket., calls: How many.}
metrics:
  latency_p50: {quantile: [bucket, calls, 0.5], by: [asset_id], unit: us}
  latency_p95: {quantile: [bucket, 0.95], by: [asset_id], unit: ms}
"""
upstream = ("raw.payments",)

def build(inputs):
    cuts = pl.DataFrame({"bucket": range(len(boundaries())), "upto": boundaries()})
    cuts = cuts.unique("upto", keep="first").sort("upto")
    calls = inputs.frame("raw.payments").collect().sort("latency_us")
    found = calls.join_asof(cuts, left_on="latency_us", right_on="upto", strategy="forward")
    return found.group_by("day", "asset_id", "bucket").agg(calls=pl.len())
'''
BALANCES = """/*
title: What each payer has left at the end of a day
grain: [day, payer]
columns: {day: UTC day., payer: Payer., left_over: Base units left.}
metrics:
  left_over: {stock: left_over, by: [payer]}
*/
select day, payer, max(payment_id) as left_over from raw.payments group by day, payer
"""
TOKENS = f"""/*
title: Tokens
grain: [chain_id, token]
columns: {{chain_id: Chain., token: Address., symbol: Symbol., decimals: Decimals.}}
*/
select cast(1 as bigint) as chain_id, X'{"11" * 20}' as token, 'TUSD' as symbol, 6 as decimals
"""


@pytest.fixture
def world(lake, files, payments):
    """Two tokens on chain 1, one of them unknown; September whole, October begun."""
    lake.table("raw.payments").append(
        payments(
            [
                (1, 1, date(2026, 9, 1), 7, "ann", TUSD, 1_500_000, 100, 1000),
                (2, 1, date(2026, 9, 1), 7, "bob", TUSD, 500_000, 100, 2000),
                (3, 1, date(2026, 9, 30), 8, "ann", TUSD, 3_000_000, 300, 3000),
                (4, 1, date(2026, 10, 1), 7, "ann", TUSD, 1, 0, 4000),
                (5, 1, date(2026, 10, 1), 7, "ann", TAI, BIG, 7, 5000),
                (6, 1, date(2026, 10, 2), 9, "cid", TAI, BIG, 0, 6000),
            ]
        )
    )
    root = files(marts__value=VALUE, marts__latency=LATENCY, marts__balances=BALANCES, marts__tokens=TOKENS)
    read = models.load(root=root)
    build(lake, read)
    return lambda *names, **how: ask(lake, names, models_=read, **how)


def test_money_is_exact_text_and_never_added_across_tokens(world):
    answer = world("gross_value")
    assert answer.frame.to_dicts() == [
        {"chain_id": 1, "token": TUSD_, "symbol": "TUSD", "decimals": 6}
        | {"gross_value": "5000001", "gross_value_f64": 5.000001},
        {"chain_id": 1, "token": TAI_, "symbol": None, "decimals": None}
        | {"gross_value": str(2 * BIG), "gross_value_f64": None},
    ]
    assert answer.notes == (
        "by chain_id, token too: base units of different tokens are not added up",
        f"decimals unknown, so no display value: {TAI_}",
    )


def test_one_token_may_stand_alone_by_symbol_or_address(world):
    for token in ("TUSD", TUSD_):
        answer = world("gross_value", where={"token": token, "chain": 1})
        assert answer.frame.to_dicts() == [
            {"symbol": "TUSD", "decimals": 6, "gross_value": "5000001", "gross_value_f64": 5.000001}
        ]
        assert answer.notes == ()


def test_addresses_in_text_are_tokens_all_the_same(lake, files, payments):
    lake.table("raw.payments").append(payments([(1, 1, date(2026, 9, 1), 7, "ann", TUSD, 1_500_000, 100, 1000)]))
    value = VALUE.replace("from raw.payments", "from texts").replace("*/\n", "*/\n" + TEXTS, 1)
    tokens = TOKENS.replace(f"X'{'11' * 20}' as token", f"'{TUSD_}' as token")
    read = models.load(root=files(marts__value=value, marts__tokens=tokens))
    build(lake, read)
    for how in ({"by": ["chain", "token"]}, {"where": {"token": "TUSD", "chain": 1}}):
        frame = ask(lake, "gross_value", models_=read, **how).frame
        assert frame.select("symbol", "gross_value", "gross_value_f64").rows() == [("TUSD", "1500000", 1.5)]


def test_ratios_are_divided_last_and_per_token(world):
    frame = world("take_rate", "ann_share", grain="month", where={"token": "TUSD"}).frame
    assert frame.select("month", "take_rate", "ann_share").rows() == [
        (date(2026, 9, 1), 500 / 5_000_000, 4_500_000 / 5_000_000),
        (date(2026, 10, 1), 0.0, 1.0),
    ]


def test_distinct_is_counted_in_the_bucket_not_added_up(world):
    assert world("payers", grain="day").frame["payers"].to_list() == [2, 1, 1, 1]
    assert world("payers", grain="month").frame.rows() == [(date(2026, 9, 1), 2), (date(2026, 10, 1), 2)]
    assert world("payers").frame.rows() == [(3,)]
    assert world("payers", by=["asset"], order="-payers").frame.rows() == [(7, 2), (8, 1), (9, 1)]


def test_a_stock_is_the_last_row_of_each_thing(world):
    # ann: 1, 3, 5 on three days; bob: 2; cid: 6
    assert world("left_over", grain="month").frame.rows() == [(date(2026, 9, 1), 3 + 2), (date(2026, 10, 1), 5 + 6)]
    assert world("left_over").frame.rows() == [(5 + 2 + 6,)]


def test_metrics_of_several_tables_stand_side_by_side(world):
    frame = world("payments", "left_over", by=["payer"], order="-payments", limit=2)
    assert frame.frame.rows() == [("ann", 4, 5), ("bob", 1, 2)]
    assert frame.truncated_at == 2
    assert world("payments", by=["payer"], limit=3).truncated_at is None


def test_quantiles_merge_buckets(world):
    frame = world("latency_p50", "latency_p95").frame
    for name, exact, unit in (("latency_p50", 4000, 1), ("latency_p95", 6000, 1000)):
        assert frame[name][0] * unit == pytest.approx(exact, rel=0.01)
    by_asset = world("latency_p95", by=["asset"]).frame
    assert by_asset["latency_p95"].to_list() == [value_of(bucket_of(us)) / 1000 for us in (5000, 3000, 6000)]


@given(st.lists(st.integers(-5, LONGEST_US - 1), min_size=1, max_size=60), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_a_quantile_of_buckets_is_within_one_percent_of_the_exact_one(latencies, q):
    counts = pl.Series([bucket_of(us) for us in latencies]).value_counts()
    found = quantile(counts.rows(), Fraction(str(q)))
    rank = Fraction(str(q)) * (len(latencies) - 1) + 1
    exact = sorted(latencies)[-(-rank.numerator // rank.denominator) - 1]
    assert abs(found - max(exact, 0)) <= 0.011 * max(exact, 0)


@given(st.integers(1, LONGEST_US))
def test_boundaries_hold_their_values(us):
    bucket = bucket_of(us)
    assert boundaries()[bucket - 1] < us <= boundaries()[bucket]


def test_the_window_before_stands_beside(world):
    october = world("payments", since="2026-10", until="2026-10", compare="previous").frame
    assert october.rows() == [(3, 3)]
    days = world("payments", grain="day", since="2026-10-01", until="2026-10-02", compare="previous").frame
    assert days.rows() == [(date(2026, 10, 1), 2, None), (date(2026, 10, 2), 1, 1)]
    money = world("gross_value", where={"token": "TUSD"}, since="2026-10", until="2026-10", compare="previous").frame
    assert money.select("gross_value", "gross_value_previous", "gross_value_previous_f64").rows() == [
        ("1", "5000000", 5.0)
    ]
    with pytest.raises(BadSetting, match="together with since"):
        world("payments", compare="previous")


def test_unfinished_buckets_are_said(world):
    assert world("payments", grain="month").partial == (False, True)
    assert world("payments", grain="month", until="2026-09").partial == (False, False)
    assert world("payments", grain="month", since="2026-09-10", until="2026-09").partial == (True, False)
    assert world("payments", grain="week").partial == (True, True)  # 2026-09-01 is a Tuesday
    assert world("payments", grain="day", until="2026-10-01").partial == (False, False)


def test_unknown_words_are_answered_with_the_nearest(world):
    with pytest.raises(BadSetting, match="unknown metric 'gros_value'; did you mean gross_value"):
        world("gros_value")
    with pytest.raises(BadSetting, match="no dimension 'payr'; did you mean payer"):
        world("payments", by=["payr"])
    with pytest.raises(BadSetting, match="no dimension 'payer'"):
        world("take_rate", where={"payer": "ann"})
    with pytest.raises(BadSetting, match="one of TUSD, found 'TUSDC'"):
        world("gross_value", where={"token": "TUSDC"})
    with pytest.raises(BadSetting, match="one grain"):
        world("payments", by=["day"], grain="month")
    with pytest.raises(BadSetting, match="2026-13"):
        world("payments", since="2026-13")
    with pytest.raises(BadSetting, match="cannot order by 'size'"):
        world("payments", order="size")


def test_values_are_bound_not_pasted(world):
    answer = world("payments", where={"payer": ["ann", "x' or 1=1 --", None]})
    assert answer.frame.rows() == [(4,)]
    assert "1=1" not in answer.sql
    assert "x' or 1=1 --" in answer.params
    assert world("payments", where={"payer": []}).frame.rows() == [(None,)]


def test_a_viewer_sees_only_their_rows(world):
    bob = Viewer("bob", (("payer", ("bob",)),))
    assert world("payments", viewer=bob).frame.rows() == [(1,)]
    with pytest.raises(BadSetting, match="cannot tell them apart"):
        world("latency_p50", viewer=bob)


def test_an_answer_says_how_far_the_chain_was_final_and_what_the_gates_said(world, lake):
    heads = {"chain_id": Int64, "stream": Text, "to_block": Int64, "finalized_block": Int64, "finalized_hash": Hash}
    lake.create(spec("raw.heads", heads, key=("chain_id", "stream"))).append(
        pa.table({"chain_id": [1], "stream": ["logs"], "to_block": [90], "finalized_block": [80]}).append_column(
            "finalized_hash", pa.array([b"\xab" * 32], pa.binary())
        )
    )
    blocks = {"chain_id": Int64, "block_number": Int64, "block_time": Timestamp, "day": DayType}
    at = datetime(2026, 10, 3, 1, tzinfo=UTC)
    lake.create(spec("raw.blocks", blocks, key=("chain_id", "block_number"))).append(
        pa.table({"chain_id": [1], "block_number": [80]})
        .append_column("block_time", pa.array([at], Timestamp))
        .append_column("day", pa.array([at.date()], DayType))
    )
    results = [
        ("r1", 2, "unique(x)", False, 1),
        ("r2", 2, "unique(x)", True, 2),
        ("r2", 2, "nonnegative(gross)", False, 2),
    ]
    lake.create(GATE_RESULTS).append(
        pl.DataFrame(
            [
                (run, "marts.value", version, rule, "error", ok, int(not ok), at.date(), seq)
                for run, version, rule, ok, seq in results
            ],
            schema=[name for name in GATE_RESULTS.schema.names if name != "month"],
            orient="row",
        )
    )
    answer = world("payments", grain="day")
    assert answer.as_of.versions == {"marts.value": lake.table("marts.value").version()}
    (final,) = answer.as_of.finalized
    assert (final.block, final.block_hash, final.at, final.lag) == (80, "0x" + "ab" * 32, at, 10)
    assert answer.as_of.data_as_of == at
    assert answer.partial == (False, False)  # the chain is final beyond the last day
    gates = answer.gates
    assert (gates.passed, gates.total, gates.failing) == (1, 2, ("marts.value: nonnegative(gross)",))
    assert answer.provenance == "platform"


def test_an_answer_is_as_new_as_the_lake_or_as_old_as_its_pin(world, lake, payments):
    before = lake.pin(["marts.value"])
    assert world("payments").frame.rows() == [(6,)]
    table = lake.table("marts.value")
    table.append(
        table.read().slice(0, 1).set_column(0, "day", pa.array([date(2026, 11, 1)], DayType)).drop_columns("month")
    )
    assert world("payments").frame.rows() == [(7,)]
    assert world("payments", pin=before).frame.rows() == [(6,)]


def test_the_catalogue_shows_what_can_be_asked(world, lake, files):
    entries = {entry.metric.name: entry for entry in catalogue(lake, models.load(root=files()))}
    assert entries["take_rate"].formula == "sum of fee / sum of gross"
    assert entries["gross_value"].dimensions == ("chain_id", "asset_id", "token", "payer", "day", "week", "month")
    assert all(entry.available and entry.sql for entry in entries.values())


def test_one_name_has_one_meaning(lake, files):
    twin = VALUE.replace("payments: {sum: payments", "payments: {distinct: payer")
    root = files(marts__value=VALUE, marts__other=twin)
    with pytest.raises(BadModel, match="metric payments is a distinct in count"):
        ask(lake, ["payments"], models_=models.load(root=root))


def test_a_table_not_built_yet_is_named(lake, files):
    with pytest.raises(BadSetting, match="run guelta build marts"):
        ask(lake, ["payments"], models_=models.load(root=files(marts__value=VALUE)))
