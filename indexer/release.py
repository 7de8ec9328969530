"""Rows that were refused, judged again by the contract as it is now."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from guelta.errors import BadSetting
from guelta.lake import Lake, eq
from guelta.lake.ops import QUARANTINE, RELEASED
from indexer.sources import present, sources, tables
from indexer.sources.contract import SCHEMA_DRIFT, Contract
from indexer.sources.landing import Landing

Entry = Mapping[str, Any]  # a row of ops.quarantine


@dataclass(frozen=True, slots=True)
class Released:
    table: str
    rows: int  # new in the table
    released: int  # entries of the quarantine that are settled; more than rows where one was refused twice
    refused: dict[str, int]  # entries that stay, by the rule that refuses them now


def release(lake: Lake, table: str, *, rule: str | None = None, today: date) -> Released:
    """Let those rows of ``table`` in that its row contract accepts by now.

    The rows go first and are known by their key, then ``ops.released``: killed in between, doing it again does it once.

    Args:
        lake: with ops.quarantine.
        table: an off-chain raw table.
        rule: only what this rule refused.
        today: written beside what is released; rows of a later day stay.

    Raises:
        BadSetting: a table without a row contract, or a rule that refused nothing of it.
    """
    contract = next((one for one in tables.ALL if one.table == table), None)
    if contract is None:
        known = ", ".join(one.table for one in tables.ALL)
        raise BadSetting(
            f"{table} has no row contract; there are {known}. Logs in raw.quarantine are decoded again by guelta "
            "derive once their ABI is mended"
        )
    journal = lake.create(RELEASED)
    held = _held(lake, table)
    if rule is not None and rule not in {entry["rule_id"] for entry in held}:
        rules = ", ".join(sorted({entry["rule_id"] for entry in held})) or "no rule"
        raise BadSetting(f"no row of {table} waits because of {rule}; rows wait because of {rules}")
    chosen = [entry for entry in held if rule in {None, entry["rule_id"]}]
    rows, refused = 0, dict[str, str]()
    latest = present(lake, datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(days=1))
    for source, entries in _by_source(chosen).items():
        new, still = _readmit(Landing(lake, source, contract), source, entries, latest)
        rows, refused = rows + new, refused | still
    passed = [entry for entry in chosen if entry["quarantine_id"] not in refused]
    if passed:
        columns = ("quarantine_id", "table_name", "rule_id")
        journal.append(pl.DataFrame([{c: e[c] for c in columns} | {"day": today} for e in passed]).to_arrow())
    return Released(table, rows, len(passed), dict(sorted(Counter(refused.values()).items())))


def _held(lake: Lake, table: str) -> list[dict[str, Any]]:
    mine = eq("table_name", table)
    gone = set(lake.table(RELEASED.name).read(mine)["quarantine_id"].to_pylist())
    rows = lake.create(QUARANTINE).read(mine).to_pylist()
    return [row for row in rows if row["quarantine_id"] not in gone]


def _by_source(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    found = defaultdict(list)
    for entry in entries:
        found[str(entry["run_id"]).partition(":")[2]].append(entry)
    return dict(sorted(found.items()))


def _readmit(landing: Landing, source: str, entries: list[Entry], latest: datetime) -> tuple[int, dict[str, str]]:
    """How many rows are new, and by quarantine_id the rule that still refuses one."""
    restore = getattr(sources().get(source), "received", lambda _key, row: row)
    rows = [restore(entry["row_key"], json.loads(entry["row"])) for entry in entries]
    drifted = _drifted(landing.contract, entries, rows)
    judged = [i for i in range(len(entries)) if i not in drifted]
    names = [field.name for field in landing.contract.fields]
    frame = pl.DataFrame(
        {name: [rows[i].get(name) for i in judged] for name in names}, schema=dict.fromkeys(names, pl.String)
    )
    new, refused = landing.readmit(frame, latest)
    positions = dict.fromkeys(drifted, SCHEMA_DRIFT) | {judged[p]: rule for p, rule in refused.items()}
    return new, {entries[i]["quarantine_id"]: rule for i, rule in positions.items()}


def _drifted(contract: Contract, entries: list[Entry], rows: list[dict[str, Any]]) -> set[int]:
    """Rows whose file or table still lacks a column. An optional one would pass as null, and be lost."""
    places = defaultdict(list)
    for i, entry in enumerate(entries):
        if entry["rule_id"] == SCHEMA_DRIFT:
            places[entry["row_key"].rpartition(":")[0]].append(i)
    return {
        i
        for together in places.values()
        if contract.drift(list({name for i in together for name in rows[i]}))[0]
        for i in together
    }
