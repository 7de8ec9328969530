/*
title: Steps of a party's way in, from the waitlist to the first money
grain: [event_id]
columns:
  event_id: Party and type; each step happens once.
  party: Who took the step.
  type: The step (waitlist_joined, joined, activated, first_approved, first_payout).
  at: When it happened.
  day: UTC day of it.
rules: [unique(event_id), not_null(party, type, at), in_set(type, waitlist_joined, joined, activated, first_approved, first_payout)]
*/
with steps as (
    select party, 'waitlist_joined' as type, waitlisted_at as at
    from core.parties
    where waitlisted_at is not null
    union all
    select party, 'joined' as type, joined_at as at
    from core.parties
    where joined_at is not null
    union all
    select party, 'activated' as type, activated_at as at
    from core.parties
    where activated_at is not null
    union all
    select annotator as party, 'first_approved' as type, min(decided_at) as at
    from core.submissions
    where status = 'approved' and decided_at is not null
    group by annotator
    union all
    select party, 'first_payout' as type, min(payouts.at) as at
    from core.payouts as payouts
    group by party
)

select party || ':' || type as event_id, party, type, steps.at as at, cast(steps.at as date) as day
from steps
