/*
title: What happened on each chain, day by day
grain: [day, chain_id]
columns:
  day: UTC day of the blocks.
  chain_id: The chain.
  blocks: Blocks we hold of that day.
  logs: Logs in them.
  transfers: Token movements in them, one a leg.
  quarantined: Logs no rule of ours could decode.
rules: [unique(day, chain_id), nonnegative(blocks, logs, transfers, quarantined)]
metrics:
  blocks: {sum: blocks, by: [day, chain_id], from: on_chain, title: Blocks, definition: Blocks held of the time asked for.}
  logs: {sum: logs, by: [day, chain_id], from: on_chain, title: Logs, definition: Logs held of the time asked for.}
  transfers: {sum: transfers, by: [day, chain_id], from: on_chain, title: Token movements, definition: "Transfers of every token standard, one a leg."}
  quarantined_logs: {sum: quarantined, by: [day, chain_id], from: on_chain, title: Quarantined logs, definition: Logs that could not be decoded.}
partition: {by: day, window: 0}
*/
with happenings as (
    select day, chain_id, cast(1 as bigint) as blocks, cast(coalesce(log_count, 0) as bigint) as logs,
        cast(0 as bigint) as transfers, cast(0 as bigint) as quarantined
    from raw.blocks
    union all
    select day, chain_id, cast(0 as bigint), cast(0 as bigint), cast(1 as bigint), cast(0 as bigint)
    from core.token_movements
    union all
    select day, chain_id, cast(0 as bigint), cast(0 as bigint), cast(0 as bigint), cast(1 as bigint)
    from raw.quarantine
)

select
    day, chain_id,
    cast(sum(blocks) as bigint) as blocks,
    cast(sum(logs) as bigint) as logs,
    cast(sum(transfers) as bigint) as transfers,
    cast(sum(quarantined) as bigint) as quarantined
from happenings
group by day, chain_id
