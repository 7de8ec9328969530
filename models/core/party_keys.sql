/*
title: Which party stands behind a wallet, and from when to when
grain: [chain_id, wallet, party]
columns:
  chain_id: Chain on which the wallet may appear; a wallet a party gave counts on every chain we know.
  wallet: The address.
  party: A party that named it. Whoever names a wallet later gets what happens from then on, and nothing of the past.
  valid_from: From when it counts as this party's; null for the first to name it, whose it was before anybody asked.
  valid_to: Until when, itself excluded, the moment the next party first named it; null while it is this party's.
  named_at: When the party first named it.
  contested: True where the newest rows of two parties or more name it.
rules: [unique(chain_id, wallet, party), not_null(named_at, contested), octets(wallet, 20), warn(in_set(contested, false))]
*/
with named as (
    select wallet, party_id, min(updated_at) as named_at
    from raw.platform_parties
    where wallet is not null
    group by wallet, party_id
),

newest as (
    select party_id, wallet
    from raw.platform_parties
    qualify row_number() over (partition by party_id order by updated_at desc nulls last) = 1
),

claimed as (
    select wallet, count(*) as parties
    from newest
    where wallet is not null
    group by wallet
),

holders as (
    select
        wallet, party_id, named_at,
        row_number() over (partition by wallet order by named_at nulls last, party_id nulls last) as place,
        lead(named_at) over (partition by wallet order by named_at nulls last, party_id nulls last) as valid_to
    from named
)

select
    chains.chain_id,
    holders.wallet,
    holders.party_id as party,
    case when holders.place > 1 then holders.named_at end as valid_from,
    holders.valid_to,
    holders.named_at,
    coalesce(claimed.parties, 0) > 1 as contested
from holders
left join claimed
    on claimed.wallet = holders.wallet
cross join raw.chains as chains
