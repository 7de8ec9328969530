"""Which rows: one value, rendered to a Delta predicate, to engine SQL and to file pruning, so that all three agree."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from guelta.errors import Fatal

Scalar = int | str | date


@dataclass(frozen=True, slots=True)
class Clause:
    column: str
    op: str  # = > >= < <= in
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """A conjunction of clauses over key, partition and whitelisted columns; no clause means every row."""

    clauses: tuple[Clause, ...] = ()

    def __and__(self, other: "Where") -> "Where":
        return Where(self.clauses + other.clauses)

    def sql(self) -> str:
        """The predicate as SQL text for DuckDB and Delta alike; ``true`` for every row."""
        return " and ".join(_sql(clause) for clause in self.clauses) or "true"

    def pruning(self) -> list[tuple[str, str, Any]]:
        """The clauses delta-rs can prune files by."""
        return [(c.column, c.op, list(c.value) if isinstance(c.value, tuple) else c.value) for c in self.clauses]


ALL = Where()


def eq(column: str, value: Scalar) -> Where:
    return Where((Clause(column, "=", value),))


def gt(column: str, value: Scalar) -> Where:
    return Where((Clause(column, ">", value),))


def ge(column: str, value: Scalar) -> Where:
    return Where((Clause(column, ">=", value),))


def lt(column: str, value: Scalar) -> Where:
    return Where((Clause(column, "<", value),))


def le(column: str, value: Scalar) -> Where:
    return Where((Clause(column, "<=", value),))


def isin(column: str, values: Iterable[Scalar]) -> Where:
    """One of ``values``; none at all matches no row."""
    return Where((Clause(column, "in", tuple(sorted(set(values)))),))


def _sql(clause: Clause) -> str:
    if isinstance(clause.value, tuple):
        return f"{clause.column} in ({', '.join(map(_literal, clause.value))})" if clause.value else "false"
    return f"{clause.column} {clause.op} {_literal(clause.value)}"


def _literal(value: Scalar) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str | date):
        raise Fatal(f"expected an integer, text or date in a predicate, found {value!r}")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    return "'" + value.replace("'", "''") + "'"
