/*
title: Everything that left for a payee, seen on chain, whatever the token is worth
grain: [day, payout_id]
columns:
  payout_id: Chain, block hash and log index of the event, joined by colons.
  chain_id: Chain of the payout.
  block_number: Block of the event.
  block_hash: Hash of that block.
  log_index: Log of that block.
  tx_hash: Transaction of the payout.
  at: Time of the block.
  day: UTC day of the block.
  kind: How it was paid; push (the vault's payBatch), claim (the payee took it from the vault), transfer (a treasury wallet sent it).
  batch_id: The payout run's digest, for a push; null otherwise.
  account: The account that received it.
  party: The party behind that account.
  token: Token paid in.
  amount: Base units received; null where they have more than 38 digits.
  amount_raw: The same in 32 bytes.
rules: [unique(payout_id), not_null(account, party, token), octets(account, token, 20), octets(amount_raw, 32), nonnegative(amount?), in_set(kind, push, claim, transfer)]
partition: {by: day, window: 0}
*/
with treasuries as (
    select keys.chain_id, keys.wallet, keys.valid_from, keys.valid_to
    from core.party_keys as keys
    join core.parties as parties
        on parties.party = keys.party
    where ',' || parties.roles || ',' like '%,treasury,%'
),

-- the very transfers that the vault speaks of; any other of the same transaction speaks for itself
explained as (
    select chain_id, block_hash, tx_hash, token, payer as from_address, address as to_address, amount_raw
    from raw.reference_calls_settled
    union
    select chain_id, block_hash, tx_hash, token, address as from_address, account as to_address, amount_raw
    from raw.reference_payout_sent
    union
    select chain_id, block_hash, tx_hash, token, address as from_address, account as to_address, amount_raw
    from raw.reference_earning_claimed
),

events as (
    select chain_id, block_number, block_hash, log_index, tx_hash, block_time, day, 'push' as kind, batch_id, account,
        token, amount, amount_raw
    from raw.reference_payout_sent
    union all
    select chain_id, block_number, block_hash, log_index, tx_hash, block_time, day, 'claim' as kind,
        cast(null as binary) as batch_id, account, token, amount, amount_raw
    from raw.reference_earning_claimed
    union all
    select moved.chain_id, moved.block_number, moved.block_hash, moved.log_index, moved.tx_hash, moved.block_time,
        moved.day, 'transfer' as kind, cast(null as binary) as batch_id, moved.to_address as account,
        moved.address as token, moved.value as amount, moved.value_raw as amount_raw
    from raw.erc20_transfer as moved
    join treasuries as senders
        on senders.chain_id = moved.chain_id and senders.wallet = moved.from_address
        and (senders.valid_from is null or senders.valid_from <= moved.block_time)
        and (senders.valid_to is null or moved.block_time < senders.valid_to)
    left join treasuries as receivers
        on receivers.chain_id = moved.chain_id and receivers.wallet = moved.to_address
        and (receivers.valid_from is null or receivers.valid_from <= moved.block_time)
        and (receivers.valid_to is null or moved.block_time < receivers.valid_to)
    left join explained
        on explained.chain_id = moved.chain_id
        and explained.block_hash = moved.block_hash
        and explained.tx_hash = moved.tx_hash
        and explained.token = moved.address
        and explained.from_address = moved.from_address
        and explained.to_address = moved.to_address
        and explained.amount_raw = moved.value_raw
    where receivers.wallet is null
        and explained.tx_hash is null
        -- money moved into a contract of ours (a stake, a reward pool) pays nobody yet
        and not exists (
            select 1
            from raw.contracts as contracts
            where contracts.chain_id = moved.chain_id and contracts.address = moved.to_address
        )
)

select
    cast(events.chain_id as string) || ':0x' || lower(hex(events.block_hash)) || ':'
        || cast(events.log_index as string) as payout_id,
    events.chain_id,
    events.block_number,
    events.block_hash,
    events.log_index,
    events.tx_hash,
    events.block_time as at,
    events.day,
    events.kind,
    events.batch_id,
    events.account,
    coalesce(keys.party, '0x' || lower(hex(events.account))) as party,
    events.token,
    events.amount,
    events.amount_raw
from events
left join core.party_keys as keys
    on keys.chain_id = events.chain_id and keys.wallet = events.account
    and (keys.valid_from is null or keys.valid_from <= events.block_time)
    and (keys.valid_to is null or events.block_time < keys.valid_to)
