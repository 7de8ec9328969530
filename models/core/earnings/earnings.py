"""What each party is entitled to: usage from payments, task rewards from approved work.

Nothing is earned from use before core.accrual_proof stands: a proof that is refused holds this table back.
"""

import polars as pl

from guelta.money import raw_of
from models.build import Inputs

header = """
title: Earnings, one entry a day for each payee, token, asset and terms
grain: [day, earning_id]
columns:
  earning_id: Digest of everything that tells this entry from others, so a rebuild gives the same id.
  day: UTC day of the payment, or of the approval of the work.
  period: UTC month of it, YYYY-MM.
  chain_id: Chain on which it is owed.
  token: Token it is owed in.
  party: Who earned; suspense with the reason where nobody can be named.
  account: The account it is owed to; null in suspense, or where the annotator named no wallet.
  role: As what (data_contributor from datasets, model_developer from AI models, app from agents and apps, annotator
    from approved work, suspense where nobody can be named).
  source_asset: The asset whose terms pay, or the dataset the work went into; null where the work has none.
  terms_id: The asset's terms, or the task and version whose rate pays.
  kind: From use of assets (usage) or from work on them (task).
  entries: Accruals or approved datapoints in this entry.
  amount: >-
    Base units earned; null in a token of core.wide_tokens, of which each accrual or datapoint is an entry of its own.
  amount_raw: The same in 32 bytes.
  provenance: on_chain where logs prove it, platform where the platform says so.
rules: [unique(earning_id), not_null(earning_id, chain_id, token, party, role, kind), nonnegative(amount?),
        octets(amount_raw, 32),
        positive(entries), in_set(kind, usage, task), in_set(provenance, on_chain, platform),
        in_set(role, data_contributor, model_developer, app, annotator, suspense)]
partition: {by: day, window: 0}
"""
upstream = (
    "core.accrual_proof",
    "core.accruals",
    "core.party_keys",
    "core.reward_entries",
    "core.terms",
    "core.wide_tokens",
)
_SQL = """
with wallets as (
    select chain_id, party, wallet
    from core.party_keys
    qualify row_number() over (partition by chain_id, party order by named_at desc nulls last, wallet nulls last) = 1
),

lines as (
    select
        accruals.day, accruals.chain_id, accruals.token, accruals.party, accruals.account,
        case
            when accruals.account is null then 'suspense'
            when terms.asset_kind = 'dataset' then 'data_contributor'
            when terms.asset_kind = 'model' then 'model_developer'
            else 'app'
        end as role,
        accruals.asset_id as source_asset, accruals.terms_id, 'usage' as kind, accruals.amount,
        accruals.amount_raw, 'on_chain' as provenance,
        accruals.value_id || ':' || cast(accruals.seq as string) as ref
    from core.accruals as accruals
    left join core.terms as terms on terms.terms_id = accruals.terms_id
    union all
    select
        rewards.day, rewards.chain_id, rewards.token, rewards.party, wallets.wallet as account, 'annotator' as role,
        rewards.dataset_id as source_asset, rewards.task_id || ':' || cast(rewards.rate_version as string) as terms_id,
        'task' as kind, case when wide.token is null then rewards.amount end as amount, rewards.amount_raw,
        'platform' as provenance, rewards.entry_id as ref
    from core.reward_entries as rewards
    left join core.wide_tokens as wide on wide.chain_id = rewards.chain_id and wide.token = rewards.token
    left join wallets on wallets.chain_id = rewards.chain_id and wallets.party = rewards.party
    where rewards.state = 'owed'
)

select
    md5(
        cast(day as string) || '|' || cast(chain_id as string) || '|' || lower(hex(token)) || '|' || party || '|'
        || coalesce(lower(hex(account)), '') || '|' || role || '|' || coalesce(cast(source_asset as string), '') || '|'
        || coalesce(terms_id, '') || '|' || kind
    ) %s as earning_id,
    day, substr(cast(day as string), 1, 7) as period, chain_id, token, party, account, role, source_asset, terms_id,
    kind, cast(count(*) as bigint) as entries, %s, provenance
from lines
where (amount is null) = $beyond
group by day, chain_id, token, party, account, role, source_asset, terms_id, kind, provenance %s
"""


def build(inputs: Inputs) -> pl.DataFrame:
    fitting = inputs.sql(_SQL % ("", "cast(sum(amount) as decimal(38,0)) as amount", ""), beyond=False)
    rows = fitting.with_columns(raw_of(fitting["amount"]).alias("amount_raw"))
    # two amounts of 256 bits may have a sum that no bytes of ours hold: entries of their own
    wide = inputs.sql(_SQL % ("|| ':' || ref", "amount_raw", ", ref, amount_raw"), beyond=True)
    beyond = wide.with_columns(pl.lit(None, dtype=pl.Decimal(38, 0)).alias("amount"))
    columns = [*(name for name in rows.columns if name not in ("amount_raw", "provenance")), "amount_raw", "provenance"]
    return pl.concat([rows.select(columns), beyond.select(columns)])
