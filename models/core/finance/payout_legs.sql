/*
title: What a payout run was told to pay, leg by leg, as it stands now
grain: [run_id, leg_no]
columns:
  run_id: The payout run.
  leg_no: Number of the leg in the run.
  party: The payee the leg is for.
  wallet: The account the leg was to be sent to.
  chain_id: Chain of the payment.
  token: Token to pay in.
  amount: Base units to pay.
  amount_raw: The same in 32 bytes.
  kind: What it pays (usage, task).
  period: UTC month whose earnings it pays, YYYY-MM.
  instructed_at: When the run was instructed.
  due_at: When the payee should have it.
  sent_tx: The transaction the platform says it sent; null where it sent none.
  state: Where the platform says the leg stands (instructed, sent, held, cancelled).
  idempotency_key: Same key, same payment.
  updated_at: When the platform last changed it.
  day: UTC day it was instructed.
rules: [unique(run_id, leg_no), not_null(party, wallet, chain_id, token, amount_raw, period, instructed_at, due_at), octets(wallet, token, 20), nonnegative(amount?), in_set(kind, usage, task), in_set(state, instructed, sent, held, cancelled)]
*/
with newest as (
    select *
    from raw.platform_payout_legs
    qualify row_number() over (partition by run_id, leg_no order by updated_at desc nulls last) = 1
)

select
    run_id, leg_no, party_id as party, wallet, chain_id, token, amount, amount_raw, kind, period, instructed_at, due_at,
    sent_tx, state, idempotency_key, updated_at, cast(instructed_at as date) as day
from newest
