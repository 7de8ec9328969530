/*
title: Which calls a payment settles
grain: [payment_id, call_id]
columns:
  payment_id: The settlement.
  call_id: A call whose log row names the settlement's batch.
  day: UTC day of the payment, which may come after the call's.
rules: [unique(payment_id, call_id), not_null(day), references(payment_id, core.payments.payment_id), references(call_id, core.calls.call_id)]
*/
select payments.payment_id, calls.call_id, payments.day
from core.payments as payments
join core.calls as calls
    on calls.batch_root = payments.batch_root and calls.chain_id = payments.chain_id
