/*
title: Our accruals beside the contract's own, line by line; payments beyond 38 digits are divided by nobody and left out
grain: [day, value_id, seq]
columns:
  value_id: The payment.
  seq: Place among its accruals, from 1.
  day: UTC day of the payment.
  asset_id: The asset that pays, by our replay; by the log where we have no line.
  account: The account that earned, by our replay; by the log where we have no line.
  computed: Base units by our replay; null where the log has no line of ours.
  emitted: Base units in the EarningAccrued log; null where we have a line that was never emitted.
  equal: True where asset, account and amount are the same to the last unit.
rules: [unique(value_id, seq), not_null(equal), in_set(equal, true)]
partition: {by: day, window: 0}
*/
with undivided as (
    select distinct value_id
    from core.accruals
    where party = 'suspense:beyond_38_digits'
),

settlements as (
    select
        chain_id, block_hash, tx_hash, log_index, day,
        cast(chain_id as string) || ':0x' || lower(hex(block_hash)) || ':' || cast(log_index as string) as value_id,
        lead(log_index) over (partition by chain_id, block_hash, tx_hash order by log_index nulls last) as next_index
    from raw.reference_calls_settled
),

emitted as (
    select
        settlements.value_id,
        row_number() over (partition by settlements.value_id order by logs.log_index nulls last) as seq,
        settlements.day,
        cast(logs.asset_id as bigint) as asset_id,
        logs.account,
        logs.amount,
        logs.amount_raw
    from raw.reference_earning_accrued as logs
    join settlements
        on settlements.chain_id = logs.chain_id
        and settlements.block_hash = logs.block_hash
        and settlements.tx_hash = logs.tx_hash
        and settlements.log_index < logs.log_index
        and (settlements.next_index is null or logs.log_index < settlements.next_index)
)

select
    coalesce(computed.value_id, emitted.value_id) as value_id,
    coalesce(computed.seq, emitted.seq) as seq,
    coalesce(computed.day, emitted.day) as day,
    coalesce(computed.asset_id, emitted.asset_id) as asset_id,
    coalesce(computed.account, emitted.account) as account,
    computed.amount as computed,
    emitted.amount as emitted,
    coalesce(
        computed.amount_raw = emitted.amount_raw
            and computed.asset_id = emitted.asset_id
            and computed.account = emitted.account,
        false
    ) as equal
from core.accruals as computed
full outer join emitted
    on emitted.value_id = computed.value_id and emitted.seq = computed.seq
left join undivided
    on undivided.value_id = coalesce(computed.value_id, emitted.value_id)
where undivided.value_id is null
