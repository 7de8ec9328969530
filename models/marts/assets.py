"""Registered assets and their place in the graph; Python because depth and reuse walk it."""

import polars as pl

from guelta.errors import Fatal
from models.build import Inputs

header = """
title: Assets, how deep they stand and how much is built on them
grain: [chain_id, asset_id]
columns:
  chain_id: Chain of the registry.
  asset_id: The registry's number of the asset.
  kind: What it is (dataset, model, agent, app).
  name: The name the platform shows; kind and number where it has none.
  owner: The party that registered it.
  language: Its language, where the platform states one.
  uri: Where its metadata lies, as registered.
  registered_at: When it was registered.
  registered_day: UTC day of it.
  parents: Assets it uses directly.
  children: Assets that use it directly.
  depth: Levels from it down to an asset that uses nothing, both counted; 1 where it uses nothing itself.
  reuse: Assets that are built on it, directly or through others.
rules: [unique(chain_id, asset_id), not_null(kind, name, owner), positive(depth), nonnegative(reuse)]
metrics:
  assets: {distinct: [chain_id, asset_id], by: [chain_id, kind, owner, language, depth, registered_day], from: on_chain,
    title: Assets, definition: Registered assets.}
  edges: {sum: parents, by: [chain_id, kind, depth], from: on_chain, title: Edges,
    definition: Uses of one asset by another.}
  reuse: {sum: reuse, by: [chain_id, asset_id, kind], from: on_chain, title: Reuse,
    definition: "Assets built on an asset, directly or through others, summed over the assets asked for."}
types: {depth: Int64, reuse: Int64}
"""
upstream = ("core.assets", "core.edges")
_DEEPEST = 1024  # beyond every protocol's own limit: the graph has a cycle


def build(inputs: Inputs) -> pl.DataFrame:
    assets = inputs.frame("core.assets").collect()
    edges = inputs.frame("core.edges").select("chain_id", "child_id", "parent_id").unique().collect()
    key = ["chain_id", "asset_id"]
    figures = [
        _count(edges, "child_id", "parent_id", "parents"),
        _count(edges, "parent_id", "child_id", "children"),
        depths(assets.select(key), edges),
        _count(ancestry(edges), "parent_id", "child_id", "reuse"),
    ]
    for figure in figures:
        assets = assets.join(figure, on=key, how="left")
    label = pl.coalesce("name", pl.col("kind") + pl.lit(" ") + pl.col("asset_id").cast(pl.String))
    return assets.select(
        *key,
        "kind",
        label.alias("name"),
        pl.col("owner_party").alias("owner"),
        "language",
        "uri",
        "registered_at",
        pl.col("day").alias("registered_day"),
        *(pl.col(name).fill_null(0).cast(pl.Int64) for name in ("parents", "children", "depth", "reuse")),
    )


def depths(assets: pl.DataFrame, edges: pl.DataFrame) -> pl.DataFrame:
    """Per asset the levels from it down to an asset without parents.

    Raises:
        Fatal: assets that use each other in a circle.
    """
    found = assets.with_columns(pl.lit(1, dtype=pl.Int64).alias("depth"))
    for level in range(2, _DEEPEST):
        below = found.filter(pl.col("depth") == level - 1).rename({"asset_id": "parent_id"})
        raised = edges.join(below, on=["chain_id", "parent_id"], how="semi").select(
            "chain_id", pl.col("child_id").alias("asset_id"), pl.lit(level, dtype=pl.Int64).alias("level")
        )
        if raised.is_empty():
            return found
        found = found.join(raised.unique(), on=["chain_id", "asset_id"], how="left").select(
            "chain_id", "asset_id", pl.coalesce("level", "depth").alias("depth")
        )
    raise Fatal("assets use each other in a circle; look at core.edges before building again")


def ancestry(edges: pl.DataFrame) -> pl.DataFrame:
    """Every pair of an asset (child_id) and one it is built on (parent_id), directly or through others."""
    found = step = edges
    while not step.is_empty():
        further = step.join(
            edges.rename({"child_id": "parent_id", "parent_id": "above"}), on=["chain_id", "parent_id"], how="inner"
        ).select("chain_id", "child_id", pl.col("above").alias("parent_id"))
        step = further.unique().join(found, on=["chain_id", "child_id", "parent_id"], how="anti")
        found = pl.concat([found, step])
    return found


def _count(pairs: pl.DataFrame, of: str, counted: str, name: str) -> pl.DataFrame:
    return pairs.group_by("chain_id", of).agg(pl.col(counted).n_unique().alias(name)).rename({of: "asset_id"})
