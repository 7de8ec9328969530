/*
title: What an asset grants, version by version
grain: [terms_id]
columns:
  terms_id: Chain, asset and version, joined by colons.
  chain_id: Chain of the registry.
  asset_id: The asset that grants.
  asset_kind: What the asset is (dataset, model, agent, app); null where its registration is missing.
  version: Number of the version, from 1.
  rule: The unit that is rounded down (10-domain §7); the reference contract floors each payment.
  dust_to: Who gets what rounding left; the reference contract gives it to the last account of the terms.
  cap: What bounds an entitlement; nothing here.
  as_of: The position at which terms are read, the block of the payment.
  denominator: The shares' common denominator.
  from_block: Block in which the version was set; it counts for payments after this position.
  from_log: Log of that block.
  from_at: Time of the block.
rules: [unique(terms_id), unique(chain_id, asset_id, version), not_null(rule, dust_to, cap, as_of), positive(denominator)]
*/
select
    cast(terms.chain_id as string) || ':' || cast(cast(terms.asset_id as bigint) as string) || ':'
        || cast(terms.version as string) as terms_id,
    terms.chain_id,
    cast(terms.asset_id as bigint) as asset_id,
    assets.kind as asset_kind,
    terms.version,
    'payment_floor' as rule,
    'PAYEE_REMAINDER' as dust_to,
    'NONE' as cap,
    'PAYMENT_BLOCK' as as_of,
    cast(10000 as bigint) as denominator,
    terms.block_number as from_block,
    terms.log_index as from_log,
    terms.block_time as from_at
from raw.reference_terms_set as terms
left join core.assets as assets
    on assets.chain_id = terms.chain_id and assets.asset_id = cast(terms.asset_id as bigint)
