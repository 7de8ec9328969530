-- why: no earning is discharged beyond what was earned, nor before it was earned
with discharged as (
    select earning_id, cast(sum(amount) as decimal(38,0)) as amount, min(day) as first_day
    from {batch}
    where earning_id <> ''
    group by earning_id
)

select discharged.earning_id, discharged.amount, earnings.amount as earned
from discharged
left join core.earnings as earnings
    on earnings.earning_id = discharged.earning_id
where earnings.amount is null or discharged.amount > earnings.amount or discharged.first_day < earnings.day
