/*
title: Payments for batches of calls, as the vault settled them
grain: [day, payment_id]
columns:
  payment_id: Chain, block hash and log index of the settlement, joined by colons.
  chain_id: Chain of the payment.
  block_number: Block of the settlement.
  block_hash: Hash of that block.
  log_index: Log of that block.
  tx_hash: Transaction of the settlement.
  at: Time of the block.
  day: UTC day of the block.
  rail: How the caller paid; prepaid_credit where the platform's credit ledger names the same batch, direct otherwise.
  asset_id: The asset that was called.
  payer: The account that paid; for prepaid credit the platform's operator, not the caller.
  payer_party: The party behind that account.
  token: Token paid in.
  amount: Base units paid, fee included.
  amount_raw: The same in 32 bytes.
  fee: The protocol's part of it.
  fee_raw: The same in 32 bytes.
  calls: How many calls the payment settles.
  batch_root: Root of the off-chain list of those calls.
rules: [unique(payment_id), not_null(asset_id, payer, payer_party, token), octets(payer, token, 20), octets(amount_raw, 32), nonnegative(amount?, fee?), in_set(rail, direct, prepaid_credit)]
partition: {by: day, window: 0}
*/
with prepaid_batches as (
    select distinct chain_id, batch_root
    from core.credits
    where kind = 'usage' and batch_root is not null
)

select
    cast(settled.chain_id as string) || ':0x' || lower(hex(settled.block_hash)) || ':'
        || cast(settled.log_index as string) as payment_id,
    settled.chain_id,
    settled.block_number,
    settled.block_hash,
    settled.log_index,
    settled.tx_hash,
    settled.block_time as at,
    settled.day,
    case when prepaid_batches.batch_root is null then 'direct' else 'prepaid_credit' end as rail,
    cast(settled.asset_id as bigint) as asset_id,
    settled.payer,
    coalesce(keys.party, '0x' || lower(hex(settled.payer))) as payer_party,
    settled.token,
    settled.amount,
    settled.amount_raw,
    settled.fee,
    settled.fee_raw,
    cast(settled.calls as bigint) as calls,
    settled.batch_root
from raw.reference_calls_settled as settled
left join prepaid_batches
    on prepaid_batches.chain_id = settled.chain_id and prepaid_batches.batch_root = settled.batch_root
left join core.party_keys as keys
    on keys.chain_id = settled.chain_id and keys.wallet = settled.payer
