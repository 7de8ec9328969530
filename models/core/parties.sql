/*
title: Who takes part, as the platform last said it
grain: [party]
columns:
  party: The platform's id of the person, organisation, agent, contract or pool.
  kind: What it is (person, org, agent, contract, pool, protocol).
  roles: What it does here, comma-separated and sorted.
  name: The name it chose, where it gave one.
  country: Its country, where it gave one.
  client_tier: The tier of its contract, where it is a client.
  waitlisted_at: When it joined the waitlist.
  joined_at: When it opened its account.
  activated_at: When it was let in to work or to call.
rules: [unique(party), not_null(kind), in_set(kind, person, org, agent, contract, pool, protocol)]
*/
with newest as (
    select party_id, kind, roles, name, country, client_tier, waitlisted_at, joined_at, activated_at
    from raw.platform_parties
    qualify row_number() over (partition by party_id order by updated_at desc nulls last) = 1
)

select party_id as party, kind, roles, name, country, client_tier, waitlisted_at, joined_at, activated_at
from newest
