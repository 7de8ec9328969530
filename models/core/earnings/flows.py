"""What each asset on each path of a payment received, passed up and kept."""

import polars as pl

from models.build import Inputs
from models.core.earnings import _cascade

header = """
title: The way of each payment up the graph of assets
grain: [day, value_id, place]
columns:
  value_id: The payment.
  place: Where the hop stands in the contract's order; five digits an edge, empty for the asset that was called.
  path: The assets from the one that was called to this one, joined by >.
  depth: Hops above the asset that was called.
  asset_id: The asset at the end of the path.
  terms_id: Its terms in force at the payment; null where it has none, and its part waits in suspense.
  bps: Ten-thousandths of what the asset below received that came up here; 10000 for the asset that was called.
  amount_in: Base units that arrived.
  passed_up: Base units that went on to its parents, a floor for each edge.
  kept: Base units left for its own terms.
  token: Token of the payment.
  chain_id: Chain of the payment.
  day: UTC day of the payment.
rules: [unique(value_id, place), equals(amount_in?, passed_up + kept), nonnegative(amount_in?, passed_up?, kept?),
        references(value_id, core.value_events.value_id), references(terms_id, core.terms.terms_id)]
partition: {by: day, window: 0}
"""
upstream = ("core.edges", "core.terms", "core.value_events")


def build(inputs: Inputs) -> pl.DataFrame:
    events = inputs.frame("core.value_events")
    if inputs.days is not None:
        events = events.filter(pl.col("day").is_in(list(inputs.days)))
    return _cascade.flows(events.collect(), inputs.frame("core.edges").collect(), inputs.frame("core.terms").collect())
