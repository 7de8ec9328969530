/*
title: The walk from opening to closing payable, month by month
grain: [period, chain_id, token]
columns:
  period: UTC month, YYYY-MM.
  chain_id: Chain of the money.
  token: Token of it, its address in text.
  opening: Base units owed when the month began; the closing of the month before.
  earned: Base units earned in it.
  adjustments: Base units corrected by hand; none are kept in the lake yet.
  settled: Base units that left in final payouts, also those that discharge no earning.
  in_flight: Base units that left in payouts that are not final yet.
  held: Part of closing that is held back on purpose.
  closing: opening + earned + adjustments - settled - in_flight; below zero where more left than was owed.
  over: Part of settled that discharges no earning.
  control_difference: >-
    What all final payouts up to this month moved less what the matching allocated of them, earning by earning; 0 or the
    table is refused.
rules:
  - unique(period, chain_id, token)
  - not_null(opening, earned, adjustments, settled, in_flight, held, closing, over)
  - equals(closing + settled + in_flight, opening + earned + adjustments)
  - in_set(control_difference, 0)
metrics:
  walk_earned: {sum: earned, by: [period, chain_id, token], unit: base units, from: platform, title: Earned in the walk, definition: Base units earned in the month.}
  walk_settled: {sum: settled, by: [period, chain_id, token], unit: base units, from: on_chain, title: Settled in the walk, definition: Base units that left in final payouts in the month.}
  control_difference: {sum: control_difference, by: [period, chain_id, token], unit: base units, from: platform, title: Control difference, definition: What payouts moved less what the matching allocated of them.}
*/
with allocated as (
    select distinct payout_id
    from core.payout_earnings
),

moves as (
    select period, chain_id, token, amount as earned, cast(0 as decimal(38,0)) as settled,
        cast(0 as decimal(38,0)) as in_flight, cast(0 as decimal(38,0)) as discharged,
        cast(0 as decimal(38,0)) as over, cast(0 as decimal(38,0)) as held
    from core.earnings
    where amount is not null
    union all
    select substr(cast(payouts.day as string), 1, 7), payouts.chain_id, payouts.token, cast(0 as decimal(38,0)),
        case when allocated.payout_id is not null then payouts.amount else cast(0 as decimal(38,0)) end,
        case when allocated.payout_id is null then payouts.amount else cast(0 as decimal(38,0)) end,
        cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0))
    from core.payouts as payouts
    left join allocated
        on allocated.payout_id = payouts.payout_id
    where payouts.amount is not null
    union all
    select period, chain_id, token, cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)),
        case when earning_id <> '' then amount else cast(0 as decimal(38,0)) end,
        case when earning_id = '' then amount else cast(0 as decimal(38,0)) end,
        cast(0 as decimal(38,0))
    from core.payout_earnings
    where amount is not null
    union all
    select period, chain_id, token, cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)),
        cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), expected
    from core.reconciliation_lines
    where status = 'on_hold' and expected is not null
),

months as (
    select distinct period
    from moves
),

purses as (
    select distinct chain_id, token
    from moves
),

sums as (
    select
        months.period, purses.chain_id, purses.token,
        cast(coalesce(sum(moves.earned), 0) as decimal(38,0)) as earned,
        cast(coalesce(sum(moves.settled), 0) as decimal(38,0)) as settled,
        cast(coalesce(sum(moves.in_flight), 0) as decimal(38,0)) as in_flight,
        cast(coalesce(sum(moves.discharged), 0) as decimal(38,0)) as discharged,
        cast(coalesce(sum(moves.over), 0) as decimal(38,0)) as over,
        cast(coalesce(sum(moves.held), 0) as decimal(38,0)) as held
    from months
    cross join purses
    left join moves
        on moves.period = months.period and moves.chain_id = purses.chain_id and moves.token = purses.token
    group by months.period, purses.chain_id, purses.token
),

running as (
    select
        period, chain_id, token, earned, settled, in_flight, over, held,
        cast(sum(earned - settled - in_flight) over (
            partition by chain_id, token order by period nulls last
            rows between unbounded preceding and current row
        ) as decimal(38,0)) as closing,
        cast(sum(settled - discharged - over) over (
            partition by chain_id, token order by period nulls last
            rows between unbounded preceding and current row
        ) as decimal(38,0)) as control_difference
    from sums
)

select
    period,
    chain_id,
    '0x' || lower(hex(token)) as token,
    cast(closing - earned + settled + in_flight as decimal(38,0)) as opening,
    earned,
    cast(0 as decimal(38,0)) as adjustments,
    settled,
    in_flight,
    held,
    closing,
    over,
    control_difference
from running
