/*
title: Prepaid credits, bought, granted, used, given back
grain: [entry_id]
columns:
  entry_id: The platform's id of the entry.
  client: The party whose credits they are.
  kind: What happened (topup, coupon, usage, refund, expiry).
  chain_id: Chain of the token the credit is worth.
  token: That token.
  amount: Base units of it, never below zero; the kind says which way.
  amount_raw: The same in 32 bytes.
  batch_root: For usage, the batch of calls it was used for; the same root stands in the batch's settlement.
  at: When it happened.
rules: [unique(entry_id), not_null(client, kind, token, at), nonnegative(amount?), in_set(kind, topup, coupon, usage, refund, expiry)]
*/
with newest as (
    select *
    from raw.platform_credits
    qualify row_number() over (partition by entry_id order by updated_at desc nulls last) = 1
)

select
    entry_id, client_id as client, kind, chain_id, token, amount, amount_raw, batch_root, newest.at as at
from newest
