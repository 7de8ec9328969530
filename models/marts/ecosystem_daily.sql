/*
title: What came in, and who it went to, day by day; tokens of core.wide_tokens aside
grain: [day, chain_id, token]
columns:
  day: UTC day of the payments.
  chain_id: Chain of the payments.
  token: Token paid in, its address in text.
  gross_value: Base units paid for calls.
  supply_side: Base units of it that contributors earned.
  protocol_revenue: Base units of it that the protocol keeps as fee.
  carry: Base units of it that are owed to nobody yet, because an asset has no terms.
  difference: gross_value less the other three; anything but 0 refuses the table.
  payments: Settlements.
  calls: Calls they settle.
rules: [unique(day, chain_id, token), in_set(difference, 0), nonnegative(gross_value, supply_side, protocol_revenue, carry)]
metrics:
  supply_side: {sum: supply_side, by: [day, chain_id, token], unit: base units, from: on_chain, title: Supply side, definition: What contributors earned from payments for calls.}
  protocol_revenue: {sum: protocol_revenue, by: [day, chain_id, token], unit: base units, from: on_chain, title: Protocol revenue, definition: The protocol's fee on payments for calls.}
  carry: {sum: carry, by: [day, chain_id, token], unit: base units, from: on_chain, title: Carry, definition: What payments brought and nobody is owed yet.}
  ecosystem_value: {sum: gross_value, by: [day, chain_id, token], unit: base units, from: on_chain, title: Gross value by token, definition: "Base units paid for calls; equals supply side, protocol revenue and carry together."}
  take_rate: {ratio: [protocol_revenue, gross_value], by: [day, chain_id, token], unit: share, from: on_chain, title: Take rate, definition: Protocol revenue as a share of gross value.}
  supply_share: {ratio: [supply_side, gross_value], by: [day, chain_id, token], unit: share, from: on_chain, title: Contributor share, definition: Supply side as a share of gross value.}
  payments: {sum: payments, by: [day, chain_id, token], unit: count, from: on_chain, title: Payments, definition: Settlements on chain.}
  settled_calls: {sum: calls, by: [day, chain_id, token], unit: count, from: on_chain, title: Settled calls, definition: Calls that settlements on chain count.}
partition: {by: day, window: 0}
*/
with came_in as (
    select
        value.day, value.chain_id, value.token,
        cast(sum(value.gross) as decimal(38,0)) as gross_value,
        cast(sum(value.fee) as decimal(38,0)) as protocol_revenue,
        cast(count(*) as bigint) as payments,
        cast(coalesce(sum(payments.calls), 0) as bigint) as calls
    from core.value_events as value
    join core.payments as payments
        on payments.payment_id = value.value_id and payments.day = value.day
    where value.net is not null
    group by value.day, value.chain_id, value.token
),

went_out as (
    select
        day, chain_id, token,
        cast(sum(case when role <> 'suspense' then amount else 0 end) as decimal(38,0)) as supply_side,
        cast(sum(case when role = 'suspense' then amount else 0 end) as decimal(38,0)) as carry
    from core.earnings
    where kind = 'usage' and amount is not null
    group by day, chain_id, token
)

select
    came_in.day,
    came_in.chain_id,
    '0x' || lower(hex(came_in.token)) as token,
    came_in.gross_value,
    coalesce(went_out.supply_side, cast(0 as decimal(38,0))) as supply_side,
    came_in.protocol_revenue,
    coalesce(went_out.carry, cast(0 as decimal(38,0))) as carry,
    cast(
        came_in.gross_value - came_in.protocol_revenue - coalesce(went_out.supply_side, cast(0 as decimal(38,0)))
        - coalesce(went_out.carry, cast(0 as decimal(38,0))) as decimal(38,0)
    ) as difference,
    came_in.payments,
    came_in.calls
from came_in
left join went_out
    on went_out.day = came_in.day and went_out.chain_id = came_in.chain_id and went_out.token = came_in.token
