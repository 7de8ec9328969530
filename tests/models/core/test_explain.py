"""Every amount is taken apart down to logs and rows, and the parts are the whole."""

import json

import pyarrow as pa
import pytest

from guelta.errors import BadSetting, Inexact
from guelta.lake import ALL
from models.explain import explain


@pytest.fixture
def paid(world):
    """One payment that runs up three assets, the middle one used twice by two edges."""
    world.chain()
    world.register(1, 0, [("a1", 5000), ("a2", 3000), ("a3", 2000)])
    world.register(2, 1, [("a3", 7000), ("a4", 3000)])
    world.edge(2, 1, 2000)
    world.register(3, 2, [("a5", 10_000)])
    world.edge(3, 2, 3000)
    world.edge(3, 2, 500, relation=2)
    world.mine()
    world.settle(3, 10**18 + 7)
    world.rows["raw.logs"] = [
        {name: row[name] for name in ("chain_id", "block_number", "block_hash", "block_time", "day", "tx_hash")}
        | {name: row[name] for name in ("tx_index", "log_index", "address")}
        | {"topic0": world.digest(table), "data": b""}
        for table, rows in world.rows.items()
        if table.startswith(("raw.reference_", "raw.erc20"))
        for row in rows
    ]
    world.build("+core.accrual_proof", "+core.earnings", "core.tokens")
    return world


def leaves(step):
    return [step] if not step.steps else [leaf for one in step.steps for leaf in leaves(one)]


def test_an_earning_closes_and_ends_in_logs(paid):
    for name, amount in paid.ask("select earning_id, amount from core.earnings"):
        (earning,) = explain(paid.lake, name).steps
        assert sum(step.amount for step in earning.steps) == earning.amount == amount
        for accrual in earning.steps:
            logs = [leaf.log for leaf in leaves(accrual) if leaf.log]
            assert len(logs) >= 3  # the payment, the terms, the contract's own word
            assert all("tx 0x" in log and "not in raw.logs" not in log for log in logs)


def test_the_tree_names_each_hop_share_floor_and_rounding(paid):
    ((name,),) = paid.ask(
        "select earning_id from core.earnings where source_asset = 1 and account = (select account from core.accruals "
        "where asset_id = 1 and is_remainder limit 1)"
    )
    lines = explain(paid.lake, name).lines()
    # 975000000000000007 came in; two edges of 3000 and 500 lead to asset 2, each with 2000 on to asset 1
    text = "\n".join(lines)
    assert "earned 13650000000000000 (13650000000 TUSD) on 2026-08-01 from use of asset 1" in lines[0]
    assert "less the fee of 25000000000000000, 975000000000000007 came in" in text
    assert "floor(975000000000000007 x 3000 / 10000) = 292500000000000002 goes up from 3 to 2; 1000/10000" in text
    assert "floor(975000000000000007 x 500 / 10000) = 48750000000000000 goes up from 3 to 2; 3500/10000" in text
    assert "(TRAINED_ON)" in text
    assert "(COMPOSED_OF)" in text
    assert "account 3 of 3 under terms 1337:1:1: floor(58500000000000000 x 2000 / 10000) = 11700000000000000" in text
    assert text.count("the contract says the same") == 2


def test_a_payment_is_the_fee_and_everybody_who_earned(paid):
    ((name, tx_hash),) = paid.ask("select payment_id, tx_hash from core.payments")
    (payment,) = explain(paid.lake, name).steps
    assert sum(step.amount for step in payment.steps) == payment.amount == 10**18 + 7
    whole = explain(paid.lake, "0x" + tx_hash.hex())
    assert whole.steps[0] == payment
    ((logs,),) = paid.ask("select count(*) from raw.logs where block_number = 1")
    assert len(whole.steps[-1].steps) == logs
    found = json.loads(json.dumps(whole.as_json()))
    assert found["steps"][0]["amount"] == str(10**18 + 7)


def test_a_unit_too_much_is_refused_with_where(paid):
    flows = paid.lake.table("core.flows")
    hops = flows.read()
    at = hops.schema.get_field_index("amount_in")
    depths, came = hops["depth"].to_pylist(), hops["amount_in"].to_pylist()
    more = [value + 1 if depth == 1 else value for depth, value in zip(depths, came, strict=True)]
    flows.replace(hops.set_column(at, "amount_in", pa.array(more, hops.schema.field(at).type)), ALL)
    ((own,),) = paid.ask("select earning_id from core.earnings where source_asset = 3")
    explain(paid.lake, own)  # its path does not pass there
    ((below,),) = paid.ask("select earning_id from core.earnings where source_asset = 2 order by amount limit 1")
    with pytest.raises(Inexact, match=r"3>2 received .* but floor\(975000000000000007 x"):
        explain(paid.lake, below)


def test_an_earning_that_is_not_the_sum_of_its_entries_is_refused(paid):
    earnings = paid.lake.table("core.earnings")
    rows = earnings.read()
    at = rows.schema.get_field_index("entries")
    earnings.replace(rows.set_column(at, "entries", pa.array([9] * rows.num_rows, rows.schema.field(at).type)), ALL)
    with pytest.raises(Inexact, match=r"in 9 entries, but \d entries of"):
        explain(paid.lake, rows["earning_id"][0].as_py())


def test_task_rewards_end_in_the_work_and_who_judged_it(a_built_economy):
    found = a_built_economy.ask("select earning_id, amount from core.earnings where kind = 'task'")
    assert found
    for name, amount in found:
        (earning,) = explain(a_built_economy.lake, name).steps
        assert sum(step.amount for step in earning.steps) == amount
        for reward in earning.steps:
            rows = [leaf.row for leaf in leaves(reward)]
            assert rows[0].startswith("raw.platform_submissions ")
            assert all(row.startswith("raw.platform_reviews ") for row in rows[1:])


def test_every_earning_payment_and_payout_of_an_economy_closes(a_built_economy):
    names = a_built_economy.ask(
        "select earning_id from core.earnings union all select payment_id from core.payments "
        "union all select payout_id from core.payouts"
    )
    assert len(names) > 10
    for (name,) in names:
        assert explain(a_built_economy.lake, name).steps


def test_what_nothing_is_called_is_said(paid):
    for word in ("nope", "leg:r:1", "0x" + "ab" * 32, "1:0x00:1"):
        with pytest.raises(BadSetting, match="nothing in the lake is called"):
            explain(paid.lake, word)
