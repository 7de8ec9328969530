"""Who is paid under each version of an asset's terms: the arrays of the event, one row an account."""

import polars as pl

from models.build import Inputs

header = """
title: Who an asset's terms pay, and what share
grain: [terms_id, ord]
columns:
  terms_id: The version of the asset's terms.
  ord: Place among its accounts, from 1; the last one takes what rounding left.
  account: The account that is paid.
  party: The party behind that account.
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
    )
    keys = inputs.frame("core.party_keys").select("chain_id", pl.col("wallet").alias("account"), "party")
    known = terms.explode("ord", "account", "bps").join(keys, on=["chain_id", "account"], how="left")
    address = pl.lit("0x") + pl.col("account").bin.encode("hex")
    return known.select(
        "terms_id", "ord", "account", pl.coalesce("party", address).alias("party"), pl.col("bps").cast(pl.Int64)
    ).collect()
