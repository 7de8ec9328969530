/*
title: Lines of the payout reconciliation
grain: [recon_key]
columns:
  recon_key: Stable key of the line; leg:RUN:NUMBER, tx:CHAIN:HASH:LOG or party:PARTY:CHAIN:TOKEN:PERIOD:KIND.
  day: UTC day since when the line stands as it does.
  period: UTC month the line belongs to, YYYY-MM.
  kind: What it pays (usage, task).
  chain_id: Chain of the money.
  token: Token expected, its address in text.
  symbol: The token's own symbol, where we know it.
  decimals: Its decimals, where we know them.
  party: The payee.
  payee_address: The account to be paid, in text.
  payout_run_id: The payout run, for a leg.
  leg_no: The leg of that run.
  expected: Base units that should have been settled; null beyond 38 digits.
  expected_raw: The same, exact, in digits.
  settled: Base units that reached the payee; null beyond 38 digits.
  settled_raw: The same, exact, in digits.
  delta: Settled less expected; null beyond 38 digits.
  delta_raw: The same, exact, in digits.
  booked_raw: What the platform's ledger says was paid, in digits; null where it says nothing.
  at_risk: Base units that are wrong, missing or gone astray; 0 where nothing is.
  tx_hash: Transaction of the last payout of the line, in text.
  log_index: Log of it.
  block_number: Block of it.
  block_time: Time of that block.
  finality: Whether that block is final or pending; none where nothing was paid.
  match_rule: How the payout was found (ref, exact, grouped, claim).
  match_confidence_f64: 1.0 where amounts or references leave no choice; null where nothing was matched.
  status: Where the line stands.
  reason_code: Why, where it is known.
  code: Kind of break, E01 to E27.
  is_break: True where nothing explains the difference.
  severity: How grave a break is (critical, major).
  owner: Who looks after breaks of this kind.
  due_at: When the leg was due.
  first_seen_at: When the line began to stand as it does.
  age_days: Days since then, up to the last finalized block.
  ageing_bucket: Bucket of that age, for a break.
  payable_bucket: Bucket of the days past due, for what is not settled.
  evidence: The logs and rows that prove it, comma-separated.
  as_of_block: Last finalized block of the chain; nothing later was looked at.
  as_of_at: Time of that block.
rules:
  - unique(recon_key)
  - not_null(period, kind, status, is_break, expected_raw, settled_raw, delta_raw)
  - references(recon_key, core.reconciliation_lines.recon_key)
*/
select
    lines.recon_key, lines.day, lines.period, lines.kind, lines.chain_id, '0x' || lower(hex(lines.token)) as token,
    tokens.symbol, lines.decimals, lines.party, '0x' || lower(hex(lines.payee_address)) as payee_address,
    lines.payout_run_id, lines.leg_no, lines.expected, lines.expected_raw, lines.settled, lines.settled_raw,
    lines.delta, lines.delta_raw, lines.booked_raw, lines.at_risk, '0x' || lower(hex(lines.tx_hash)) as tx_hash,
    lines.log_index, lines.block_number, lines.block_time, lines.finality, lines.match_rule,
    lines.match_confidence_f64, lines.status, lines.reason_code, lines.code, lines.is_break, lines.severity,
    lines.owner, lines.due_at, lines.first_seen_at, lines.age_days, lines.ageing_bucket, lines.payable_bucket,
    lines.evidence, lines.as_of_block, lines.as_of_at
from core.reconciliation_lines as lines
left join core.tokens as tokens
    on tokens.chain_id = lines.chain_id and tokens.token = lines.token
