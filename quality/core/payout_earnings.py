"""Which payout discharges which earnings, unit by unit; what discharges none is a row of its own."""

from collections import defaultdict

import polars as pl
import pyarrow as pa

from guelta.lake.schema import Address, Amount, Bytes, Day, Int64, Text
from guelta.money import DECIMAL_LIMIT, to_raw
from models.build import Inputs
from quality.core._books import UPSTREAM, books_of
from quality.matching import Link, match

header = """
title: Payouts allocated to the earnings they discharge
grain: [payout_id, recon_key, earning_id]
columns:
  payout_id: The final payout.
  recon_key: The line of the reconciliation that holds it.
  earning_id: The earning it discharges; empty for the part that discharges none.
  day: UTC day of the payout.
  period: UTC month of the payout, YYYY-MM.
  earned_period: UTC month of the earning; null where there is none.
  chain_id: Chain of the money.
  token: Token of it.
  party: Who earned; the receiver where nothing was earned.
  amount: Base units of the payout that go to this earning; null beyond 38 digits.
  amount_raw: The same in 32 bytes.
rules: [unique(payout_id, recon_key, earning_id), not_null(day, period, chain_id, token, party), positive(amount?),
        octets(amount_raw, 32)]
metrics:
  discharged: {sum: amount, by: [chain_id, token, period, party], unit: base units, from: on_chain,
    title: Paid out, definition: "Final payouts, allocated to what they discharge."}
"""
upstream = UPSTREAM
_TYPES = {
    "payout_id": Text, "recon_key": Text, "earning_id": Text, "day": Day, "period": Text, "earned_period": Text,
    "chain_id": Int64, "token": Address, "party": Text, "amount": Amount, "amount_raw": Bytes,
}  # fmt: skip


def build(inputs: Inputs) -> pl.DataFrame:
    amounts: dict[tuple[str, str, str], int] = defaultdict(int)
    links: dict[tuple[str, str, str], Link] = {}
    for link in match(books_of(inputs)).links:
        key = (link.payout.payout_id, link.recon_key, link.earning.earning_id if link.earning else "")
        amounts[key] += link.amount
        links[key] = link
    rows = [
        {
            "payout_id": key[0],
            "recon_key": key[1],
            "earning_id": key[2],
            "day": link.payout.at.date(),
            "period": link.payout.at.strftime("%Y-%m"),
            "earned_period": link.earning.period if link.earning else None,
            "chain_id": link.payout.chain_id,
            "token": link.payout.token,
            "party": link.earning.party if link.earning else link.payout.party,
            "amount": amounts[key] if amounts[key] < DECIMAL_LIMIT else None,
            "amount_raw": to_raw(amounts[key]),
        }
        for key, link in links.items()
    ]
    frame = pl.from_arrow(pa.Table.from_pylist(rows, schema=pa.schema(list(_TYPES.items()))))
    assert isinstance(frame, pl.DataFrame)
    return frame
