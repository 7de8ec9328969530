/*
title: Money that left for a payee, seen on chain; tokens of core.wide_tokens stand in core.payout_events only
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
  amount: Base units received.
  amount_raw: The same in 32 bytes.
rules: [unique(payout_id), not_null(account, party, token, amount), octets(account, token, 20), octets(amount_raw, 32), nonnegative(amount), in_set(kind, push, claim, transfer)]
partition: {by: day, window: 0}
*/
select
    events.payout_id, events.chain_id, events.block_number, events.block_hash, events.log_index, events.tx_hash,
    events.at as at, events.day, events.kind, events.batch_id, events.account, events.party, events.token, events.amount,
    events.amount_raw
from core.payout_events as events
left join core.wide_tokens as wide
    on wide.chain_id = events.chain_id and wide.token = events.token
where wide.token is null
