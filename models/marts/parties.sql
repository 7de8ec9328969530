/*
title: Parties and how far each has come
grain: [party]
columns:
  party: The platform's id.
  kind: What it is (person, org, agent, contract, pool, protocol).
  roles: What it does here, comma-separated and sorted.
  name: The name it chose; its id where it gave none.
  country: Its country, where it gave one.
  client_tier: The tier of its contract, where it is a client.
  waitlisted_day: UTC day it joined the waitlist.
  joined_day: UTC day it opened its account.
  activated_day: UTC day it was let in.
  first_approved_day: UTC day its first datapoint was approved.
  first_payout_day: UTC day of its first payout.
rules: [unique(party), not_null(kind, name)]
metrics:
  parties: {distinct: party, by: [kind, country, client_tier, waitlisted_day, joined_day, activated_day, first_approved_day, first_payout_day], title: Parties, definition: Parties the platform knows., from: platform}
*/
with steps as (
    select
        party,
        min(case when type = 'waitlist_joined' then day end) as waitlisted_day,
        min(case when type = 'joined' then day end) as joined_day,
        min(case when type = 'activated' then day end) as activated_day,
        min(case when type = 'first_approved' then day end) as first_approved_day,
        min(case when type = 'first_payout' then day end) as first_payout_day
    from core.party_events
    group by party
)

select
    parties.party, parties.kind, parties.roles, coalesce(parties.name, parties.party) as name, parties.country,
    parties.client_tier, steps.waitlisted_day, steps.joined_day, steps.activated_day, steps.first_approved_day,
    steps.first_payout_day
from core.parties as parties
left join steps
    on steps.party = parties.party
