"""Exact figures out of what was read: totals, shares, changes, balances."""

from fractions import Fraction
from typing import Any

import polars as pl

from dashboards.data import Days, metric, rows
from dashboards.lookups import Token, tokens
from guelta.money import sum_by
from models.metrics import Answer


def number(answer: Answer, name: str, previous: bool = False) -> Any:
    """The one value of an answer without dimensions; money as exact digits, None where there is none."""
    column = f"{name}_previous" if previous else name
    if answer.frame.is_empty() or column not in answer.frame.columns:
        return None
    return answer.frame[column][0]


def change(answer: Answer, name: str) -> float | None:
    """The share by which a number moved against the window before; None where there is nothing to compare."""
    now, before = number(answer, name), number(answer, name, previous=True)
    if now is None or before is None or not float(before):
        return None
    return float(now) / float(before) - 1


def exact_sum(column: pl.Series) -> int:
    """The sum of a column of exact amounts, decimals or digits in text: Python's integers have no width."""
    return sum(int(amount) for amount in column if amount is not None)


def part(some: int, whole: int) -> float | None:
    """A share for the eye, from exact numbers; None of nothing."""
    return float(Fraction(some, whole)) if whole else None


def balance_of(balances: pl.DataFrame, party: str, token: Token) -> dict[str, int]:
    """A party's exact balance in one token, over every kind of earning."""
    mine = balances.filter(
        (pl.col("party") == party) & (pl.col("chain_id") == token.chain_id) & (pl.col("token") == token.address)
    )
    return {side: exact_sum(mine[side]) for side in ("earned", "instructed", "paid", "open")}


def open_balances(token: Token) -> pl.DataFrame:
    """What each party is still owed in one token, as exact text: columns ``party`` and ``open``."""
    found = rows("marts.contributor_balances", {"chain_id": token.chain_id, "token": token.address}, limit=1_000_000)
    if found.is_empty():
        return pl.DataFrame(schema={"party": pl.String, "open": pl.String})
    owed = sum_by(found, ["party"], ["open"])
    return owed.select("party", pl.Series("open", [token.exact(int(amount)) for amount in owed["open"]], pl.String))


def values_of_assets(days: Days) -> tuple[pl.DataFrame, dict[str, str]]:
    """Gross value of each asset, a column of exact text a token; and the name of each token's column for the eye."""
    known = tokens()
    answer = metric("gross_value", by=["chain_id", "asset_id", "token"], **days)
    wide = pl.DataFrame(schema={"chain_id": pl.Int64, "asset_id": pl.Int64})
    shown = {}
    for (chain, address), part in answer.frame.group_by("chain_id", "token", maintain_order=True):
        if (token := known.get((int(str(chain)), str(address)))) is None:
            continue
        name = f"gross_value_{token.symbol}_{chain}"
        shown[f"{name}_display_f64"] = token.symbol
        columns = part.select(
            "chain_id",
            "asset_id",
            pl.Series(name, [token.exact(amount) for amount in part["gross_value"]], pl.String),
            pl.col("gross_value_f64").alias(f"{name}_display_f64"),
        )
        wide = wide.join(columns, on=["chain_id", "asset_id"], how="full", coalesce=True)
    return wide, shown
