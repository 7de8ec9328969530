/*
title: Which party stands behind a wallet
grain: [chain_id, wallet]
columns:
  chain_id: Chain on which the wallet may appear; a wallet a party gave counts on every chain we know.
  wallet: The address.
  party: The party that named it last, where two parties ever named the same one.
  valid_from: When the party first named it.
rules: [unique(chain_id, wallet), not_null(party), octets(wallet, 20)]
*/
with named as (
    select wallet, party_id, min(updated_at) as valid_from, max(updated_at) as named_last
    from raw.platform_parties
    where wallet is not null
    group by wallet, party_id
),

holders as (
    select wallet, party_id, valid_from
    from named
    qualify row_number() over (partition by wallet order by named_last desc nulls last, party_id nulls last) = 1
)

select chains.chain_id, holders.wallet, holders.party_id as party, holders.valid_from
from holders
cross join raw.chains as chains
