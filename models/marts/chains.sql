/*
title: What we hold of each chain, and how well it is proven
grain: [chain_id]
columns:
  chain_id: The chain's id.
  name: Our short name of the chain.
  caip2: The chain's name in CAIP-2 form.
  source: Where its blocks come from (live, recorded, devnet).
  finality_kind: How its blocks become final.
  proof_ceiling: The highest level of proof this chain can reach.
  head: Highest block we hold; null where we hold none.
  head_at: Time of that block.
  finalized: Highest block known to be final; null where none is known.
  finalized_hash: Hash of that block, in text.
  finalized_at: Time of that block; null where we do not hold it.
  blocks: Blocks we hold.
  logs: Logs we hold.
  incomplete: Blocks whose receipts nobody served, so their logs are missing.
  unproven: Blocks whose receipts root or bloom was checked and does not fit.
  lowest_level: The lowest level of proof of any block we hold.
  highest_level: The highest.
rules: [unique(chain_id), not_null(name, source), nonnegative(blocks, logs)]
metrics:
  indexed_blocks: {sum: blocks, by: [chain_id, name, source], from: on_chain, title: Blocks held, definition: Blocks in the lake.}
  indexed_logs: {sum: logs, by: [chain_id, name, source], from: on_chain, title: Logs held, definition: Logs in the lake.}
  incomplete_blocks: {sum: incomplete, by: [chain_id, name, source], from: on_chain, title: Incomplete blocks, definition: Blocks whose receipts nobody served.}
*/
with held as (
    select
        chain_id,
        max(block_number) as head,
        max(block_time) as head_at,
        cast(count(*) as bigint) as blocks,
        cast(coalesce(sum(log_count), 0) as bigint) as logs,
        cast(sum(case when complete then 0 else 1 end) as bigint) as incomplete,
        cast(sum(case when root_ok = false or bloom_ok = false then 1 else 0 end) as bigint) as unproven,
        min(proof_level) as lowest_level,
        max(proof_level) as highest_level
    from raw.blocks
    group by chain_id
),

heads as (
    select chain_id, max(finalized_block) as finalized, max_by(finalized_hash, finalized_block) as finalized_hash
    from raw.heads
    group by chain_id
)

select
    chains.chain_id, chains.name, chains.caip2, chains.source, chains.finality_kind, chains.proof_ceiling, held.head,
    held.head_at, heads.finalized, '0x' || lower(hex(heads.finalized_hash)) as finalized_hash,
    final.block_time as finalized_at, coalesce(held.blocks, 0) as blocks, coalesce(held.logs, 0) as logs,
    coalesce(held.incomplete, 0) as incomplete, coalesce(held.unproven, 0) as unproven, held.lowest_level,
    held.highest_level
from core.chains as chains
left join held
    on held.chain_id = chains.chain_id
left join heads
    on heads.chain_id = chains.chain_id
left join raw.blocks as final
    on final.chain_id = heads.chain_id and final.block_number = heads.finalized
