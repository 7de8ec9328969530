"""How fresh the lake is, what its gates say, and which month is over in the finalized data."""

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from guelta.lake import Lake


@dataclass(frozen=True, slots=True)
class ChainState:
    chain_id: int
    name: str
    source: str  # live | recorded | devnet
    block: int | None
    finalized_block: int | None
    finalized_at: datetime | None


@dataclass(frozen=True, slots=True)
class TableState:
    table: str
    version: int
    rows: int
    rules: int
    failing: tuple[str, ...]  # critical rules that failed last time


@dataclass(frozen=True, slots=True)
class Status:
    lake: str
    world: str
    last_closed_period: str | None
    data_as_of: datetime | None
    chains: tuple[ChainState, ...]
    tables: tuple[TableState, ...]
    quarantined: int  # refused rows that were not released since

    @property
    def demo(self) -> bool:
        return self.world == "demo" or any(chain.source == "devnet" for chain in self.chains)

    def failing_gates(self, table: str) -> tuple[str, ...]:
        return next((state.failing for state in self.tables if state.table == table), ())

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "demo": self.demo}

    def lines(self) -> list[str]:
        told = [f"lake {self.lake} ({self.world} data), {len(self.tables)} tables"]
        for chain in self.chains:
            at = f"{chain.finalized_at:%Y-%m-%d %H:%M} UTC" if chain.finalized_at else "not yet"
            told.append(
                f"  chain {chain.name} ({chain.chain_id}, {chain.source}): block {chain.block}, "
                f"finalized {chain.finalized_block} at {at}"
            )
        for state in self.tables:
            gates = f"{state.rules - len(state.failing)}/{state.rules} rules" if state.rules else ""
            told.append(f"  {state.table:<34} {state.rows:>12,} rows  v{state.version:<5} {gates}")
        told.append(f"{self.quarantined:,} rows wait in ops.quarantine")
        told.append(f"last closed period: {self.last_closed_period or 'none yet'}")
        return told


def status(lake: Lake) -> Status:
    """Read the state of every table and chain; an empty lake has an empty state."""
    chains = _chains(lake)
    finalized = [chain.finalized_at for chain in chains if chain.finalized_at]
    as_of = min(finalized, default=None)
    answers = outcomes(lake)
    tables = []
    for name in lake.tables():
        table = lake.table(name)
        latest = answers.get(name, {})
        failing = tuple(
            sorted(rule for rule, (passed, severity) in latest.items() if not passed and severity == "critical")
        )
        tables.append(TableState(name, table.version(), table.rows(), len(latest), failing))
    refused, released = (lake.table(n).rows() if lake.exists(n) else 0 for n in ("ops.quarantine", "ops.released"))
    return Status(lake.root, lake.world, closed_period(as_of), as_of, tuple(chains), tuple(tables), refused - released)


def closed_period(as_of: datetime | None) -> str | None:
    """The last month whose every second lies at or before ``as_of``."""
    if as_of is None:
        return None
    last = date(as_of.year, as_of.month, 1) - timedelta(days=1)
    return f"{last:%Y-%m}"


def _chains(lake: Lake) -> list[ChainState]:
    if not (lake.exists("raw.heads") and lake.exists("raw.chains")):
        return []
    known = {row["chain_id"]: row for row in lake.table("raw.chains").read().to_pylist()}
    heads = [row for row in lake.table("raw.heads").read().to_pylist() if row["stream"] == "logs"]
    with lake.duck(["raw.blocks"]) as con:
        times = dict(_times(con, heads))
    found = []
    for head in sorted(heads, key=lambda row: row["chain_id"]):
        chain = known.get(head["chain_id"], {})
        number = head["finalized_block"]
        found.append(
            ChainState(
                head["chain_id"],
                chain.get("name", str(head["chain_id"])),
                chain.get("source", "live"),
                head["to_block"],
                number,
                times.get(head["chain_id"]),
            )
        )
    return found


def _times(con: Any, heads: list[dict[str, Any]]) -> list[tuple[int, datetime]]:
    found = []
    for head in heads:
        row = con.execute(
            "select max(block_time) from raw.blocks where chain_id = ? and block_number <= ?",
            [head["chain_id"], head["finalized_block"]],
        ).fetchone()
        if row and row[0]:
            found.append((head["chain_id"], row[0]))
    return found


def outcomes(lake: Lake) -> dict[str, dict[str, tuple[bool, str]]]:
    """Per table, what each rule said in its last run; runs from before ``seq`` was kept count by their version."""
    if not lake.exists("ops.gate_results"):
        return {}
    with lake.duck(["ops.gate_results"]) as con:
        rows = con.execute(
            "select table_name, rule_id, passed, severity from ops.gate_results qualify dense_rank() over ("
            "partition by table_name order by coalesce(seq, version, 0) desc, day desc, run_id desc) = 1"
        ).fetchall()
    found: dict[str, dict[str, tuple[bool, str]]] = {}
    for table, rule, passed, severity in rows:
        found.setdefault(table, {})[rule] = (passed, severity)
    return found
