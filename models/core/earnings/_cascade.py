"""How one payment runs up the graph of assets, hop by hop, by the rule of the vault's contract (payment_floor).

At each asset of a path: every parent, in the order its edge was added, is credited the floor of its share; what is kept
is split by the asset's terms, floor per account, the last account taking what rounding left. Whole columns at a time,
one pass a level; a path is a row, because floors differ between paths (10-domain §6.4).
"""

import polars as pl

from guelta.errors import Fatal
from guelta.money import mul_div_expr, sum_by

BPS = 10_000
NO_TERMS = "suspense:no_terms"
BEYOND = "suspense:beyond_38_digits"
_DEEPEST = 64  # the reference vault stops at 8; beyond this the graph has a cycle
_OWN = "99999"  # sorts an asset's own accounts after all of its parents'
_LOG_BITS = 2**31  # logs of one block, far above what a block can hold


def position(block: str, log: str) -> pl.Expr:
    """(block, log index) as one sortable integer."""
    return pl.col(block).cast(pl.Int64) * _LOG_BITS + pl.col(log).cast(pl.Int64)


def flows(events: pl.DataFrame, edges: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """One row per value event and path: what came in, went up and was kept, and the terms in force.

    Args:
        events: value_id, chain_id, asset_id, token, day, block_number, log_index, net (null: more than 38 digits).
        edges: chain_id, child_id, parent_id, bps, ord, block_number, log_index.
        terms: terms_id, chain_id, asset_id, from_block, from_log.

    Raises:
        Fatal: assets that use each other in a circle.
    """
    upward = edges.select(
        "chain_id",
        pl.col("child_id").alias("asset_id"),
        "parent_id",
        pl.col("bps").alias("edge_bps"),
        pl.col("ord").cast(pl.String).str.zfill(len(_OWN)).alias("step"),
        position("block_number", "log_index").alias("since"),
    )
    level = events.select(
        "value_id",
        "chain_id",
        "token",
        "day",
        position("block_number", "log_index").alias("at"),
        "asset_id",
        pl.col("asset_id").cast(pl.String).alias("path"),
        pl.lit("").alias("place"),
        pl.lit(0, dtype=pl.Int64).alias("depth"),
        pl.lit(BPS, dtype=pl.Int64).alias("bps"),
        pl.col("net").cast(pl.Decimal(38, 0)).alias("amount_in"),
    )
    hops = []
    for _ in range(_DEEPEST):
        steps = (
            level.join(upward, on=["chain_id", "asset_id"], how="inner")
            .filter(pl.col("since") < pl.col("at"), pl.col("amount_in").is_not_null())
            .with_columns(mul_div_expr(pl.col("amount_in"), pl.col("edge_bps"), BPS).alias("up"))
        )
        given = sum_by(steps, ["value_id", "place"], ["up"]).rename({"up": "passed_up"})
        hops.append(level.join(given, on=["value_id", "place"], how="left"))
        if steps.is_empty():
            break
        level = steps.select(
            "value_id",
            "chain_id",
            "token",
            "day",
            "at",
            pl.col("parent_id").alias("asset_id"),
            (pl.col("path") + ">" + pl.col("parent_id").cast(pl.String)).alias("path"),
            (pl.col("place") + pl.col("step")).alias("place"),
            pl.col("depth") + 1,
            pl.col("edge_bps").cast(pl.Int64).alias("bps"),
            pl.col("up").alias("amount_in"),
        )
    else:
        worst = level["path"].head(1).to_list()
        raise Fatal(f"assets use each other in a circle, for example {worst}; look at core.edges before building again")
    nothing = pl.lit(0, dtype=pl.Int128).cast(pl.Decimal(38, 0))
    passed = pl.when(pl.col("amount_in").is_not_null()).then(pl.coalesce("passed_up", nothing))
    walked = pl.concat(hops).with_columns(passed.alias("passed_up"))
    return _in_force(walked, terms).select(
        "value_id",
        "place",
        "path",
        "depth",
        "asset_id",
        "terms_id",
        "bps",
        "amount_in",
        "passed_up",
        (pl.col("amount_in") - pl.col("passed_up")).cast(pl.Decimal(38, 0)).alias("kept"),
        "token",
        "chain_id",
        "day",
    )


def accruals(flows: pl.DataFrame, payees: pl.DataFrame) -> pl.DataFrame:
    """What each account earned at each hop, in the order the contract emits it, with ``seq`` from 1.

    Args:
        flows: as ``flows`` returns them.
        payees: terms_id, ord, account, party, bps, denominator.
    """
    last = payees.group_by("terms_id").agg(pl.col("ord").max().alias("last"))
    shares = (
        flows.rename({"bps": "edge_bps"})
        .filter(pl.col("terms_id").is_not_null())
        .join(payees, on="terms_id", how="inner")
        .join(last, on="terms_id", how="left")
        .with_columns(
            (pl.col("ord") == pl.col("last")).alias("is_remainder"),
            mul_div_expr(pl.col("kept"), pl.col("bps"), pl.col("denominator")).alias("share"),
        )
    )
    floors = sum_by(shares.filter(~pl.col("is_remainder")), ["value_id", "place"], ["share"]).rename(
        {"share": "others"}
    )
    nothing = pl.lit(0, dtype=pl.Int128).cast(pl.Decimal(38, 0))
    paid = shares.join(floors, on=["value_id", "place"], how="left").with_columns(
        pl.when("is_remainder")
        .then(pl.col("kept") - pl.coalesce("others", nothing))
        .otherwise(pl.col("share"))
        .cast(pl.Decimal(38, 0))
        .alias("amount")
    )
    known = paid.select(*_ROW, "place")
    lost = flows.join(payees.select("terms_id").unique(), on="terms_id", how="anti").select(
        "value_id",
        "path",
        "asset_id",
        "terms_id",
        pl.lit(1, dtype=pl.Int64).alias("ord"),
        pl.lit(None, dtype=pl.Binary).alias("account"),
        pl.when(pl.col("amount_in").is_null()).then(pl.lit(BEYOND)).otherwise(pl.lit(NO_TERMS)).alias("party"),
        pl.lit(BPS, dtype=pl.Int64).alias("bps"),
        pl.col("kept").alias("amount"),
        pl.lit(value=True).alias("is_remainder"),
        "token",
        "chain_id",
        "day",
        "place",
    )
    return (
        pl.concat([known, lost])
        .sort(pl.col("value_id"), pl.col("place") + _OWN, pl.col("ord"))
        .with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("value_id").alias("seq"))
        .select("value_id", "seq", *[name for name in _ROW if name != "value_id"])
    )


_ROW = (
    "value_id",
    "path",
    "asset_id",
    "terms_id",
    "ord",
    "account",
    "party",
    "bps",
    "amount",
    "is_remainder",
    "token",
    "chain_id",
    "day",
)


def _in_force(hops: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """The newest terms of each hop's asset set strictly before the payment; an amount without digits has none."""
    versions = terms.select("terms_id", "chain_id", "asset_id", position("from_block", "from_log").alias("set_at"))
    found = hops.sort("at").join_asof(
        versions.sort("set_at"),
        left_on="at",
        right_on="set_at",
        by=["chain_id", "asset_id"],
        strategy="backward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    return found.with_columns(pl.when(pl.col("amount_in").is_not_null()).then(pl.col("terms_id")).alias("terms_id"))
