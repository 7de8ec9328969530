/*
title: What the platform booked as paid, in its own ledger
grain: [ledger_id]
columns:
  ledger_id: The platform's id of the booking.
  run_id: The payout run it books.
  leg_no: The leg of that run.
  party: The payee it books for.
  chain_id: Chain of the payment.
  token: Token booked.
  amount: Base units booked.
  amount_raw: The same in 32 bytes.
  booked_at: When it was booked.
  updated_at: When the platform last changed it.
  day: UTC day of the booking.
rules: [unique(ledger_id), not_null(party, chain_id, token, amount_raw, booked_at), octets(token, 20), nonnegative(amount?)]
*/
with newest as (
    select *
    from raw.platform_ledger
    qualify row_number() over (partition by ledger_id order by updated_at desc nulls last) = 1
)

select
    ledger_id, run_id, leg_no, party_id as party, chain_id, token, amount, amount_raw, booked_at, updated_at,
    cast(booked_at as date) as day
from newest
