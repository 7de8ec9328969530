"""Which tokens moved in amounts no decimal can sum; anybody can make a token and settle, claim or send as much of it.

Half of the bound's digits are never looked at: each amount counts by its multiples of 10^19, so no sum here overflows.
"""

import polars as pl

from models.build import Inputs

header = """
title: Tokens whose amounts do not fit 38 digits together
grain: [chain_id, token]
columns:
  chain_id: Chain of the token.
  token: >-
    A token of which one amount has more than 38 digits, or of which all payments, payouts, payout legs and rewards
    together reach 10^37 base units, a tenth of what a decimal holds. Its amounts are exact in the raw columns of core;
    their decimals are null, its payments wait in suspense:beyond_38_digits, its payouts stand in core.payout_events
    alone, and marts leave it out. So every sum of decimals of the other tokens fits, whoever pays in what.
rules: [unique(chain_id, token), octets(token, 20)]
"""
upstream = ("core.payout_events", "core.payout_legs", "core.reward_entries", "raw.reference_calls_settled")
_SQL = """
with amounts as (
    select chain_id, token, amount from raw.reference_calls_settled
    union all
    select chain_id, token, amount from core.payout_events
    union all
    select chain_id, token, amount from core.payout_legs
    union all
    select chain_id, token, amount from core.reward_entries where amount_raw is not null
)

select chain_id, token
from amounts
where chain_id is not null and token is not null
group by chain_id, token
having count(amount) < count(*) or sum(cast(amount as hugeint) // 10000000000000000000) >= 1000000000000000000
order by chain_id, token
"""


def build(inputs: Inputs) -> pl.DataFrame:
    return inputs.sql(_SQL)
