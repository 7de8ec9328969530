/*
title: What each asset is built from, in the order the contract pays
grain: [chain_id, child_id, parent_id, block_number, log_index]
columns:
  chain_id: Chain of the registry.
  child_id: The asset that uses the other.
  parent_id: The asset that is used, always the older one.
  relation: How it is used (DERIVED_FROM, TRAINED_ON, COMPOSED_OF, FINETUNED_FROM).
  bps: Ten-thousandths of what the child is credited that go to the parent; frozen when added.
  ord: Place among the child's edges, from 1, in the order added.
  block_number: Block in which the edge was added; it counts for payments after this position.
  log_index: Log of that block.
  at: Time of the block.
rules: [unique(chain_id, child_id, ord), not_null(relation, bps), nonnegative(bps), in_set(relation, DERIVED_FROM, TRAINED_ON, COMPOSED_OF, FINETUNED_FROM)]
*/
select
    chain_id,
    cast(child_id as bigint) as child_id,
    cast(parent_id as bigint) as parent_id,
    case relation
        when 0 then 'DERIVED_FROM' when 1 then 'TRAINED_ON' when 2 then 'COMPOSED_OF' when 3 then 'FINETUNED_FROM'
    end as relation,
    bps,
    row_number() over (
        partition by chain_id, child_id order by block_number nulls last, log_index nulls last
    ) as ord,
    block_number,
    log_index,
    block_time as at
from raw.reference_edge_added
