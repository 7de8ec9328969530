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
  amount: Base units paid, fee included; null in a token of core.wide_tokens.
  amount_raw: The same in 32 bytes.
  fee: The protocol's part of it; null in a token of core.wide_tokens.
  fee_raw: The same in 32 bytes.
  calls: How many calls the payer says it settles; null where that is 10^12 or more, which no batch holds.
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
    case when wide.token is null then settled.amount end as amount,
    settled.amount_raw,
    case when wide.token is null then settled.fee end as fee,
    settled.fee_raw,
    cast(case when settled.calls < 1000000000000 then settled.calls end as bigint) as calls,
    settled.batch_root
from raw.reference_calls_settled as settled
left join prepaid_batches
    on prepaid_batches.chain_id = settled.chain_id and prepaid_batches.batch_root = settled.batch_root
left join core.wide_tokens as wide
    on wide.chain_id = settled.chain_id and wide.token = settled.token
left join core.party_keys as keys
    on keys.chain_id = settled.chain_id and keys.wallet = settled.payer
    and (keys.valid_from is null or keys.valid_from <= settled.block_time)
    and (keys.valid_to is null or settled.block_time < keys.valid_to)
