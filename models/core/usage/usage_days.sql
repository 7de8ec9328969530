/*
title: Exact sums of calls per day, which add up to any longer time
grain: [day, chain_id, asset_id, asset_name, client, origin, source]
columns:
  day: UTC day of the calls.
  chain_id: Chain of the asset; null where the calls are not tied to a chain.
  asset_id: The asset called; null where the log names it only by text.
  asset_name: The asset's name in the log.
  client: The party that called.
  origin: How the calls came in (web2, web3, agent).
  source: Log or trace the calls came from.
  calls: Calls that came in.
  paid_calls: Calls that were settled in a batch.
  errors: Calls that neither succeeded nor are still pending.
  prompt_tokens: Model tokens read.
  completion_tokens: Model tokens written.
rules: [unique(day, chain_id, asset_id, asset_name, client, origin, source), positive(calls), nonnegative(paid_calls, errors)]
partition: {by: day, window: 0}
*/
select
    day, chain_id, asset_id, asset_name, client, origin, source,
    cast(count(*) as bigint) as calls,
    cast(count(batch_root) as bigint) as paid_calls,
    cast(sum(case when lower(status) in ('ok', 'success', 'succeed', 'succeeded', 'pending') then 0 else 1 end) as bigint)
        as errors,
    cast(coalesce(sum(prompt_tokens), 0) as bigint) as prompt_tokens,
    cast(coalesce(sum(completion_tokens), 0) as bigint) as completion_tokens
from core.calls
group by day, chain_id, asset_id, asset_name, client, origin, source
