/*
title: What each party earned, was promised and was paid; tokens of core.wide_tokens aside
grain: [party, chain_id, token, kind]
columns:
  party: Who.
  chain_id: Chain of the token.
  token: Token of the balance, its address in text.
  kind: From use of assets (usage) or from work on them (task).
  earned: Base units earned so far.
  instructed: Base units in payout legs that were not held or cancelled.
  paid: Base units that left for the party on chain; claims and pushes count as usage, treasury transfers as task.
  open: earned less paid; below zero where more was paid than earned.
rules: [unique(party, chain_id, token, kind), not_null(earned, instructed, paid, open), nonnegative(earned, instructed, paid)]
metrics:
  balance_earned: {sum: earned, by: [party, chain_id, token, kind], unit: base units, from: platform, title: Earned to date, definition: Everything earned so far.}
  balance_instructed: {sum: instructed, by: [party, chain_id, token, kind], unit: base units, from: platform, title: Instructed to date, definition: Everything in payout legs that stand.}
  balance_paid: {sum: paid, by: [party, chain_id, token, kind], unit: base units, from: on_chain, title: Paid to date, definition: Everything seen leaving for the party on chain.}
  balance_open: {sum: open, by: [party, chain_id, token, kind], unit: base units, from: platform, title: Open, definition: Earned to date less paid to date.}
*/
with sides as (
    select party, chain_id, token, kind, amount as earned, cast(0 as decimal(38,0)) as instructed,
        cast(0 as decimal(38,0)) as paid
    from core.earnings
    where amount is not null
    union all
    select legs.party, legs.chain_id, legs.token, legs.kind, cast(0 as decimal(38,0)) as earned,
        legs.amount as instructed, cast(0 as decimal(38,0)) as paid
    from core.payout_legs as legs
    left join core.wide_tokens as wide
        on wide.chain_id = legs.chain_id and wide.token = legs.token
    where legs.state in ('instructed', 'sent') and wide.token is null
    union all
    select party, chain_id, token, case when kind = 'transfer' then 'task' else 'usage' end as kind,
        cast(0 as decimal(38,0)) as earned, cast(0 as decimal(38,0)) as instructed, amount as paid
    from core.payouts
)

select
    party, chain_id, '0x' || lower(hex(token)) as token, kind,
    cast(sum(earned) as decimal(38,0)) as earned,
    cast(sum(instructed) as decimal(38,0)) as instructed,
    cast(sum(paid) as decimal(38,0)) as paid,
    cast(sum(earned) - sum(paid) as decimal(38,0)) as open
from sides
group by party, chain_id, token, kind
