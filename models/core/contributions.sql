/*
title: Work recorded on chain as having gone into an asset
grain: [day, chain_id, block_number, log_index]
columns:
  chain_id: Chain of the registry.
  block_number: Block of the record.
  log_index: Log of that block.
  asset_id: The asset the work went into.
  contributor: The account that recorded it.
  party: The party behind that account.
  task_id: Digest of the task the work was done under.
  kind: The registry's number for the kind of work.
  units: How much, in units of that kind.
  quality: Quality in ten-thousandths, as recorded.
  at: Time of the block.
  day: UTC day of the block.
rules: [unique(chain_id, block_number, log_index), not_null(asset_id, contributor, party), octets(contributor, 20), nonnegative(units?)]
partition: {by: day, window: 0}
*/
select
    recorded.chain_id,
    recorded.block_number,
    recorded.log_index,
    cast(recorded.asset_id as bigint) as asset_id,
    recorded.contributor,
    coalesce(keys.party, '0x' || lower(hex(recorded.contributor))) as party,
    recorded.task_id,
    recorded.kind,
    recorded.units,
    recorded.quality,
    recorded.block_time as at,
    recorded.day
from raw.reference_contribution_recorded as recorded
left join core.party_keys as keys
    on keys.chain_id = recorded.chain_id and keys.wallet = recorded.contributor
    and (keys.valid_from is null or keys.valid_from <= recorded.block_time)
    and (keys.valid_to is null or recorded.block_time < keys.valid_to)
