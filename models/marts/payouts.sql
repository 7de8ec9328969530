/*
title: Payouts seen on chain
grain: [day, payout_id]
columns:
  payout_id: Chain, block hash and log index of the event.
  day: UTC day of the block.
  at: Time of the block.
  period: UTC month of the block, YYYY-MM.
  chain_id: Chain of the payout.
  block_number: Block of the event.
  log_index: Log of that block.
  tx_hash: Its transaction, in text.
  kind: How it was paid (push, claim, transfer).
  run_id: The payout run of a push or of a transfer that a leg names; null otherwise.
  party: Who was paid.
  account: The account that received it, in text.
  token: Token paid in, its address in text.
  amount: Base units paid.
rules: [unique(payout_id), not_null(amount, party), nonnegative(amount)]
metrics:
  paid: {sum: amount, by: [day, period, chain_id, token, party, kind], unit: base units, from: on_chain, title: Paid, definition: Base units that left for payees on chain.}
  payouts: {distinct: payout_id, by: [day, period, chain_id, token, party, kind], from: on_chain, title: Payouts, definition: Payouts seen on chain.}
  paid_parties: {distinct: party, by: [day, period, chain_id, token, kind], from: on_chain, title: Parties paid, definition: Parties with at least one payout.}
*/
with sent as (
    select chain_id, sent_tx, min(run_id) as run_id
    from core.payout_legs
    where sent_tx is not null
    group by chain_id, sent_tx
)

select
    payouts.payout_id, payouts.day, payouts.at, substr(cast(payouts.day as string), 1, 7) as period, payouts.chain_id,
    payouts.block_number, payouts.log_index, '0x' || lower(hex(payouts.tx_hash)) as tx_hash, payouts.kind, sent.run_id,
    payouts.party, '0x' || lower(hex(payouts.account)) as account, '0x' || lower(hex(payouts.token)) as token,
    payouts.amount
from core.payouts as payouts
left join sent
    on sent.chain_id = payouts.chain_id and sent.sent_tx = payouts.tx_hash
where payouts.amount is not null
