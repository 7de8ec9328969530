"""Whose an account was at the time of an event."""

from datetime import UTC, datetime

import polars as pl

_ALWAYS = datetime(1, 1, 1, tzinfo=UTC)


def held(rows: pl.DataFrame, keys: pl.DataFrame) -> pl.Series:
    """The party behind each row's account when it happened; the address in text where nobody ever named it.

    Args:
        rows: chain_id, account, at.
        keys: core.party_keys.
    """
    holders = keys.filter(pl.col("valid_to").is_null() | (pl.col("valid_from").fill_null(_ALWAYS) < pl.col("valid_to")))
    holders = holders.select(
        "chain_id", pl.col("wallet").alias("account"), "party", pl.col("valid_from").fill_null(_ALWAYS).alias("at")
    )
    found = (
        rows.select("chain_id", "account", "at")
        .with_row_index("place")
        .sort("at")
        .join_asof(holders.sort("at"), on="at", by=["chain_id", "account"], strategy="backward", check_sortedness=False)
        .sort("place")
    )
    return found.select(
        pl.coalesce("party", pl.lit("0x") + pl.col("account").bin.encode("hex")).alias("party")
    ).to_series()
