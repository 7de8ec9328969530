"""The tables about the house itself: rows that were refused, and what the gates said."""

import hashlib
import json
from datetime import date
from typing import Any

from guelta.lake.schema import Bool, Day, Int64, Text, spec

QUARANTINE = spec(
    "ops.quarantine",
    {
        "quarantine_id": Text,
        "table_name": Text,
        "row_key": Text,
        "row": Text,
        "rule_id": Text,
        "reason": Text,
        "run_id": Text,
        "day": Day,
    },
    key=("quarantine_id",),
    required=("quarantine_id", "table_name", "row_key", "row", "rule_id", "reason", "day"),
    partition=("month",),
)

# Nothing leaves the quarantine: a row that was let in later is named here beside it.
RELEASED = spec(
    "ops.released",
    {
        "quarantine_id": Text,
        "table_name": Text,
        "rule_id": Text,
        "day": Day,  # of the release
    },
    key=("quarantine_id",),
    required=("quarantine_id", "table_name", "rule_id", "day"),
    partition=("month",),
)

GATE_RESULTS = spec(
    "ops.gate_results",
    {
        "run_id": Text,
        "table_name": Text,
        "version": Int64,
        "rule_id": Text,
        "severity": Text,
        "passed": Bool,
        "failing": Int64,
        "day": Day,
        "seq": Int64,  # runs over the table so far: versions stand still at a refusal and begin again after a drop
    },
    key=("run_id", "table_name", "rule_id"),
    required=("run_id", "table_name", "rule_id", "severity", "passed", "failing", "day"),
    partition=("month",),
)


def quarantined(
    table_name: str, row_key: str, row: dict[str, Any], rule_id: str, reason: str, *, run_id: str, day: date
) -> dict[str, Any]:
    """One row of ``ops.quarantine``; the same refusal always has the same id."""
    text = json.dumps(row, sort_keys=True, default=str)
    name = hashlib.sha256(f"{table_name}\x1f{row_key}\x1f{rule_id}\x1f{text}".encode()).hexdigest()
    values = (name, table_name, row_key, text, rule_id, reason, run_id, day)
    return dict(zip([field for field in QUARANTINE.schema.names if field != "month"], values, strict=True))
