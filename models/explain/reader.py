"""Rows of the lake by key, read once for an explanation."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from guelta.money import from_raw, whole

if TYPE_CHECKING:
    from guelta.lake import Lake


Row = dict[str, Any]


class Reader:
    """Rows of the lake by key; every value is a bound parameter, a table that is not there has no rows."""

    def __init__(self, lake: "Lake") -> None:
        self._lake, self._stack = lake, ExitStack()
        self._there: set[str] = set()
        self._tokens: dict[tuple[int, bytes], tuple[str, int]] = {}
        self._kept: dict[Any, list[Row]] = {}

    def __enter__(self) -> Self:
        self._con = self._stack.enter_context(self._lake.duck([]))
        for row in self.rows("core.tokens"):
            if row["decimals"] is not None:
                self._tokens[row["chain_id"], row["token"]] = (row["symbol"] or "tokens", row["decimals"])
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def rows(self, table: str, *, order: str | None = None, **where: Any) -> list[Row]:
        key = (table, order, tuple(where.items()))
        if key not in self._kept:
            self._kept[key] = self._read(table, order, where)
        return self._kept[key]

    def _read(self, table: str, order: str | None, where: dict[str, Any]) -> list[Row]:
        if table not in self._there:
            if not self._lake.exists(table):
                return []
            self._lake.attach(self._con, [table])
            self._there.add(table)
        given = {name: value for name, value in where.items() if value is not None}
        clauses = [f"{name} = ?" if name in given else f"{name} is null" for name in where]
        sql = f"select * from {table}" + (f" where {' and '.join(clauses)}" if clauses else "")
        found = self._con.sql(f"{sql} order by {order}" if order else sql, params=list(given.values()) or None)
        rows: list[Row] = found.to_arrow_table().to_pylist()
        return rows

    def log(self, position: Row, table: str | None = None) -> str:
        """Where a log stands: chain, block, transaction, log index, read again from the truth."""
        at = {name: position[name] for name in ("chain_id", "block_number", "log_index")}
        found = position.get("day")
        day = {"month": found.replace(day=1), "day": found} if found else {}
        logs = self.rows("raw.logs", **at, **day) or (self.rows(table, **at) if table else [])
        tx_hash = logs[0]["tx_hash"] if logs else position.get("tx_hash")
        tx = f" tx 0x{tx_hash.hex()}" if tx_hash else ""
        lost = "" if logs else " (not in raw.logs)"
        return f"chain {at['chain_id']} block {at['block_number']}{tx} log {at['log_index']}{lost}"

    def shown(self, row: Row, amount: int) -> str:
        symbol, decimals = self._tokens.get((row["chain_id"], row["token"]), ("", 0))
        return f"{amount} ({whole(amount, decimals)} {symbol})" if symbol else f"{amount}"


def units(row: Row, name: str) -> int:
    """An amount, from its bytes when it has more than 38 digits."""
    return int_or(row[name], from_raw(row[f"{name}_raw"]) if row.get(f"{name}_raw") else 0)


def int_or(value: Any, otherwise: int) -> int:
    return otherwise if value is None else int(value)
