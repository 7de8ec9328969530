"""How fresh the data is, how far its chains are final, and what the gates said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from dashboards.data import metric, rows, versions
from dashboards.wording import number_of, utc
from models.metrics import Answer


@dataclass(frozen=True, slots=True)
class Chain:
    chain_id: int
    name: str
    source: str  # live, recorded, devnet
    head: int | None
    finalized: int | None
    head_at: datetime | None

    def standing(self) -> str:
        if self.finalized is None or self.head is None:
            return f"{self.name} head {number_of(self.head)}"
        lag = self.head - self.finalized
        return f"{self.name} final at {number_of(self.finalized)}" + (f" · head +{number_of(lag)}" if lag else "")

    def said(self) -> str:
        return (
            f"chain {self.chain_id}, {self.source}: newest block {number_of(self.head)} of {utc(self.head_at)} UTC, "
            f"final up to {number_of(self.finalized)}"
        )


def chains() -> list[Chain]:
    """Every chain with blocks, the one with the newest block first."""
    found = [
        Chain(row["chain_id"], row["name"], row["source"], row["head"], row["finalized"], row["head_at"])
        for row in rows("marts.chains", note=False).iter_rows(named=True)
        if row["head"] is not None
    ]
    return sorted(found, key=lambda one: (one.head_at or datetime.min.replace(tzinfo=UTC), -one.chain_id), reverse=True)


def blocks() -> list[Answer]:
    """An answer to read freshness from, on a page that asks for no metric."""
    return [metric("indexed_blocks")] if "marts.chains" in versions() else []


def as_of(answers: Sequence[Answer]) -> datetime | None:
    """How fresh the numbers are: the newest final block behind the answers, or the newest block where nobody asked."""
    stood = [answer.as_of.data_as_of for answer in answers if answer.as_of.data_as_of]
    return max(stood) if stood else max((one.head_at for one in chains() if one.head_at), default=None)


@dataclass(frozen=True, slots=True)
class Gates:
    passed: int
    total: int
    failing: tuple[str, ...]

    def said(self) -> str:
        return ", ".join(self.failing) + " failed" if self.failing else "all passed"


def gates(tables: Sequence[str] = ()) -> Gates:
    """What the newest run of every rule said, of ``tables`` or of all."""
    results = newest_gates()
    if tables and not results.is_empty():
        results = results.filter(pl.col("table_name").is_in(list(tables)))
    if results.is_empty():
        return Gates(0, 0, ())
    bad = results.filter(~pl.col("passed"))
    failing = tuple(f"{table}: {rule}" for table, rule in bad.select("table_name", "rule_id").iter_rows())
    return Gates(results.height - bad.height, results.height, failing)


def newest_gates() -> pl.DataFrame:
    """One row a table and rule: what the newest run over each table said."""
    results = rows("ops.gate_results", limit=1_000_000, note=False)
    if results.is_empty():
        return results
    # A mended table passes at the version it was refused at: runs are told apart by their own number.
    number = pl.coalesce("seq", "version") if "seq" in results.columns else pl.col("version")
    last = (
        results.sort(number, "day", "run_id", nulls_last=False)
        .group_by("table_name")
        .last()
        .select("table_name", "run_id")
    )
    return results.join(last, on=["table_name", "run_id"]).sort("table_name", "rule_id")
