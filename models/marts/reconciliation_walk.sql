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
  settled: Base units that left in payouts up to the last finalized block, also those that discharge no earning.
  in_flight: Base units that left in payouts above the last finalized block.
  held: Part of closing that is held back on purpose.
  closing: opening + earned + adjustments - settled - in_flight; below zero where more left than was owed.
  over: Part of settled that discharges no earning.
  control_difference: >-
    Base units that do not tie, each side counted apart so that no two of them cancel. Per month, payout by payout, what
    is final against what the matching allocated of it, and earning by earning what was discharged beyond it; and, as no
    month can be told for it, in each month of the token the difference of everything earned from what the lines
    expected, and of everything paid from what the lines say was settled or went astray. Must be 0, or the table is
    refused; null where the token has amounts beyond 38 digits (guelta reconcile tells those).
rules:
  - unique(period, chain_id, token)
  - not_null(opening, earned, adjustments, settled, in_flight, held, closing, over)
  - equals(closing + settled + in_flight, opening + earned + adjustments)
  - in_set(control_difference?, 0)
metrics:
  walk_earned: {sum: earned, by: [period, chain_id, token], unit: base units, from: platform, title: Earned in the walk, definition: Base units earned in the month.}
  walk_settled: {sum: settled, by: [period, chain_id, token], unit: base units, from: on_chain, title: Settled in the walk, definition: Base units that left in final payouts in the month.}
  control_difference: {sum: control_difference, by: [period, chain_id, token], unit: base units, from: platform, title: Control difference, definition: "Base units that do not tie between earnings, payouts, their allocation and the lines."}
*/
with final as (
    select chain_id, max(as_of_block) as block
    from core.reconciliation_lines
    group by chain_id
),

allocated as (
    select payout_id, min(period) as period, min(chain_id) as chain_id, min(token) as token,
        cast(sum(amount) as decimal(38,0)) as amount
    from core.payout_earnings
    group by payout_id
),

seen as (
    select payouts.payout_id, substr(cast(payouts.day as string), 1, 7) as period, payouts.chain_id, payouts.token,
        payouts.amount, coalesce(payouts.block_number <= final.block, false) as is_final
    from core.payouts as payouts
    left join final
        on final.chain_id = payouts.chain_id
),

discharged as (
    select earning_id, min(earned_period) as period, min(chain_id) as chain_id, min(token) as token,
        cast(sum(amount) as decimal(38,0)) as amount
    from core.payout_earnings
    where earning_id <> ''
    group by earning_id
),

moves as (
    select period, chain_id, token, amount as earned, cast(0 as decimal(38,0)) as settled,
        cast(0 as decimal(38,0)) as in_flight, cast(0 as decimal(38,0)) as over, cast(0 as decimal(38,0)) as held,
        cast(0 as decimal(38,0)) as expected, cast(0 as decimal(38,0)) as reached, cast(0 as decimal(38,0)) as loose,
        case when amount is null then 1 else 0 end as beyond
    from core.earnings
    union all
    select period, chain_id, token, cast(0 as decimal(38,0)),
        case when is_final then amount else cast(0 as decimal(38,0)) end,
        case when is_final then cast(0 as decimal(38,0)) else amount end,
        cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)),
        cast(0 as decimal(38,0)), case when amount is null then 1 else 0 end
    from seen
    union all
    select period, chain_id, token, cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)),
        case when earning_id = '' then amount else cast(0 as decimal(38,0)) end, cast(0 as decimal(38,0)),
        cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)),
        case when amount is null then 1 else 0 end
    from core.payout_earnings
    union all
    -- an allocation without its payout, a final payout without its allocation, or the two with other amounts
    select coalesce(seen.period, allocated.period), coalesce(seen.chain_id, allocated.chain_id),
        coalesce(seen.token, allocated.token), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)),
        cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)),
        cast(0 as decimal(38,0)),
        cast(
            abs(
                coalesce(case when seen.is_final then seen.amount end, cast(0 as decimal(38,0)))
                - coalesce(allocated.amount, cast(0 as decimal(38,0)))
            ) as decimal(38,0)
        ), 0
    from seen
    full outer join allocated
        on allocated.payout_id = seen.payout_id
    union all
    select discharged.period, discharged.chain_id, discharged.token, cast(0 as decimal(38,0)), cast(0 as decimal(38,0)),
        cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)),
        cast(0 as decimal(38,0)),
        cast(discharged.amount - coalesce(earnings.amount, cast(0 as decimal(38,0))) as decimal(38,0)), 0
    from discharged
    left join core.earnings as earnings
        on earnings.earning_id = discharged.earning_id
    where discharged.amount > coalesce(earnings.amount, cast(0 as decimal(38,0)))
    union all
    select period, chain_id, token, cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)),
        cast(0 as decimal(38,0)), case when status = 'on_hold' then expected else cast(0 as decimal(38,0)) end,
        expected, settled, cast(0 as decimal(38,0)), case when expected is null or settled is null then 1 else 0 end
    from core.reconciliation_lines
    union all
    select period, astray_chain_id, astray_token, cast(0 as decimal(38,0)), cast(0 as decimal(38,0)),
        cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)), cast(0 as decimal(38,0)),
        astray, cast(0 as decimal(38,0)), case when astray is null then 1 else 0 end
    from core.reconciliation_lines
    where astray_chain_id is not null
),

months as (
    select distinct period
    from moves
),

purses as (
    select
        chain_id, token, max(beyond) as beyond,
        cast(
            abs(cast(sum(earned) - sum(expected) as decimal(38,0)))
            + abs(cast(sum(settled) + sum(in_flight) - sum(reached) as decimal(38,0))) as decimal(38,0)
        ) as apart
    from moves
    group by chain_id, token
),

sums as (
    select
        months.period, purses.chain_id, purses.token,
        cast(coalesce(sum(moves.earned), 0) as decimal(38,0)) as earned,
        cast(coalesce(sum(moves.settled), 0) as decimal(38,0)) as settled,
        cast(coalesce(sum(moves.in_flight), 0) as decimal(38,0)) as in_flight,
        cast(coalesce(sum(moves.over), 0) as decimal(38,0)) as over,
        cast(coalesce(sum(moves.held), 0) as decimal(38,0)) as held,
        case
            when max(purses.beyond) = 0
                then cast(max(purses.apart) + coalesce(sum(moves.loose), 0) as decimal(38,0))
        end as control_difference
    from months
    cross join purses
    left join moves
        on moves.period = months.period and moves.chain_id = purses.chain_id and moves.token = purses.token
    group by months.period, purses.chain_id, purses.token
),

running as (
    select
        period, chain_id, token, earned, settled, in_flight, over, held, control_difference,
        cast(sum(earned - settled - in_flight) over (
            partition by chain_id, token order by period nulls last
            rows between unbounded preceding and current row
        ) as decimal(38,0)) as closing
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
