"""The four sides as the matching wants them, read from the lake."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from guelta.money import from_raw
from models.build import Inputs
from quality.matching import Booking, Books, Earning, Final, Leg, Payout

UPSTREAM = (
    "core.earnings",
    "core.ledger",
    "core.payout_legs",
    "core.payouts",
    "core.tokens",
    "raw.blocks",
    "raw.heads",
    "raw.transactions",
)


def books_of(inputs: Inputs) -> Books:
    return Books(
        earnings=[Earning(*row) for row in _rows(inputs, "core.earnings", Earning._fields)],
        legs=[Leg(*row) for row in _rows(inputs, "core.payout_legs", Leg._fields)],
        payouts=[Payout(*row) for row in _rows(inputs, "core.payouts", Payout._fields)],
        bookings=[Booking(*row) for row in _rows(inputs, "core.ledger", Booking._fields)],
        failed=_failed(inputs),
        final=final_of(inputs),
    )


def final_of(inputs: Inputs) -> dict[int, Final]:
    """The last finalized block of each chain, and its time.

    Heads are written after the data. A chain without one yet has nothing final: it stands before its first block.
    """
    query = """
        select blocks.chain_id, coalesce(max(heads.finalized_block), -1) as block,
            coalesce(
                max(case when blocks.block_number <= heads.finalized_block then blocks.block_time end),
                min(blocks.block_time)
            ) as at
        from raw.blocks as blocks
        left join (
            select chain_id, max(finalized_block) as finalized_block from raw.heads group by chain_id
        ) as heads on heads.chain_id = blocks.chain_id
        group by blocks.chain_id
    """
    return {chain: Final(block, at) for chain, block, at in inputs.sql(query).iter_rows()}


def decimals_of(inputs: Inputs) -> Mapping[tuple[int, bytes], int]:
    frame = inputs.frame("core.tokens").select("chain_id", "token", "decimals").collect()
    return {(chain, token): decimals for chain, token, decimals in frame.iter_rows() if decimals is not None}


def _failed(inputs: Inputs) -> frozenset[tuple[int, bytes]]:
    failed = inputs.frame("raw.transactions").filter(pl.col("status") == 0).select("chain_id", "tx_hash").collect()
    return frozenset(failed.iter_rows())


def _rows(inputs: Inputs, table: str, fields: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """Rows with their amount as a Python integer, whatever its size."""
    columns = ["amount_raw" if name == "amount" else name for name in fields]
    at = columns.index("amount_raw")
    for row in inputs.frame(table).select(columns).collect().iter_rows():
        if row[at] is not None:
            yield tuple(from_raw(value) if i == at else value for i, value in enumerate(row))


def age(now: datetime, since: datetime) -> int:
    return max((now - since).days, 0)
