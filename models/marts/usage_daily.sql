/*
title: How much each asset is used
grain: [day, chain_id, asset_id, asset_name, client, origin, source]
columns:
  day: UTC day of the calls.
  chain_id: Chain of the asset; null where the calls are not tied to a chain.
  asset_id: The asset called; null where the log names it only by text.
  asset_name: The asset's name as the log has it; marts.assets has the registry's.
  asset_kind: What it is (dataset, model, agent, app); null where it is not registered.
  client: The party that called.
  origin: How the calls came in (web2, web3, agent).
  source: Log or trace the calls came from.
  calls: Calls that came in.
  paid_calls: Calls that were settled in a batch.
  errors: Calls that neither succeeded nor are still pending.
  prompt_tokens: Model tokens read.
  completion_tokens: Model tokens written.
rules: [unique(day, chain_id, asset_id, asset_name, client, origin, source), positive(calls), nonnegative(errors)]
metrics:
  calls: {sum: calls, by: [day, chain_id, asset_id, asset_name, asset_kind, client, origin, source], from: platform, title: Calls, definition: Uses of assets as the gateway logged them.}
  paid_calls: {sum: paid_calls, by: [day, chain_id, asset_id, asset_name, asset_kind, client, origin, source], from: platform, title: Settled calls in the log, definition: Calls whose log row names the batch that settled them.}
  call_errors: {sum: errors, by: [day, chain_id, asset_id, asset_name, asset_kind, client, origin, source], from: platform, title: Failed calls, definition: Calls that neither succeeded nor are pending.}
  prompt_tokens: {sum: prompt_tokens, by: [day, chain_id, asset_id, asset_name, asset_kind, client, origin, source], unit: model tokens, from: platform, title: Model tokens read, definition: Model tokens in prompts.}
  completion_tokens: {sum: completion_tokens, by: [day, chain_id, asset_id, asset_name, asset_kind, client, origin, source], unit: model tokens, from: platform, title: Model tokens written, definition: Model tokens in completions.}
  error_rate: {ratio: [errors, calls], by: [day, chain_id, asset_id, asset_name, asset_kind, client, origin, source], from: platform, title: Error rate, definition: Failed calls as a share of calls.}
  paid_share: {ratio: [paid_calls, calls], by: [day, chain_id, asset_id, asset_name, asset_kind, client, origin, source], from: platform, title: Settled share, definition: Calls that were settled as a share of calls.}
  clients: {distinct: client, by: [day, chain_id, asset_id, asset_name, asset_kind, origin, source], from: platform, title: Clients, definition: Parties that made at least one call.}
  used_assets: {distinct: asset_name, by: [day, chain_id, asset_kind, client, origin, source], from: platform, title: Assets used, definition: Assets with at least one call.}
partition: {by: day, window: 0}
*/
with kinds as (
    select distinct chain_id, asset_id, asset_kind
    from core.terms
    where asset_kind is not null
)

select
    usage_days.day, usage_days.chain_id, usage_days.asset_id, usage_days.asset_name, kinds.asset_kind,
    usage_days.client, usage_days.origin, usage_days.source, usage_days.calls, usage_days.paid_calls,
    usage_days.errors, usage_days.prompt_tokens, usage_days.completion_tokens
from core.usage_days as usage_days
left join kinds
    on kinds.chain_id = usage_days.chain_id and kinds.asset_id = usage_days.asset_id
