"""The platform's own SQL database, in its own shape: money and times as text, one current row per id."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    delete,
    insert,
)

Row = dict[str, Any]
METADATA = MetaData()


def _table(_name: str, _key: Sequence[str], **columns: type) -> Table:
    return Table(_name, METADATA, *(Column(c, kind, primary_key=c in _key) for c, kind in columns.items()))


# Every column but the key may be null, as in many a platform: what may be missing is for the reader to check.
TABLES = {
    "parties": _table(
        "parties", ["party_id"], party_id=String, kind=String, roles=String, name=Text, wallet=String, country=String,
        client_tier=String, waitlisted_at=String, joined_at=String, activated_at=String, updated_at=String,
    ),
    "assets": _table(
        "assets", ["chain_id", "asset_id"], chain_id=BigInteger, asset_id=BigInteger, name=Text, description=Text,
        language=String, updated_at=String,
    ),
    "tasks": _table(
        "tasks", ["task_id", "version"], task_id=String, version=Integer, title=Text, data_type=String,
        language=String, difficulty=String, chain_id=BigInteger, dataset_id=BigInteger, label_count=Integer,
        reward_kind=String, base_points=Integer, bonus_pct=Integer, reward_token=String, reward_amount=Text,
        review_quorum=Integer, valid_from=String, updated_at=String,
    ),
    "gold": _table("gold", ["task_id", "item_id"], task_id=String, item_id=String, label=Integer, updated_at=String),
    "submissions": _table(
        "submissions", ["submission_id"], submission_id=String, task_id=String, item_id=String, annotator_id=String,
        label=Integer, value_f64=Float, seconds=Integer, content_hash=String, language=String, submitted_at=String,
        status=String, decided_at=String, updated_at=String,
    ),
    "reviews": _table(
        "reviews", ["review_id"], review_id=String, submission_id=String, reviewer_id=String, round=Integer,
        decision=String, reason=Text, reviewed_at=String, updated_at=String,
    ),
    "credits": _table(
        "credits", ["entry_id"], entry_id=String, client_id=String, kind=String, chain_id=BigInteger, token=String,
        amount=Text, batch_root=String, at=String, updated_at=String,
    ),
    "payout_legs": _table(
        "payout_legs", ["run_id", "leg_no"], run_id=String, leg_no=Integer, party_id=String, wallet=String,
        chain_id=BigInteger, token=String, amount=Text, kind=String, period=String, instructed_at=String,
        due_at=String, sent_tx=String, state=String, idempotency_key=String, updated_at=String,
    ),
    "ledger": _table(
        "ledger", ["ledger_id"], ledger_id=String, run_id=String, leg_no=Integer, party_id=String,
        chain_id=BigInteger, token=String, amount=Text, booked_at=String, updated_at=String,
    ),
}  # fmt: skip


def write(url: str, versions: Mapping[str, Iterable[Row]], known_by: str) -> dict[str, int]:
    """Put into each table the newest version per id known by that time, in one transaction."""
    engine = create_engine(url)
    counts: dict[str, int] = {}
    try:
        METADATA.create_all(engine)
        with engine.begin() as connection:
            for name, table in TABLES.items():
                rows = _current(table, versions[name], known_by)
                connection.execute(delete(table))
                if rows:
                    connection.execute(insert(table), rows)
                counts[name] = len(rows)
    finally:
        engine.dispose()
    return counts


def _current(table: Table, versions: Iterable[Row], known_by: str) -> list[Row]:
    key = [column.name for column in table.primary_key]
    newest: dict[tuple[Any, ...], Row] = {}
    for row in versions:
        identity = tuple(row[column] for column in key)
        if row["updated_at"] <= known_by and newest.get(identity, row)["updated_at"] <= row["updated_at"]:
            newest[identity] = row
    return list(newest.values())
