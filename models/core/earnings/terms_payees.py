"""Who is paid under each version of an asset's terms: the arrays of the event, one row an account."""

import polars as pl

from models.build import Inputs
from models.core.earnings import _holders

header = """
title: Who an asset's terms pay, and what share
grain: [terms_id, ord]
columns:
  terms_id: The version of the asset's terms.
  ord: Place among its accounts, from 1; the last one takes what rounding left.
  account: The account that is paid.
  party: The party behind that account when the version was set; an accrual asks again at the time of the payment.
  bps: Ten-thousandths of what the asset keeps.
rules: [unique(terms_id, ord), not_null(account, party, bps), octets(account, 20), nonnegative(bps)]
"""
upstream = ("core.party_keys", "raw.reference_terms_set")


def build(inputs: Inputs) -> pl.DataFrame:
    terms = inputs.frame("raw.reference_terms_set").select(
        "chain_id",
        pl.concat_str(pl.col("chain_id"), pl.col("asset_id").cast(pl.Int64), pl.col("version"), separator=":").alias(
            "terms_id"
        ),
        pl.int_ranges(1, pl.col("accounts").list.len().cast(pl.Int64) + 1).alias("ord"),
        pl.col("accounts").alias("account"),
        "bps",
        pl.col("block_time").alias("at"),
    )
    payees = terms.explode("ord", "account", "bps").collect()
    parties = _holders.held(payees, inputs.frame("core.party_keys").collect())
    return payees.select("terms_id", "ord", "account", parties, pl.col("bps").cast(pl.Int64))
