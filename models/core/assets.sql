/*
title: Registered assets, datasets to apps
grain: [chain_id, asset_id]
columns:
  chain_id: Chain of the registry.
  asset_id: The registry's number of the asset.
  kind: What it is (dataset, model, agent, app).
  name: The name the platform shows; null where it has none.
  owner: The account that registered it.
  owner_party: The party behind that account.
  content_hash: Digest of its content, as registered.
  uri: Where its metadata lies, as registered.
  language: Its language, where the platform states one.
  registered_block: Block of the registration.
  registered_at: Time of that block.
  day: UTC day of it.
rules: [unique(chain_id, asset_id), not_null(kind, owner, owner_party), octets(owner, 20), in_set(kind, dataset, model, agent, app)]
*/
with described as (
    select chain_id, asset_id, name, language
    from raw.platform_assets
    qualify row_number() over (partition by chain_id, asset_id order by updated_at desc nulls last) = 1
)

select
    registered.chain_id,
    cast(registered.asset_id as bigint) as asset_id,
    case registered.kind when 0 then 'dataset' when 1 then 'model' when 2 then 'agent' when 3 then 'app' end as kind,
    described.name,
    registered.owner,
    coalesce(keys.party, '0x' || lower(hex(registered.owner))) as owner_party,
    registered.content_hash,
    registered.uri,
    described.language,
    registered.block_number as registered_block,
    registered.block_time as registered_at,
    registered.day
from raw.reference_asset_registered as registered
left join described
    on described.chain_id = registered.chain_id and described.asset_id = cast(registered.asset_id as bigint)
left join core.party_keys as keys
    on keys.chain_id = registered.chain_id and keys.wallet = registered.owner
    and (keys.valid_from is null or keys.valid_from <= registered.block_time)
    and (keys.valid_to is null or registered.block_time < keys.valid_to)
