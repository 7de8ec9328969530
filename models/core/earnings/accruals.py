"""What every account earned from every payment, line by line as the contract says it."""

import polars as pl

from guelta.money import raw_of
from models.build import Inputs
from models.core.earnings import _cascade, _holders

header = """
title: Who earned what from each payment, in the order the contract emits it
grain: [day, value_id, seq]
columns:
  value_id: The payment.
  seq: Place among the payment's accruals, from 1; the seq-th EarningAccrued log of that settlement.
  path: The assets from the one that was called to the one that pays, joined by >.
  asset_id: The asset whose terms pay.
  terms_id: Its terms in force at the payment; null in suspense.
  ord: Place among the accounts of the terms.
  account: The account that earned; null in suspense.
  party: The party behind that account at the time of the payment; suspense with the reason where nobody can be named.
  bps: Its share of what the asset kept, in ten-thousandths.
  amount: Base units earned; null in a token of core.wide_tokens, whose payments are not divided.
  amount_raw: The same in 32 bytes.
  is_remainder: True for the last account, which takes what rounding left.
  token: Token of the payment.
  chain_id: Chain of the payment.
  day: UTC day of the payment.
rules: [unique(value_id, seq), not_null(party), nonnegative(amount?), octets(amount_raw, 32),
        references(value_id, core.value_events.value_id)]
partition: {by: day, window: 0}
"""
upstream = ("core.flows", "core.party_keys", "core.terms", "core.terms_payees", "core.value_events")


def build(inputs: Inputs) -> pl.DataFrame:
    hops, values = inputs.frame("core.flows"), inputs.frame("core.value_events")
    if inputs.days is not None:
        hops, values = (frame.filter(pl.col("day").is_in(list(inputs.days))) for frame in (hops, values))
    payees = inputs.frame("core.terms_payees").join(
        inputs.frame("core.terms").select("terms_id", "denominator"), on="terms_id"
    )
    events = values.select("value_id", "at", "net", "net_raw").collect()
    rows = _cascade.accruals(hops.collect(), payees.collect()).join(events.select("value_id", "at"), on="value_id")
    parties = _holders.held(rows, inputs.frame("core.party_keys").collect())
    named = pl.when(pl.col("account").is_null()).then(pl.col("party")).otherwise(parties)
    rows = rows.with_columns(named.alias("party"))
    # an amount beyond 38 digits was not divided: its one line in suspense holds the whole of it
    wide = events.filter(pl.col("net").is_null()).select("value_id", "net_raw")
    raw = rows.with_columns(raw_of(rows["amount"]).alias("amount_raw")).join(wide, on="value_id", how="left")
    ordered = ("value_id", "seq", "path", "asset_id", "terms_id", "ord", "account", "party", "bps", "amount")
    return raw.select(
        *ordered, pl.coalesce("amount_raw", "net_raw").alias("amount_raw"), "is_remainder", "token", "chain_id", "day"
    )
