/*
title: What each asset was paid per day; tokens of core.wide_tokens aside
grain: [day, chain_id, asset_id, token, payer, rail]
columns:
  day: UTC day of the payments.
  chain_id: Chain of the payments.
  asset_id: The asset that was called.
  asset_kind: What it is (dataset, model, agent, app); null where its registration is missing.
  stage: Stage of life the value belongs to.
  token: Token paid in, its address in text.
  payer: The party that paid; for prepaid credit the operator.
  rail: How it was paid (direct, prepaid_credit).
  gross_value: Base units paid.
  payments: Settlements.
  calls: Calls they settle.
rules: [unique(day, chain_id, asset_id, token, payer, rail), not_null(gross_value), nonnegative(gross_value)]
metrics:
  gross_value: {sum: gross_value, by: [day, chain_id, asset_id, asset_kind, stage, token, payer, rail], unit: base units, from: on_chain, title: Gross value, definition: "Base units paid for calls, fee included."}
  payers: {distinct: payer, by: [day, chain_id, asset_id, asset_kind, token, rail], from: on_chain, title: Payers, definition: Parties that paid for at least one batch of calls.}
partition: {by: day, window: 0}
*/
with kinds as (
    select distinct chain_id, asset_id, asset_kind
    from core.terms
    where asset_kind is not null
)

select
    value.day,
    value.chain_id,
    value.asset_id,
    kinds.asset_kind,
    value.stage,
    '0x' || lower(hex(value.token)) as token,
    payments.payer_party as payer,
    payments.rail,
    cast(sum(value.gross) as decimal(38,0)) as gross_value,
    cast(count(*) as bigint) as payments,
    cast(coalesce(sum(payments.calls), 0) as bigint) as calls
from core.value_events as value
join core.payments as payments
    on payments.payment_id = value.value_id and payments.day = value.day
left join kinds
    on kinds.chain_id = value.chain_id and kinds.asset_id = value.asset_id
where value.gross is not null
group by
    value.day, value.chain_id, value.asset_id, kinds.asset_kind, value.stage, value.token, payments.payer_party,
    payments.rail
