"""Tokens, assets and parties, by what the lake calls them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from dashboards.data import metric, rows
from dashboards.wording import grouped, short
from guelta.money import whole


@dataclass(frozen=True, slots=True)
class Token:
    chain_id: int
    address: str  # 0x text
    symbol: str
    decimals: int

    def exact(self, amount: int | str | None) -> str:
        """Whole tokens, every digit: ``1 234 567.25``."""
        return "" if amount is None else grouped(whole(int(amount), self.decimals))

    def shown(self, amount: int | str | None) -> float:
        """For charts and tiles only."""
        return float(whole(int(amount or 0), self.decimals))

    def said(self, amount: int | str | None) -> str:
        """The sentence of a tooltip: exact whole tokens and exact base units."""
        return f"Exactly {self.exact(amount or 0)} {self.symbol} = {grouped(str(int(amount or 0)))} base units"


def tokens() -> dict[tuple[int, str], Token]:
    """Every token by its chain and its address as 0x text."""
    return {
        (row["chain_id"], row["token"]): Token(
            row["chain_id"], row["token"], short(row["symbol"] or row["token"]), row["decimals"] or 0
        )
        for row in rows("marts.tokens", limit=100_000).iter_rows(named=True)
    }


def tokens_of(name: str, **where: Any) -> list[Token]:
    """The described tokens the metric ``name`` has rows in."""
    return tokens_among(metric(name, by=["chain_id", "token"], where=where).frame)


def tokens_among(frame: pl.DataFrame) -> list[Token]:
    """The described tokens of a table's rows."""
    known = tokens()
    have = set(frame.select("chain_id", "token").unique().iter_rows()) if frame.height else set()
    return in_order([known[key] for key in have if key in known])


def in_order(found: Iterable[Token]) -> list[Token]:
    """Few decimals first: stable values, which a person can picture; then by chain and name."""
    return sorted(found, key=lambda one: (one.decimals, one.chain_id, one.symbol))


@dataclass(frozen=True, slots=True)
class Assets:
    """What assets are called; the number stands where nobody named one."""

    rows: Mapping[tuple[int, int], tuple[str, str]]

    def names(self, chain_id: int) -> dict[int, str]:
        return {asset: name for (chain, asset), (name, _) in self.rows.items() if chain == chain_id}

    def frame(self) -> pl.DataFrame:
        """Columns ``chain_id``, ``asset_id`` and ``asset``, to join by."""
        kinds = {"chain_id": pl.Int64, "asset_id": pl.Int64, "asset": pl.String}
        return pl.DataFrame([(*key, name) for key, (name, _) in self.rows.items()], kinds, orient="row")

    def kinds(self, chain_id: int) -> dict[int, str]:
        return {asset: kind for (chain, asset), (_, kind) in self.rows.items() if chain == chain_id}


def assets() -> Assets:
    found = rows("marts.assets", limit=100_000)
    return Assets(
        {
            (row["chain_id"], row["asset_id"]): (row["name"] or f"asset {row['asset_id']}", row["kind"])
            for row in found.iter_rows(named=True)
        }
    )


def parties() -> pl.DataFrame:
    """Columns ``party``, ``name`` and ``roles`` (readable) of everyone the platform knows."""
    found = rows("marts.parties", limit=1_000_000)
    if found.is_empty():
        return pl.DataFrame(schema={"party": pl.String, "name": pl.String, "roles": pl.String})
    return found.select("party", "name", pl.col("roles").str.replace_all("_", " ").str.replace_all(",", " · "))
