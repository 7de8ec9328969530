"""The buckets of latency as integers, so that every engine agrees at their edges."""

import polars as pl

from models.build import Inputs
from models.histogram import boundaries

header = """
title: Boundaries of the latency buckets
grain: [bucket]
columns:
  bucket: Number of the bucket; 0 holds a latency of 0 and below.
  above_us: A latency of the bucket is above this many microseconds.
  upto_us: And at most this many.
rules: [unique(bucket), unique(upto_us), not_null(above_us, upto_us)]
"""
upstream = ()
_LOWEST = -(2**63)


def build(inputs: Inputs) -> pl.DataFrame:  # noqa: ARG001  # every model takes its inputs; these are constants
    tops = boundaries()
    edges = zip(range(len(tops)), (_LOWEST, *tops[:-1]), tops, strict=True)
    # the first boundaries repeat: a bucket without an integer of its own is left out
    rows = [(bucket, above, upto) for bucket, above, upto in edges if above < upto]
    schema = {"bucket": pl.Int64, "above_us": pl.Int64, "upto_us": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")
