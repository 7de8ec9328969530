/*
title: The first and the last day each party did something
grain: [kind, chain_id, party]
columns:
  kind: What it did (client called, payer paid, contributor earned, annotator handed in, reviewer judged, staker staked).
  chain_id: Chain it did it on; 0 where the action has no chain.
  party: Who.
  first_day: First UTC day.
  last_day: Last UTC day.
rules: [unique(kind, chain_id, party), not_null(first_day, last_day), in_set(kind, client, payer, contributor, annotator, reviewer, staker)]
*/
with actions as (
    select 'client' as kind, coalesce(chain_id, 0) as chain_id, client as party, day
    from core.usage_days
    union all
    select 'payer' as kind, chain_id, payer_party as party, day
    from core.payments
    union all
    select 'contributor' as kind, chain_id, party, day
    from core.earnings
    where role <> 'suspense'
    union all
    select 'annotator' as kind, cast(0 as bigint) as chain_id, annotator as party, day
    from core.submissions
    union all
    select 'reviewer' as kind, cast(0 as bigint) as chain_id, reviewer as party, day
    from core.reviews
    union all
    select 'staker' as kind, chain_id, party, day
    from core.stake_events
)

select kind, chain_id, party, min(day) as first_day, max(day) as last_day
from actions
group by kind, chain_id, party
