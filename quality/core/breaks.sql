/*
title: Breaks, the lines that nothing explains
grain: [break_id]
columns:
  break_id: The line's stable key.
  day: UTC day since when it is a break.
  period: UTC month it belongs to, YYYY-MM.
  kind: What was to be paid (usage, task).
  code: Kind of break, E01 to E27.
  severity: How grave (critical, major).
  status: Where the line stands.
  reason_code: Why, where it is known.
  chain_id: Chain of the money.
  token: Token expected.
  party: The payee.
  expected: Base units that should have been settled.
  settled: Base units that reached the payee.
  delta: Settled less expected.
  at_risk: Base units that are wrong, missing or gone astray; null beyond 38 digits.
  first_seen_at: Since when, in the chain's time.
  age_days: Days since then.
  ageing_bucket: Bucket of that age.
  owner: Who looks after breaks of this kind.
  evidence: The logs and rows that prove it, comma-separated.
rules: [unique(break_id), not_null(code, severity, status, period, evidence), "matches(code, '^E[0-9]{2}$')"]
metrics:
  value_at_risk: {sum: at_risk, by: [chain_id, token, period, status, code, kind, owner], unit: base units, from: on_chain, title: Value at risk, definition: Base units of open breaks that are wrong or missing or gone astray.}
*/
select
    recon_key as break_id, day, period, kind, code, severity, status, reason_code, chain_id, token, party, expected, settled,
    delta, at_risk, first_seen_at, age_days, ageing_bucket, owner, evidence
from core.reconciliation_lines
where is_break
