"""The four-way match, line by line: legs, payouts, bookings, and what is earned and still open."""

from datetime import datetime
from typing import Any

import polars as pl
import pyarrow as pa

from guelta.lake.schema import Address, Amount, Bool, Day, Float64, Hash, Int32, Int64, Text, Timestamp
from guelta.money import DECIMAL_LIMIT
from models.build import Inputs
from quality import line_status
from quality.core._books import UPSTREAM, age, books_of, decimals_of
from quality.matching import Books, Final, Line, match

header = """
title: Lines of the payout reconciliation, matched or not
grain: [recon_key]
columns:
  recon_key: Stable key of the line; leg:RUN:NUMBER, tx:CHAIN:HASH:LOG or party:PARTY:CHAIN:TOKEN:PERIOD:KIND.
  day: UTC day since when the line stands as it does.
  period: UTC month the line belongs to, YYYY-MM; a leg's earnings, or the month of a payout nobody instructed.
  kind: What it pays (usage, task).
  chain_id: Chain of the money.
  token: Token expected.
  decimals: Decimals of that token, where known.
  party: The payee.
  payee_address: The account to be paid.
  payout_run_id: The payout run, for a leg.
  leg_no: The leg of that run.
  expected: Base units that should have been settled; null beyond 38 digits.
  expected_raw: The same, exact, as text.
  settled: Base units that reached the payee; null beyond 38 digits.
  settled_raw: The same, exact, as text.
  delta: Settled less expected; null beyond 38 digits.
  delta_raw: The same, exact, as text.
  astray: Base units that left for this line and did not reach it; 0 where none did, null beyond 38 digits.
  astray_raw: The same, exact, as text.
  astray_chain_id: Chain on which they left; null where none did.
  astray_token: Token in which they left; null where none did.
  booked_raw: >-
    What the platform's ledger says this payee was paid in this token, exact, as text; null where it says nothing of it.
  at_risk: Base units that are wrong, missing or gone astray; 0 where nothing is, null beyond 38 digits.
  tx_hash: Transaction of the (last) payout of the line.
  log_index: Log of it.
  block_number: Block of it.
  block_time: Time of that block.
  finality: Whether that block is final or pending; none where nothing was paid.
  match_rule: How the payout was found (ref, exact, grouped, claim).
  match_confidence_f64: 1.0 where amounts or references leave no choice; null where nothing was matched.
  status: Where the line stands.
  reason_code: Why, where it is known.
  code: Kind of break, E01 to E27.
  is_break: Whether it is a difference that nothing explains.
  severity: How grave a break is (critical, major).
  owner: Who looks after breaks of this kind.
  due_at: When the leg was due.
  first_seen_at: When the line began to stand as it does, in the chain's time.
  age_days: Days since then, up to the last finalized block.
  ageing_bucket: Bucket of that age, for a break.
  payable_bucket: Bucket of the days past due, for what is not settled.
  evidence: The logs and rows that prove it, comma-separated.
  as_of_block: Last finalized block of the chain; nothing later was looked at.
  as_of_at: Time of that block.
rules:
  - unique(recon_key)
  - not_null(period, kind, chain_id, status, is_break, evidence, as_of_at)
  - not_null(expected_raw, settled_raw, delta_raw, astray_raw)
  - equals(delta?, settled - expected)
  - nonnegative(expected?, settled?, astray?, at_risk?, age_days)
  - octets(token, 20)
  - octets(payee_address?, 20)
  - octets(tx_hash?, 32)
  - in_set(match_rule?, ref, exact, grouped, claim)
metrics:
  open_breaks: {distinct: recon_key, where: {is_break: true}, by: [period, chain_id, status, code, kind, owner],
    unit: count, title: Open breaks, definition: Lines whose sides differ and whose difference nothing explains.}
  reconciled_lines: {distinct: recon_key, by: [period, chain_id, status, kind], unit: count,
    title: Reconciliation lines,
    definition: "Legs, unexpected payouts, claims and open earnings; each stands on one line."}
"""
upstream = UPSTREAM
_TYPES = {
    "recon_key": Text, "day": Day, "period": Text, "kind": Text, "chain_id": Int64, "token": Address, "decimals": Int32,
    "party": Text, "payee_address": Address, "payout_run_id": Text, "leg_no": Int32, "expected": Amount,
    "expected_raw": Text, "settled": Amount, "settled_raw": Text, "delta": Amount, "delta_raw": Text,
    "astray": Amount, "astray_raw": Text, "astray_chain_id": Int64, "astray_token": Address,
    "booked_raw": Text, "at_risk": Amount, "tx_hash": Hash, "log_index": Int32, "block_number": Int64,
    "block_time": Timestamp, "finality": Text, "match_rule": Text, "match_confidence_f64": Float64, "status": Text,
    "reason_code": Text, "code": Text, "is_break": Bool, "severity": Text, "owner": Text, "due_at": Timestamp,
    "first_seen_at": Timestamp, "age_days": Int32, "ageing_bucket": Text, "payable_bucket": Text, "evidence": Text,
    "as_of_block": Int64, "as_of_at": Timestamp,
}  # fmt: skip
_UNPAID = {"partial", "missing_on_chain", "wrong_recipient", "wrong_token_or_chain", "reverted_or_failed", "on_hold"}


def build(inputs: Inputs) -> pl.DataFrame:
    books, decimals = books_of(inputs), decimals_of(inputs)
    rows = [_row(books, line, decimals.get((line.chain_id, line.token))) for line in match(books).lines]
    table = pa.Table.from_pylist(rows, schema=pa.schema(list(_TYPES.items())))
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _row(books: Books, line: Line, decimals: int | None) -> dict[str, Any]:
    final, paid = books.final.get(line.chain_id) or Final(-1, line.since), line.payout  # a chain not indexed yet
    code = line.code or line_status.code_of(line.status)
    broken = line_status.is_break(line.status)
    days = age(final.at, line.since)
    return {
        "recon_key": line.recon_key,
        "day": line.since.date(),
        "period": line.period,
        "kind": line.kind,
        "chain_id": line.chain_id,
        "token": line.token,
        "decimals": decimals,
        "party": line.party,
        "payee_address": line.account,
        "payout_run_id": line.leg.run_id if line.leg else None,
        "leg_no": line.leg.leg_no if line.leg else None,
        "expected": _fitting(line.expected),
        "expected_raw": str(line.expected),
        "settled": _fitting(line.settled),
        "settled_raw": str(line.settled),
        "delta": _fitting(line.delta),
        "delta_raw": str(line.delta),
        "astray": _fitting(line.astray.amount) if line.astray else 0,
        "astray_raw": str(line.astray.amount) if line.astray else "0",
        "astray_chain_id": line.astray.chain_id if line.astray else None,
        "astray_token": line.astray.token if line.astray else None,
        "booked_raw": None if line.booked is None else str(line.booked),
        "at_risk": _fitting(_at_risk(line)) if broken else 0,
        "tx_hash": paid.tx_hash if paid else line.leg.sent_tx if line.leg else None,
        "log_index": paid.log_index if paid else None,
        "block_number": paid.block_number if paid else None,
        "block_time": paid.at if paid else None,
        "finality": "none" if paid is None else "final" if paid.block_number <= final.block else "pending",
        "match_rule": line.rule,
        "match_confidence_f64": 1.0 if line.rule else None,
        "status": line.status,
        "reason_code": line.reason,
        "code": code,
        "is_break": broken,
        "severity": line_status.SEVERITY.get(code or "") if broken else None,
        "owner": line_status.OWNERS.get(code or ""),
        "due_at": line.due_at,
        "first_seen_at": line.since,
        "age_days": days,
        "ageing_bucket": line_status.break_age(days) if broken else None,
        "payable_bucket": _payable(line, final.at),
        "evidence": ",".join(line.evidence),
        "as_of_block": final.block,
        "as_of_at": final.at,
    }


def _at_risk(line: Line) -> int:
    if line.leg and line.status in ("unexpected_on_chain", "duplicate_payment"):
        return max(abs(line.delta), line.settled)  # a leg that was not to be paid: all of it left
    by_ledger = line.astray is None and line.status in ("wrong_recipient", "wrong_token_or_chain")
    if by_ledger or (line.booked is not None and line.status == "amount_mismatch"):
        return max(abs(line.delta), abs((line.booked or 0) - line.settled))
    return abs(line.delta)


def _payable(line: Line, now: datetime) -> str | None:
    if line.due_at is None or line.status not in _UNPAID | {"not_due", "in_flight"}:
        return None
    return line_status.payable_age((now - line.due_at).days)


def _fitting(amount: int) -> int | None:
    return amount if abs(amount) < DECIMAL_LIMIT else None
