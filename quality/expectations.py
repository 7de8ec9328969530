"""The rules as Great Expectations suites over DuckDB, and the gate that stands between staging and the commit.

One query a rule: the suite asks whether any row fails, the quarantine takes the rows of the same SQL. Great
Expectations costs seconds to import, so it is imported once, by the first suite that runs.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from guelta.errors import BadModel, GateRefused, Inexact
from guelta.lake import Lake, eq
from guelta.lake.ops import GATE_RESULTS, QUARANTINE, quarantined
from models import Model
from quality import rules as vocabulary
from quality.rules import Rule

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    import pyarrow as pa

QUARANTINED_MOST = 10_000  # rows of one rule that are kept one by one; the count is always whole
_STAGED = "staged"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule said. ``note`` says why a rule could not be asked."""

    rule: Rule
    passed: bool
    failing: int
    note: str = ""

    @property
    def blocks(self) -> bool:
        return not self.passed and self.rule.severity == "critical"


@dataclass(frozen=True, slots=True)
class GateResult:
    table: str
    run_id: str
    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> bool:
        return not any(outcome.blocks for outcome in self.outcomes)


def gate(lake: Lake, *, day: date | None = None) -> "Gate":
    """The gate for ``models.build.build``; ``day`` dates its results (default: today, UTC)."""
    return Gate(lake, day or datetime.now(UTC).date())


class Gate:
    """Called with a model, its staged rows and a connection that has them as ``staged``, its upstreams by name."""

    def __init__(self, lake: Lake, day: date) -> None:
        self.lake, self.day = lake, day
        self._runs: set[tuple[str, str]] | None = None  # (run, table) that already stand in ops.gate_results
        self._last: dict[str, tuple[int, str]] = {}  # by table: its last run

    def __call__(self, model: Model, data: "pa.Table", con: "duckdb.DuckDBPyConnection") -> GateResult:
        """Ask every rule of the table.

        Raises:
            GateRefused: a critical rule failed: its rows are in ``ops.quarantine``, answers in ``ops.gate_results``.
        """
        asked = vocabulary.of_model(model)
        version = self.lake.table(model.name).version() + 1 if self.lake.exists(model.name) else 1
        outcomes = evaluate(self.lake, asked, con, _STAGED)
        run_id = _run_id(model, version, con, outcomes)
        blocking = [outcome for outcome in outcomes if outcome.blocks]
        if blocking:
            self._quarantine(model, blocking, con, run_id)
        self._record(model.name, version, run_id, outcomes)
        if blocking:
            told = "; ".join(f"{o.rule.id}: {o.failing} of {data.num_rows} rows" for o in blocking)
            raise GateRefused(
                f"{model.name} was refused by {told}; mend the rows listed in ops.quarantine (run {run_id}) or the "
                "rule, then build again",
                tuple(outcome.rule.id for outcome in blocking),
            )
        return GateResult(model.name, run_id, tuple(outcomes))

    def refused(self, model: Model, rule: str, why: str) -> None:
        """Note what refused a model before or beside its rules, for example a value that fits no type."""
        version = self.lake.table(model.name).version() + 1 if self.lake.exists(model.name) else 1
        broken = Rule(f"{model.name}.{rule}", model.name, rule, (), "critical", None, "", "", why=why)
        run_id = hashlib.sha256(f"{model.name}|{model.digest}|{version}|{rule}|{why}".encode()).hexdigest()[:16]
        self._record(model.name, version, run_id, [Outcome(broken, passed=False, failing=1)])

    def _record(self, name: str, version: int, run_id: str, outcomes: Sequence[Outcome]) -> None:
        import pyarrow as pa

        table = self.lake.create(GATE_RESULTS)
        if self._runs is None:
            self._runs = set()
            kept = table.read()
            told = (kept[column].to_pylist() for column in ("run_id", "table_name", "seq", "version"))
            for run, of, seq, at in zip(*told, strict=True):
                self._runs.add((run, of))
                self._last[of] = max(self._last.get(of, (0, "")), (at or 0 if seq is None else seq, run))
        last, last_run = self._last.get(name, (0, ""))
        if run_id == last_run.partition("-")[0]:
            return  # tried again, and the same again
        seq = last + 1
        if (run_id, name) in self._runs:
            run_id = f"{run_id}-{seq}"  # as before, after something else was in between
        self._runs.add((run_id, name))
        self._last[name] = (seq, run_id)
        rows = [
            (run_id, name, version, o.rule.id, o.rule.severity, o.passed, o.failing, self.day, seq) for o in outcomes
        ]
        names = [column for column in GATE_RESULTS.schema.names if column != "month"]
        columns = [
            pa.array(column, GATE_RESULTS.schema.field(n).type)
            for n, column in zip(names, zip(*rows, strict=True), strict=True)
        ]
        table.append(pa.table(columns, names=names))

    def _quarantine(
        self, model: Model, blocking: Sequence[Outcome], con: "duckdb.DuckDBPyConnection", run_id: str
    ) -> None:
        import pyarrow as pa

        refused: dict[str, dict[str, Any]] = {}
        for outcome in blocking:
            for row in failing_rows(con, outcome.rule, _STAGED, QUARANTINED_MOST).iter_rows(named=True):
                plain = {name: plain_value(value) for name, value in row.items()}
                key = json.dumps([plain.get(name) for name in model.grain], default=str)
                reason = outcome.rule.why or f"{outcome.failing} rows fail {outcome.rule.id}"
                made = quarantined(model.name, key, plain, outcome.rule.id, reason, run_id=run_id, day=self.day)
                refused[made["quarantine_id"]] = made
        table = self.lake.create(QUARANTINE)
        known = set(table.read(eq("table_name", model.name))["quarantine_id"].to_pylist())
        new = [row for name, row in refused.items() if name not in known]
        if new:
            schema = pa.schema([field for field in QUARANTINE.schema if field.name != "month"])
            table.append(pa.Table.from_pylist(new, schema=schema))


def evaluate(lake: Lake, asked: Sequence[Rule], con: "duckdb.DuckDBPyConnection", relation: str) -> list[Outcome]:
    """Every rule over the rows of ``relation``; a table that a rule reads and the connection lacks is attached.

    Raises:
        BadModel: a rule whose SQL DuckDB refuses, with its reason.
    """
    unknown = _attach(lake, asked, con)
    able = [rule for rule in asked if not unknown.intersection(rule.reads)]
    good = _suite(con, able, relation)
    outcomes = []
    for rule in asked:
        if rule not in able:
            lacking = ", ".join(sorted(unknown.intersection(rule.reads)))
            outcomes.append(Outcome(vocabulary.warning(rule), False, 0, f"waits for {lacking}, which is not built yet"))
        elif good[rule.id]:
            outcomes.append(Outcome(rule, True, 0))
        else:
            outcomes.append(_counted(con, rule, relation))
    return outcomes


def failing_rows(
    con: "duckdb.DuckDBPyConnection", rule: Rule, relation: str, most: int | None = None
) -> "pl.DataFrame":
    limit = f" limit {most}" if most is not None else ""
    found: pl.DataFrame = con.sql(f"select * from ({rule.failing_rows(relation)}){limit}").pl()
    return found


def plain_value(value: object) -> object:
    """A value as JSON shows it: bytes as hex, amounts and times as text."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [plain_value(part) for part in value]
    return str(value)


def _counted(con: "duckdb.DuckDBPyConnection", rule: Rule, relation: str) -> Outcome:
    import duckdb

    try:
        ((failing,),) = con.execute(f"select count(*) from ({rule.failing_rows(relation)})").fetchall()
    except (duckdb.OutOfRangeException, duckdb.ConversionException) as error:
        raise Inexact(f"{rule.id}: a value does not fit its type: {error}") from error
    except duckdb.Error as error:
        raise BadModel(f"{rule.id}: DuckDB refuses its SQL: {error}; mend the rule or the column") from error
    return Outcome(rule, failing == 0, failing)


def _attach(lake: Lake, asked: Sequence[Rule], con: "duckdb.DuckDBPyConnection") -> set[str]:
    """Give the connection the tables that rules read; the names that the lake has not."""
    views = "select schema_name || '.' || view_name from duckdb_views()"
    tables = "select schema_name || '.' || table_name from duckdb_tables()"
    present = {name for (name,) in con.execute(f"{views} union {tables}").fetchall()}
    wanted = [name for name in vocabulary.tables_read(asked) if name not in present]
    built = [name for name in wanted if lake.exists(name)]
    lake.attach(con, built)
    return set(wanted) - set(built)


def _run_id(model: Model, version: int, con: "duckdb.DuckDBPyConnection", outcomes: Sequence[Outcome]) -> str:
    """Named by content: the same rows and answers on the way to the same version are one run, however often tried."""
    found = con.execute(f"select count(*), bit_xor(hash(rows)), sum(hash(rows)) from {_STAGED} as rows").fetchall()
    said = [(outcome.rule.id, outcome.rule.severity, outcome.passed, outcome.failing) for outcome in outcomes]
    return hashlib.sha256(f"{model.name}|{model.digest}|{version}|{found}|{said}".encode()).hexdigest()[:16]


def _suite(con: "duckdb.DuckDBPyConnection", asked: Sequence[Rule], relation: str) -> dict[str, bool]:
    """Rule id -> did the suite pass it; what raised counts as failed and is asked again by ``_counted``."""
    if not asked:
        return {}
    _DOOR.con = con
    try:
        return _run(*_great_expectations(), asked, relation)
    finally:
        _DOOR.con = None


def _run(gx: Any, source: Any, asked: Sequence[Rule], relation: str) -> dict[str, bool]:
    name = f"{asked[0].table}:{next(_SUITES)}"  # a new name each time: to replace a suite costs as much as to run it
    batch = source.add_table_asset(name, table_name=relation).add_batch_definition_whole_table("all")
    context = source.data_context
    suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=[_expectation(gx, r) for r in asked]))
    validation = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
    result = validation.run(result_format="BOOLEAN_ONLY")
    context.validation_definitions.delete(name)
    context.suites.delete(name)
    source.delete_asset(name)
    return {one.expectation_config.meta["rule_id"]: bool(one.success) for one in result.results}


def _expectation(gx: Any, rule: Rule) -> Any:
    # sqlalchemy.text() reads :word as a parameter, in a quoted text too
    query = re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", rule.quick)
    return gx.expectations.UnexpectedRowsExpectation(
        unexpected_rows_query=query, severity=rule.severity, description=rule.why or rule.id, meta={"rule_id": rule.id}
    )


class _Door:
    """The connection Great Expectations sees: always the current one, never closed by it.

    Its pool keeps one connection for the life of the process; the views it must read belong to another one each time.
    """

    con: "duckdb.DuckDBPyConnection | None" = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.con, name)

    def close(self) -> None:
        """The build closes its own connection."""


_DOOR = _Door()
_SUITES = count()


@cache
def _great_expectations() -> tuple[Any, Any]:
    """The library, and the one data source of this process."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its own imports: sre_constants, until it leaves them
        import great_expectations as gx
    from duckdb_sqlalchemy import ConnectionWrapper
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "after_cursor_execute", keep_rows)
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_sql(
        "lake",
        connection_string="duckdb:///:memory:",
        create_temp_table=False,
        kwargs={"creator": lambda: ConnectionWrapper(_DOOR)},
    )
    return gx, source


def keep_rows(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:  # noqa: ARG001
    """DuckDB forgets unread rows when its connection closes; Great Expectations reads them later."""
    from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy as Buffered

    if conn.dialect.name == "duckdb" and cursor.description and not executemany:
        rows = cursor.fetchall()
        context.cursor_fetch_strategy = Buffered(cursor, alternate_description=cursor.description, initial_buffer=rows)
