"""Value that came in for an asset; Python only because a difference of uint256 has no SQL on two engines."""

import polars as pl

from guelta.money import from_raw, raw_of, to_raw
from models.build import Inputs

header = """
title: Value that came in for an asset, before anybody's share
grain: [day, value_id]
columns:
  value_id: The payment that brought it.
  chain_id: Chain of the payment.
  asset_id: The asset that was called.
  token: Token paid in.
  block_number: Block of the payment; with log_index the position at which terms and edges are read.
  log_index: Log of that block.
  at: Time of the block.
  day: UTC day of the block.
  period: UTC month of the block, YYYY-MM.
  stage: Stage of life the value belongs to (training for datasets, deployment for models, composition for agents and
    apps, unknown where the registration is missing).
  gross: Base units paid; null in a token of core.wide_tokens.
  gross_raw: The same in 32 bytes.
  fee: The protocol's part; null likewise.
  fee_raw: The same in 32 bytes.
  net: What is left for the asset and everything upstream of it; null in a token of core.wide_tokens.
  net_raw: The same in 32 bytes.
rules: [unique(value_id), not_null(asset_id, token, stage), nonnegative(gross?, fee?, net?),
        octets(gross_raw, fee_raw, net_raw, 32),
        in_set(stage, training, deployment, composition, unknown)]
partition: {by: day, window: 0}
"""
upstream = ("core.payments", "core.terms")
_SQL = """
with kinds as (
    select distinct chain_id, asset_id, asset_kind from core.terms where asset_kind is not null
)
select
    payments.payment_id as value_id, payments.chain_id, payments.asset_id, payments.token, payments.block_number,
    payments.log_index, payments.at, payments.day, substr(cast(payments.day as string), 1, 7) as period,
    case
        when kinds.asset_kind = 'dataset' then 'training'
        when kinds.asset_kind = 'model' then 'deployment'
        when kinds.asset_kind in ('agent', 'app') then 'composition'
        else 'unknown'
    end as stage,
    payments.amount as gross, payments.amount_raw as gross_raw, payments.fee, payments.fee_raw,
    cast(payments.amount - payments.fee as decimal(38,0)) as net
from core.payments as payments
left join kinds on kinds.chain_id = payments.chain_id and kinds.asset_id = payments.asset_id
"""


def build(inputs: Inputs) -> pl.DataFrame:
    events = inputs.sql(_SQL)
    # a token beyond 38 digits: the pair of bytes still knows the amount
    wide = [
        to_raw(from_raw(gross) - from_raw(fee)) if net is None else None
        for net, gross, fee in events.select("net", "gross_raw", "fee_raw").iter_rows()
    ]
    return events.with_columns(
        pl.coalesce(raw_of(events["net"]).alias("net_raw"), pl.Series("wide", wide, dtype=pl.Binary)).alias("net_raw")
    )
