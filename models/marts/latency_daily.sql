/*
title: How long calls took
grain: [day, chain_id, asset_id, asset_name, source, bucket]
columns:
  day: UTC day of the calls.
  chain_id: Chain of the asset; null where the calls are not tied to a chain.
  asset_id: The asset called; null where the log names it only by text.
  asset_name: The asset's name in the log.
  source: Log or trace the calls came from.
  bucket: Bucket of the latency; each is 2 percent wider than the one before.
  calls: Calls in that bucket.
rules: [unique(day, chain_id, asset_id, asset_name, source, bucket), positive(calls)]
metrics:
  latency_p50: {quantile: [bucket, calls, 0.5], by: [day, chain_id, asset_id, asset_name, source], unit: ms, from: platform, title: Median latency, definition: Half of the calls took at most this long.}
  latency_p95: {quantile: [bucket, calls, 0.95], by: [day, chain_id, asset_id, asset_name, source], unit: ms, from: platform, title: Latency p95, definition: 95 of 100 calls took at most this long.}
  latency_p99: {quantile: [bucket, calls, 0.99], by: [day, chain_id, asset_id, asset_name, source], unit: ms, from: platform, title: Latency p99, definition: 99 of 100 calls took at most this long.}
  timed_calls: {sum: calls, by: [day, chain_id, asset_id, asset_name, source], from: platform, title: Timed calls, definition: Calls whose latency was logged.}
partition: {by: day, window: 0}
*/
select day, chain_id, asset_id, asset_name, source, bucket, calls
from core.latency_buckets
