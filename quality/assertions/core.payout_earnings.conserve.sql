-- why: every unit of every payout is allocated exactly once, to an earning or to nothing
with allocated as (
    select payout_id, cast(sum(amount) as decimal(38,0)) as amount
    from {batch}
    group by payout_id
)

select payouts.payout_id, payouts.amount, allocated.amount as allocated
from allocated
left join core.payouts as payouts
    on payouts.payout_id = allocated.payout_id
where payouts.amount is distinct from allocated.amount
