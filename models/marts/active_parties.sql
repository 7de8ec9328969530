/*
title: Who was active on which day, as exact sets
grain: [day, chain_id, party, role]
columns:
  day: UTC day of the action.
  chain_id: Chain of the action; 0 where it has none.
  party: Who acted.
  role: What it did (client called, payer paid, contributor earned, annotator handed in, reviewer judged, staker staked).
  first_day: UTC day it first did so on this chain.
  is_new: True on that day.
rules: [unique(day, chain_id, party, role), not_null(first_day)]
metrics:
  active_parties: {distinct: party, by: [day, chain_id, role], from: platform, title: Active parties, definition: Parties with at least one action of the role.}
  new_parties: {distinct: party, by: [day, chain_id, role], where: {is_new: true}, from: platform, title: New parties, definition: Parties whose first action of the role falls into the time asked for.}
*/
with actions as (
    select 'client' as role, coalesce(chain_id, 0) as chain_id, client as party, day
    from core.usage_days
    union
    select 'payer' as role, chain_id, payer_party as party, day
    from core.payments
    union
    select 'contributor' as role, chain_id, party, day
    from core.earnings
    where role <> 'suspense'
    union
    select 'annotator' as role, cast(0 as bigint) as chain_id, annotator as party, day
    from core.submissions
    union
    select 'reviewer' as role, cast(0 as bigint) as chain_id, reviewer as party, day
    from core.reviews
    union
    select 'staker' as role, chain_id, party, day
    from core.stake_events
)

select
    actions.day, actions.chain_id, actions.party, actions.role, first_seen.first_day,
    actions.day = first_seen.first_day as is_new
from actions
join core.first_seen as first_seen
    on first_seen.kind = actions.role
    and first_seen.chain_id = actions.chain_id
    and first_seen.party = actions.party
