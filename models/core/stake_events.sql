/*
title: Stakes going up and down, rewards and slashes
grain: [day, chain_id, block_number, log_index]
columns:
  chain_id: Chain of the staking contract.
  block_number: Block of the event.
  log_index: Log of that block.
  at: Time of the block.
  day: UTC day of the block.
  account: The account whose stake it is.
  party: The party behind that account.
  type: What happened (stake, unstake, reward, slash).
  token: Token that moved; read from the transfer the contract makes right before the event, null where none is there.
  delta: Base units, above zero for stake and reward, below for unstake and slash; a reward does not change the stake.
rules: [unique(chain_id, block_number, log_index), not_null(account, party), octets(account, 20), in_set(type, stake, unstake, reward, slash)]
partition: {by: day, window: 0}
*/
with events as (
    select chain_id, block_number, block_hash, block_time, day, log_index, address, staked.user as account, 'stake' as type,
        amount as delta
    from raw.reference_staked as staked
    union all
    select chain_id, block_number, block_hash, block_time, day, log_index, address, withdrawn.user as account, 'unstake' as type,
        cast(0 - amount as decimal(38,0)) as delta
    from raw.reference_withdrawn as withdrawn
    union all
    select chain_id, block_number, block_hash, block_time, day, log_index, address, paid.user as account, 'reward' as type,
        paid.reward as delta
    from raw.reference_reward_paid as paid
    union all
    select chain_id, block_number, block_hash, block_time, day, log_index, address, slashed.user as account, 'slash' as type,
        cast(0 - amount as decimal(38,0)) as delta
    from raw.reference_slashed as slashed
)

select
    events.chain_id,
    events.block_number,
    events.log_index,
    events.block_time as at,
    events.day,
    events.account,
    coalesce(keys.party, '0x' || lower(hex(events.account))) as party,
    events.type,
    moved.address as token,
    events.delta
from events
left join raw.erc20_transfer as moved
    on moved.chain_id = events.chain_id
    and moved.block_hash = events.block_hash
    and moved.log_index = events.log_index - 1
    and (moved.to_address = events.address or moved.from_address = events.address)
left join core.party_keys as keys
    on keys.chain_id = events.chain_id and keys.wallet = events.account
    and (keys.valid_from is null or keys.valid_from <= events.block_time)
    and (keys.valid_to is null or events.block_time < keys.valid_to)
