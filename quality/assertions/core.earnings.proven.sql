-- why: what we compute is earned only once the contract's own logs said the same
select accruals.value_id, accruals.seq, accruals.amount, proof.emitted
from core.accruals as accruals
left join core.accrual_proof as proof
    on proof.day = accruals.day and proof.value_id = accruals.value_id and proof.seq = accruals.seq
    and proof.computed = accruals.amount
where accruals.party <> 'suspense:beyond_38_digits'
    and accruals.day in (select day from {batch} where kind = 'usage')
    and not coalesce(proof.equal, false)
