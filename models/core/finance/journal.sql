/*
title: Double entry, derived from what happened
grain: [day, entry_id, line]
columns:
  entry_id: What happened and its id (payment, earning, payout or credit entry).
  line: Line of the entry, from 1.
  day: UTC day of it.
  period: UTC month of it, YYYY-MM.
  account: >-
    The account. A payment debits custody (held by the vault) and credits gross_value; its fee moves on to the treasury's
    custody and is owed there (protocol_share, payable_treasury). An earning debits supply_side and credits
    payable_contributor, payable_partner_token or suspense. A payout debits the payable and credits custody, the vault's
    for claims and pushes, the treasury's for transfers. Prepaid calls are counted once, when the credit is used
    (deferred_revenue to gross_value); the settlement that the operator later makes for the same batch credits cash, out
    of which it is paid, and not gross_value again. A coupon is a memo and has no line.
  sub_account: Whose custody or cash, or why in suspense; empty where there is one of it.
  party: Who paid, earned or was paid.
  chain_id: Chain of the token.
  token: Token of the amounts; tokens never share a balance.
  debit: Base units debited; 0 where the line credits.
  credit: Base units credited; 0 where the line debits.
  ref: The row this entry was made from (payment, earning, payout or credit entry id).
rules:
  - unique(entry_id, line)
  - not_null(account, token, debit, credit, ref)
  - nonnegative(debit, credit)
  - one_of(debit, credit)
  - sum_equals(debit, credit, entry_id, chain_id, token)
  - in_set(account, cash, custody, deferred_revenue, gross_value, breakage, supply_side, protocol_share, payable_contributor, payable_partner_token, payable_treasury, suspense)
partition: {by: day, window: 0}
*/
with lines as (
    select
        'payment:' || payment_id as entry_id, 1 as line, day, 'custody' as account, 'vault' as sub_account,
        payer_party as party, chain_id, token, amount as debit, cast(0 as decimal(38,0)) as credit, payment_id as ref
    from core.payments
    union all
    select
        'payment:' || payment_id, 2, day, case when rail = 'prepaid_credit' then 'cash' else 'gross_value' end,
        case when rail = 'prepaid_credit' then 'operator' else '' end, payer_party, chain_id, token,
        cast(0 as decimal(38,0)), amount, payment_id
    from core.payments
    union all
    select
        'payment:' || payment_id, 3, day, 'protocol_share', '', payer_party, chain_id, token, fee,
        cast(0 as decimal(38,0)), payment_id
    from core.payments
    union all
    select
        'payment:' || payment_id, 4, day, 'payable_treasury', '', payer_party, chain_id, token,
        cast(0 as decimal(38,0)), fee, payment_id
    from core.payments
    union all
    select
        'payment:' || payment_id, 5, day, 'custody', 'treasury', payer_party, chain_id, token, fee,
        cast(0 as decimal(38,0)), payment_id
    from core.payments
    union all
    select
        'payment:' || payment_id, 6, day, 'custody', 'vault', payer_party, chain_id, token,
        cast(0 as decimal(38,0)), fee, payment_id
    from core.payments
    union all
    select
        'earning:' || earning_id, 1, day, 'supply_side', kind, party, chain_id, token, amount,
        cast(0 as decimal(38,0)), earning_id
    from core.earnings
    union all
    select
        'earning:' || earnings.earning_id, 2, earnings.day,
        case
            when earnings.role = 'suspense' then 'suspense'
            when coalesce(tokens.is_partner, false) then 'payable_partner_token'
            else 'payable_contributor'
        end,
        case when earnings.role = 'suspense' then earnings.party else '' end,
        earnings.party, earnings.chain_id, earnings.token, cast(0 as decimal(38,0)), earnings.amount,
        earnings.earning_id
    from core.earnings as earnings
    left join core.tokens as tokens
        on tokens.chain_id = earnings.chain_id and tokens.token = earnings.token
    union all
    select
        'payout:' || payouts.payout_id, 1, payouts.day,
        case when coalesce(tokens.is_partner, false) then 'payable_partner_token' else 'payable_contributor' end, '',
        payouts.party, payouts.chain_id, payouts.token, payouts.amount, cast(0 as decimal(38,0)), payouts.payout_id
    from core.payouts as payouts
    left join core.tokens as tokens
        on tokens.chain_id = payouts.chain_id and tokens.token = payouts.token
    union all
    select
        'payout:' || payout_id, 2, day, 'custody', case when kind = 'transfer' then 'treasury' else 'vault' end, party,
        chain_id, token, cast(0 as decimal(38,0)), amount, payout_id
    from core.payouts
    union all
    select
        'credit:' || entry_id, 1, cast(credits.at as date), case when kind = 'topup' then 'cash' else 'deferred_revenue' end,
        case when kind = 'topup' then 'operator' else '' end, client, chain_id, token, amount,
        cast(0 as decimal(38,0)), entry_id
    from core.credits as credits
    where kind <> 'coupon'
    union all
    select
        'credit:' || entry_id, 2, cast(credits.at as date),
        case kind
            when 'topup' then 'deferred_revenue' when 'usage' then 'gross_value' when 'refund' then 'cash'
            when 'expiry' then 'breakage'
        end,
        case when kind = 'refund' then 'operator' else '' end, client, chain_id, token,
        cast(0 as decimal(38,0)), amount, entry_id
    from core.credits as credits
    where kind <> 'coupon'
)

select
    entry_id, cast(line as bigint) as line, day, substr(cast(day as string), 1, 7) as period, account, sub_account, party,
    chain_id, token, cast(debit as decimal(38,0)) as debit, cast(credit as decimal(38,0)) as credit, ref
from lines
where debit > 0 or credit > 0
