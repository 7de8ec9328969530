"""From an accrual to the payment it came in with, recomputed hop by hop and floor by floor."""

from typing import Any

from guelta.errors import Inexact
from guelta.money import mul_div
from models.explain.reader import Reader, Row, int_or, units
from models.explain.tree import Step

BPS = 10_000
_OWN = "99999"  # five digits an edge in core.flows.place; an asset's own accounts stand after all of its parents


def accrual(read: Reader, row: Row) -> Step:
    """One account's part of one payment: the payment, the hops, the terms, the floor, the log that says so."""
    amount = units(row, "amount")
    payment, net = paid_in(read, row["value_id"], row["day"])
    hops, kept = _hops(read, row, net)
    share = _share(read, row, kept, amount)
    said = _emitted(read, row, amount)
    text = f"{read.shown(row, amount)} from payment {row['value_id']} by way of {row['path']}"
    return Step(text, amount, steps=(payment, *hops, share, *said))


def paid_in(read: Reader, value_id: str, day: Any) -> tuple[Step, int]:
    (row,) = read.rows("core.payments", day=day, payment_id=value_id)
    gross, fee = units(row, "amount"), units(row, "fee")
    text = (
        f"{row['payer_party']} paid {read.shown(row, gross)} for {row['calls']} calls of asset {row['asset_id']}; "
        f"less the fee of {fee}, {gross - fee} came in"
    )
    return Step(text, gross, log=read.log(row)), gross - fee


def _hops(read: Reader, row: Row, net: int) -> tuple[list[Step], int]:
    """What came up each hop of the path, checked from what the hop below received."""
    steps: list[Step] = []
    below, kept = net, net
    for hop in _way(read, row):
        came = int_or(hop["amount_in"], net)
        expected = mul_div(below, hop["bps"], BPS)
        if came != expected:
            rule = f"floor({below} x {hop['bps']} / {BPS})"
            raise Inexact(f"{row['value_id']}: {hop['path']} received {came}, but {rule} is {expected}")
        if hop["depth"]:
            steps.append(_edge(read, row, hop, below, came))
        kept = int_or(hop["kept"], net)
        tail = f", passes {came - kept} up" if came != kept else ""
        steps.append(Step(f"asset {hop['asset_id']} received {came}{tail}, keeps {kept}", came))
        below = came
    return steps, kept


def _way(read: Reader, row: Row) -> list[Row]:
    """The hops from the asset that was called to the one whose terms pay this accrual.

    Two edges between the same assets make two hops of the same path; the accruals stand in the order of the hops.
    """
    hops = read.rows("core.flows", day=row["day"], value_id=row["value_id"])
    emitted = 0
    for hop in sorted(hops, key=lambda one: one["place"] + _OWN):
        payees = read.rows("core.terms_payees", terms_id=hop["terms_id"], order="ord") if hop["terms_id"] else []
        emitted += max(len(payees), 1)
        if row["seq"] <= emitted:
            above = {one["place"]: one for one in hops}
            return [above[hop["place"][:end]] for end in range(0, len(hop["place"]) + 1, len(_OWN))]
    raise Inexact(f"{row['value_id']}: accrual {row['seq']} has no hop in core.flows; rebuild core.accruals")


def _edge(read: Reader, row: Row, hop: Row, below: int, came: int) -> Step:
    child, parent = (int(name) for name in hop["path"].split(">")[-2:])
    left = below * hop["bps"] % BPS
    text = f"floor({below} x {hop['bps']} / {BPS}) = {came} goes up from {child} to {parent}"
    text += f"; {left}/{BPS} of a unit stays below" if left else ""
    edges = read.rows("core.edges", chain_id=row["chain_id"], child_id=child, ord=int(hop["place"][-len(_OWN) :]))
    if not edges:
        return Step(text, came)
    return Step(f"{text} ({edges[0]['relation']})", came, log=read.log(edges[0], "raw.reference_edge_added"))


def _share(read: Reader, row: Row, kept: int, amount: int) -> Step:
    """The account's part of what the asset kept: a floor, or for the last account what the other floors left."""
    if row["terms_id"] is None:
        return Step(f"nobody can be named: {row['party']} holds {amount}", amount)
    (terms,) = read.rows("core.terms", terms_id=row["terms_id"])
    payees = read.rows("core.terms_payees", terms_id=row["terms_id"], order="ord")
    others = [mul_div(kept, one["bps"], terms["denominator"]) for one in payees if one["ord"] != payees[-1]["ord"]]
    last = row["ord"] == payees[-1]["ord"]
    expected = kept - sum(others) if last else mul_div(kept, row["bps"], terms["denominator"])
    if expected != amount:
        raise Inexact(
            f"{row['value_id']}: account {row['ord']} of {row['terms_id']} has {amount}, its terms give {expected}"
        )
    floor = mul_div(kept, row["bps"], terms["denominator"])
    text = f"account {row['ord']} of {len(payees)} under terms {row['terms_id']}: floor({kept} x {row['bps']} / "
    text += f"{terms['denominator']}) = {floor}"
    text += f", and {amount - floor} that rounding left (the last account takes it)" if last and amount != floor else ""
    position = {"chain_id": row["chain_id"], "block_number": terms["from_block"], "log_index": terms["from_log"]}
    return Step(text, amount, log=read.log(position, "raw.reference_terms_set"))


def _emitted(read: Reader, row: Row, amount: int) -> list[Step]:
    """The contract's own EarningAccrued log of this accrual: the seq-th after its settlement."""
    chain, block_hash, log_index = row["value_id"].split(":")
    logs = read.rows(
        "raw.reference_earning_accrued",
        day=row["day"],
        chain_id=int(chain),
        block_hash=bytes.fromhex(block_hash[2:]),
        order="log_index",
    )
    (settled,) = read.rows("core.payments", day=row["day"], payment_id=row["value_id"])
    after = [one for one in logs if one["tx_hash"] == settled["tx_hash"] and one["log_index"] > int(log_index)]
    if len(after) < row["seq"]:
        return []
    log = after[row["seq"] - 1]
    if (units(log, "amount"), log["account"]) != (amount, row["account"]):
        raise Inexact(
            f"{row['value_id']}: accrual {row['seq']} is {amount}, the contract emitted {units(log, 'amount')} to "
            f"0x{log['account'].hex()} in log {log['log_index']}"
        )
    return [Step("the contract says the same", amount, log=read.log(log))]
