"""The reconciliation from core tables in a lake to the summary that decides the exit code."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import quality
from guelta.errors import BadSetting
from guelta.lake import ALL, Lake
from guelta.lake.schema import Address, Amount, Bytes, Day, Hash, Int32, Int64, Text, Timestamp, spec
from guelta.money import amounts, to_raw
from models.build import build
from quality.reconcile import summary

TOKEN, ADA, BOB = b"\x11" * 20, b"\xaa" * 20, b"\xbb" * 20
DUE = datetime(2026, 10, 5, 23, 59, 59, tzinfo=UTC)
PAID, LATE, BLOCK = DUE - timedelta(days=1), DUE + timedelta(days=4), b"\x01" * 32
MONEY = {"amount": Amount, "amount_raw": Bytes}
WHERE = {"chain_id": Int64, "token": Address}

NAMES = ["core.reconciliation_lines", "core.payout_earnings", "core.breaks", "marts.reconciliation_walk"]

TABLES = {
    "core.earnings": ("earning_id", {"earning_id": Text, "day": Day, "period": Text, **WHERE, "party": Text, "account": Address, "kind": Text, **MONEY}),
    "core.payout_legs": ("run_id leg_no", {"run_id": Text, "leg_no": Int32, "party": Text, "wallet": Address, **WHERE, **MONEY, "kind": Text, "period": Text, "instructed_at": Timestamp, "due_at": Timestamp, "sent_tx": Hash, "state": Text}),
    "core.payouts": ("payout_id", {"payout_id": Text, "chain_id": Int64, "block_number": Int64, "log_index": Int32, "tx_hash": Hash, "at": Timestamp, "day": Day, "kind": Text, "account": Address, "party": Text, "token": Address, **MONEY}),
    "core.ledger": ("ledger_id", {"ledger_id": Text, "run_id": Text, "leg_no": Int32, "party": Text, **WHERE, **MONEY, "booked_at": Timestamp}),
    "core.tokens": ("chain_id token", {**WHERE, "symbol": Text, "decimals": Int32}),
    "raw.blocks": ("chain_id block_number", {"chain_id": Int64, "block_number": Int64, "block_time": Timestamp}),
    "raw.heads": ("chain_id", {"chain_id": Int64, "finalized_block": Int64}),
    "raw.transactions": ("chain_id tx_hash", {"chain_id": Int64, "tx_hash": Hash, "status": Int32}),
}  # fmt: skip


PENDING: dict[str, object] = {"chain_id": 1337, "payout_id": "late", "block_number": 10, "log_index": 0, "tx_hash": b"\x0c" * 32, "at": LATE + timedelta(days=3), "day": date(2026, 10, 12), "kind": "transfer", "account": ADA, "party": "ada", "token": TOKEN, "amount": 3}  # fmt: skip


def put(lake: Lake, name: str, rows: list[dict[str, object]]) -> None:
    key, columns = TABLES[name]
    plain = [column for column in columns if column not in MONEY]
    frame = pl.DataFrame({column: [row[column] for row in rows] for column in plain})
    if "amount" in columns:
        frame = frame.with_columns(
            amounts("amount", [row["amount"] if row["amount"] < 10**38 else None for row in rows]),
            pl.Series("amount_raw", [to_raw(row["amount"]) for row in rows]),
        )
    small = [column for column, kind in columns.items() if kind == Int32]
    times = [column for column, kind in columns.items() if kind == Timestamp]
    frame = frame.with_columns(pl.col(small).cast(pl.Int32), pl.col(times).dt.cast_time_unit("us"))
    lake.create(spec(name, columns, key=key.split())).append(frame)


def a_month_with_one_late_payment(
    folder: Path, scale: int = 1, ledger: Sequence[tuple[str, int, str, int]] = ()
) -> Lake:
    """Ada is paid in time, Bob four days late; Bob's October is not due yet."""
    lake = Lake(folder / "lake", world="demo")
    at = {"chain_id": 1337, "token": TOKEN}

    def earned(name: str, account: bytes, period: str, amount: int) -> dict[str, object]:
        day = date.fromisoformat(f"{period}-10")
        return {
            **at,
            "earning_id": f"{name}{period}",
            "day": day,
            "period": period,
            "party": name,
            "account": account,
            "kind": "task",
            "amount": amount * scale,
        }

    def leg(n: int, name: str, wallet: bytes, amount: int) -> dict[str, object]:
        when = {"instructed_at": DUE - timedelta(days=3), "due_at": DUE, "sent_tx": wallet[:1] * 32, "state": "sent"}
        return {
            **at,
            **when,
            "run_id": "r",
            "leg_no": n,
            "party": name,
            "wallet": wallet,
            "amount": amount * scale,
            "kind": "task",
            "period": "2026-09",
        }

    def payout(name: str, account: bytes, amount: int, when: datetime) -> dict[str, object]:
        return {
            **at,
            "payout_id": name,
            "block_number": 5,
            "log_index": 0,
            "tx_hash": account[:1] * 32,
            "at": when,
            "day": when.date(),
            "kind": "transfer",
            "account": account,
            "party": name,
            "amount": amount * scale,
        }

    put(
        lake,
        "core.earnings",
        [earned("ada", ADA, "2026-09", 70), earned("bob", BOB, "2026-09", 30), earned("bob", BOB, "2026-10", 5)],
    )
    put(lake, "core.payout_legs", [leg(1, "ada", ADA, 70), leg(2, "bob", BOB, 30)])
    put(lake, "core.payouts", [payout("ada", ADA, 70, PAID), payout("bob", BOB, 30, LATE)])
    put(
        lake,
        "core.ledger",
        [
            {
                **at,
                "ledger_id": name,
                "run_id": run,
                "leg_no": n,
                "party": name,
                "amount": amount * scale,
                "booked_at": LATE,
            }
            for run, n, name, amount in (("r", 1, "ada", 70), ("r", 2, "bob", 30), *ledger)
        ],
    )
    put(lake, "core.tokens", [{**at, "symbol": "TUSD", "decimals": 1}])
    put(lake, "raw.blocks", [{"chain_id": 1337, "block_number": 9, "block_time": LATE + timedelta(days=2)}])
    put(lake, "raw.heads", [{"chain_id": 1337, "finalized_block": 9}])
    put(lake, "raw.transactions", [{"chain_id": 1337, "tx_hash": BLOCK, "status": 0}])
    # Tokens of amounts beyond 38 digits are kept apart before they come here; the gate would refuse them.
    build(lake, quality.tables(), selection=NAMES, gate=quality.gate(lake) if scale == 1 else None)
    return lake


def walked(lake: Lake) -> list[int]:
    """The control difference of each month in the mart, made again without its gate."""
    build(lake, quality.tables(), selection=["marts.reconciliation_walk"], full=True)
    rows = lake.table("marts.reconciliation_walk").read().sort_by("period")
    return [int(value) for value in rows["control_difference"].to_pylist()]


def without(lake: Lake, name: str, keep: pl.Expr) -> None:
    rows = pl.from_arrow(lake.table(name).read())
    assert isinstance(rows, pl.DataFrame)
    lake.table(name).replace(rows.filter(keep).to_arrow(), ALL)


def test_the_walk_ties_and_an_open_break_decides_the_exit_code(tmp_path):
    found = summary(a_month_with_one_late_payment(tmp_path))
    walk = [(w.period, w.opening, w.earned, w.settled, w.closing, w.control_difference) for w in found.walk]
    assert walk == [("2026-09", 0, 100, 0, 100, 0), ("2026-10", 100, 5, 100, 5, 0)]
    assert [(b.recon_key, b.status, b.code, b.delta, b.age_days) for b in found.breaks] == [
        ("leg:r:2", "paid_late", "E02", 0, 6)
    ]
    assert [(e.recon_key, e.status) for e in found.explained] == [
        (f"party:bob:1337:0x{TOKEN.hex()}:2026-10:task", "not_due")
    ]
    assert (found.exit_code, found.totals) == (1, {"matched": 1, "not_due": 1, "paid_late": 1})


def test_a_month_alone_is_clean_where_its_own_lines_are(tmp_path):
    lake = a_month_with_one_late_payment(tmp_path)
    october = summary(lake, "2026-10")
    assert (october.exit_code, [w.opening for w in october.walk], october.totals) == (0, [100], {"not_due": 1})
    assert "opening 10 + earned 0.5 - settled 10 - in flight 0 = closing 0.5" in october.lines()[1]
    with pytest.raises(BadSetting, match="2026-10 or all"):
        summary(lake, "october")


def test_amounts_beyond_38_digits_stay_exact(tmp_path):
    found = summary(a_month_with_one_late_payment(tmp_path, scale=10**40))
    assert [(w.earned, w.settled, w.closing) for w in found.walk] == [
        (100 * 10**40, 0, 100 * 10**40),
        (5 * 10**40, 100 * 10**40, 5 * 10**40),
    ]
    assert found.control_difference == 0
    assert found.as_json()["breaks"][0]["expected"] == str(30 * 10**40)


LOST = {
    "a final payout": ("core.payouts", pl.col("payout_id") != "bob"),
    "the line of a matched leg": ("core.reconciliation_lines", pl.col("recon_key") != "leg:r:1"),
    "the line of an open earning": ("core.reconciliation_lines", ~pl.col("recon_key").str.starts_with("party:")),
    "an earning": ("core.earnings", pl.col("earning_id") != "ada2026-09"),
    "the allocation of a payout": ("core.payout_earnings", pl.col("payout_id") != "ada"),
    "every allocation": ("core.payout_earnings", pl.lit(value=False)),
}


@pytest.mark.parametrize("what", LOST)
def test_whatever_is_lost_leaves_a_control_difference(tmp_path, what):
    lake = a_month_with_one_late_payment(tmp_path)
    assert (summary(lake).control_difference, walked(lake)) == (0, [0, 0])
    without(lake, *LOST[what])
    found = summary(lake)
    assert found.control_difference > 0
    assert found.exit_code == 1
    assert [row.control_difference for row in found.walk] == walked(lake)


def test_payouts_that_all_discharge_one_earning_leave_a_control_difference(tmp_path):
    lake = a_month_with_one_late_payment(tmp_path)
    table = lake.table("core.payout_earnings")
    rows = pl.from_arrow(table.read()).with_columns(pl.lit("ada2026-09").alias("earning_id"))
    table.replace(rows.to_arrow(), ALL)
    found = summary(lake)
    assert (found.control_difference, found.exit_code) == (30, 1)
    assert [row.control_difference for row in found.walk] == walked(lake) == [30, 0]


def test_a_payout_is_in_flight_by_its_block_and_not_by_what_the_matching_left_of_it(tmp_path):
    lake = a_month_with_one_late_payment(tmp_path)
    put(lake, "core.payouts", [PENDING])
    build(lake, quality.tables(), selection=NAMES, gate=quality.gate(lake))
    found = summary(lake)
    assert [(w.settled, w.in_flight, w.control_difference) for w in found.walk] == [(0, 0, 0), (100, 3, 0)]
    assert walked(lake) == [0, 0]


def test_a_booking_without_a_leg_is_a_break_behind_the_gate_and_freezes_nothing(tmp_path):
    lake = a_month_with_one_late_payment(tmp_path, ledger=[("ghost", 1, "eve", 5)])
    line = next(b for b in summary(lake).breaks if b.recon_key == "leg:ghost:1")
    assert (line.status, line.code, line.reason, line.party) == ("amount_mismatch", "E03", "source_gap", "eve")
    assert (line.symbol, line.at_risk, line.evidence, line.period) == ("TUSD", 5, "ledger:eve", "2026-10")
