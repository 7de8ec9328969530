"""Every token that changed hands on chain, whatever its standard; Python because a batch transfer is a list."""

import polars as pl

from models.build import Inputs

header = """
title: Token movements, one row a leg
grain: [day, chain_id, block_hash, log_index, sub]
columns:
  chain_id: Chain of the movement.
  block_number: Block of the log.
  block_hash: Hash of that block.
  log_index: Log of that block.
  sub: Place inside a batch transfer, from 0; 0 for every other.
  at: Time of the block.
  day: UTC day of the block.
  tx_hash: Transaction of the log.
  standard: Standard the token follows (erc20, erc721, erc1155).
  token: Address of the token's contract.
  from_address: Who gave; the zero address for a mint.
  to_address: Who received; the zero address for a burn.
  token_id_raw: Number of the single token in 32 bytes; null for erc20.
  amount: Base units or pieces moved, 1 for erc721; null where it has more than 38 digits.
  amount_raw: The same in 32 bytes.
rules: [unique(chain_id, block_hash, log_index, sub), not_null(token, from_address, to_address), octets(token, 20),
        octets(block_hash, 32), octets(amount_raw, 32), nonnegative(amount?), in_set(standard, erc20, erc721, erc1155)]
partition: {by: day, window: 0}
"""
upstream = (
    "raw.erc1155_transfer_batch",
    "raw.erc1155_transfer_single",
    "raw.erc20_transfer",
    "raw.erc721_transfer",
)
_ONE = (1).to_bytes(32, "big")


def build(inputs: Inputs) -> pl.DataFrame:
    def logs(name: str) -> pl.LazyFrame:
        frame = inputs.frame(name)
        return frame if inputs.days is None else frame.filter(pl.col("day").is_in(list(inputs.days)))

    whole = pl.lit(1, dtype=pl.Int128).cast(pl.Decimal(38, 0))
    fungible = _legs(logs("raw.erc20_transfer"), "erc20", None, pl.col("value"), pl.col("value_raw"))
    unique = _legs(logs("raw.erc721_transfer"), "erc721", "token_id_raw", whole, pl.lit(_ONE))
    single = _legs(logs("raw.erc1155_transfer_single"), "erc1155", "id_raw", pl.col("value"), pl.col("value_raw"))
    batch = (
        logs("raw.erc1155_transfer_batch")
        .filter(pl.col("ids_raw").list.len() > 0)
        .with_columns(pl.int_ranges(0, pl.col("ids_raw").list.len().cast(pl.Int64)).alias("sub"))
        .explode("sub", "ids_raw", "values", "values_raw")
    )
    legs = _legs(batch, "erc1155", "ids_raw", pl.col("values"), pl.col("values_raw"), sub=pl.col("sub"))
    return pl.concat([fungible, unique, single, legs]).collect()


def _legs(
    logs: pl.LazyFrame,
    standard: str,
    token_id: str | None,
    amount: pl.Expr,
    raw: pl.Expr,
    sub: pl.Expr | None = None,
) -> pl.LazyFrame:
    return logs.select(
        "chain_id",
        "block_number",
        "block_hash",
        "log_index",
        (pl.lit(0) if sub is None else sub).cast(pl.Int64).alias("sub"),
        pl.col("block_time").alias("at"),
        "day",
        "tx_hash",
        pl.lit(standard).alias("standard"),
        pl.col("address").alias("token"),
        "from_address",
        "to_address",
        (pl.lit(None, dtype=pl.Binary) if token_id is None else pl.col(token_id)).alias("token_id_raw"),
        amount.cast(pl.Decimal(38, 0)).alias("amount"),
        raw.alias("amount_raw"),
    )
