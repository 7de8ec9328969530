/*
title: Who earned what, and from what
grain: [day, earning_id]
columns:
  earning_id: The entry; `guelta explain` takes it apart.
  day: UTC day of the payment, or of the approval of the work.
  period: UTC month of it, YYYY-MM.
  chain_id: Chain on which it is owed.
  token: Token it is owed in, its address in text.
  party: Who earned.
  source_asset: The asset whose terms pay, or the dataset the work went into.
  terms_id: The asset's terms, or the task and version whose rate pays.
  kind: From use of assets (usage) or from work on them (task).
  role: As what (data_contributor, model_developer, app, annotator, suspense).
  entries: Accruals or approved datapoints in the entry.
  amount: Base units earned.
  provenance: on_chain where logs prove it, platform where the platform says so.
rules: [unique(earning_id), not_null(amount, party), nonnegative(amount), in_set(kind, usage, task)]
metrics:
  earned: {sum: amount, by: [day, period, chain_id, token, party, source_asset, kind, role, provenance], unit: base units, from: platform, title: Earned, definition: "What parties are entitled to, from use of assets and from approved work.", caveat: "Entries of kind usage are verified on chain, those of kind task are as the platform reports them."}
  usage_earned: {sum: amount, by: [day, period, chain_id, token, party, source_asset, role], where: {kind: usage}, unit: base units, from: on_chain, title: Earned from use, definition: What parties are entitled to from payments for calls.}
  task_earned: {sum: amount, by: [day, period, chain_id, token, party, source_asset, role], where: {kind: task}, unit: base units, from: platform, title: Earned from work, definition: What annotators are entitled to for approved datapoints.}
  earners: {distinct: party, by: [day, period, chain_id, token, source_asset, kind, role], from: platform, title: Earners, definition: Parties with at least one entry.}
  earning_assets: {distinct: source_asset, by: [day, period, chain_id, token, party, kind, role], from: platform, title: Earning assets, definition: Assets that paid at least one party.}
partition: {by: day, window: 0}
*/
select
    earning_id, day, period, chain_id, '0x' || lower(hex(token)) as token, party, source_asset, terms_id, kind, role,
    entries, amount, provenance
from core.earnings
where amount is not null
