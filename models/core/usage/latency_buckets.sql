/*
title: How long calls took, as counts per bucket, which add up exactly
grain: [day, chain_id, asset_id, asset_name, source, bucket]
columns:
  day: UTC day of the calls.
  chain_id: Chain of the asset; null where the calls are not tied to a chain.
  asset_id: The asset called; null where the log names it only by text.
  asset_name: The asset's name in the log.
  source: Log or trace the calls came from.
  bucket: The bucket of core.latency_bounds the latency falls into.
  calls: Calls in that bucket; calls without a latency are in none.
rules: [unique(day, chain_id, asset_id, asset_name, source, bucket), positive(calls)]
partition: {by: day, window: 0}
*/
select
    calls.day, calls.chain_id, calls.asset_id, calls.asset_name, calls.source, bounds.bucket,
    cast(count(*) as bigint) as calls
from core.calls as calls
join core.latency_bounds as bounds
    on bounds.above_us < calls.latency_us and calls.latency_us <= bounds.upto_us
group by calls.day, calls.chain_id, calls.asset_id, calls.asset_name, calls.source, bounds.bucket
