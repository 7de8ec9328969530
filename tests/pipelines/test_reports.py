"""The pack of a closed month: exact, gated, pinned, the same bytes when it is built again."""

import csv
import io
import json
import shutil
from pathlib import Path

import openpyxl
import pytest

import quality
from guelta.errors import BadSetting, GateRefused
from guelta.lake import ALL, Lake
from guelta.settings import Settings, resolved
from models.build import build
from pipelines import reports

NAME = "payout-reconciliation"


@pytest.fixture(scope="module")
def copied(demo_home, tmp_path_factory):
    """A copy of the demo whose lake a test may change."""
    home = tmp_path_factory.mktemp("copied")
    shutil.copytree(demo_home.home, home / "home")
    return resolved(Settings(home=home / "home"))


@pytest.fixture(scope="module")
def pack(copied):
    return reports.build(copied, Lake(copied.lake), NAME, "2026-09")


def files(manifest):
    return {name: (Path(manifest.target) / name).read_bytes() for name, _, _ in manifest.files}


def test_built_twice_is_the_same_bytes_and_delivered_once(copied, pack, tmp_path):
    again = reports.build(copied, Lake(copied.lake), NAME, "2026-09")
    elsewhere = reports.build(copied, Lake(copied.lake), NAME, "2026-09", to=str(tmp_path))
    assert (again.delivered, elsewhere.delivered) == (False, True)
    assert files(elsewhere) == files(pack)
    assert pack.content_id == again.content_id == elsewhere.content_id
    manifest = json.loads((Path(pack.target) / "manifest.json").read_text())
    assert manifest["content_id"] == pack.content_id
    assert [f[0] for f in manifest["files"]] == sorted(files(pack))


def test_the_pack_reads_its_pin_though_the_lake_moves_on(copied, pack, tmp_path):
    lake = Lake(copied.lake)
    table = lake.table("marts.reconciliation")
    rows = table.read()
    table.append(rows.slice(0, 0))
    assert table.version() > pack.versions["marts.reconciliation"]
    later = reports.build(copied, lake, NAME, "2026-09", to=str(tmp_path))
    assert (later.versions, later.content_id) == (pack.versions, pack.content_id)


def test_exact_amounts_stand_as_text_and_tie_to_the_lake(copied, pack):
    data = files(pack)
    book = openpyxl.load_workbook(io.BytesIO(data[f"{NAME}-2026-09.xlsx"]))
    sheet = book["lines"]
    head = [cell.value for cell in sheet[1]]
    at = head.index("Expected (base units)")
    in_xlsx = [row[at] for row in sheet.iter_rows(min_row=2, values_only=True)]
    in_csv = [row["expected"] for row in csv.DictReader(io.StringIO(data[f"{NAME}-2026-09-lines.csv"].decode()))]
    lake = Lake(copied.lake).table("marts.reconciliation").read().to_pylist()
    in_lake = [row["expected_raw"] for row in lake if row["period"] == "2026-09"]
    assert sorted(filter(None, in_xlsx)) == sorted(filter(None, in_csv)) == sorted(filter(None, in_lake))
    assert all(isinstance(value, str) for value in in_xlsx if value is not None)
    assert max(map(int, filter(None, in_lake))) > 2**53


def test_the_control_difference_is_zero(pack):
    assert pack.controls["control difference (base units)"] == "0"
    assert pack.demo


def test_a_month_that_is_not_over_is_refused(copied):
    with pytest.raises(BadSetting, match="last closed period is 2026-10"):
        reports.build(copied, Lake(copied.lake), NAME, "2026-11")
    with pytest.raises(BadSetting, match="a month like"):
        reports.build(copied, Lake(copied.lake), NAME, "October")
    with pytest.raises(BadSetting, match="expected a report of"):
        reports.build(copied, Lake(copied.lake), "no-such-report", "2026-09")


@pytest.fixture
def fresh(demo_home, tmp_path):
    """A copy of its own, for a test that breaks it."""
    shutil.copytree(demo_home.home, tmp_path / "home")
    return resolved(Settings(home=tmp_path / "home"))


@pytest.mark.parametrize("table", ["marts.reconciliation", "core.reconciliation_lines", "core.party_keys"])
def test_a_failed_gate_of_a_table_or_of_what_it_is_made_from_renders_nothing(fresh, tmp_path, table):
    import datetime as dt

    import pyarrow as pa

    from guelta.lake.ops import GATE_RESULTS

    lake = Lake(fresh.lake)
    row = {
        "run_id": "later",
        "table_name": table,
        "version": 10**6,
        "rule_id": f"{table}.unique(recon_key)",
        "severity": "critical",
        "passed": False,
        "failing": 1,
        "day": dt.date(2026, 11, 6),
    }
    schema = pa.schema([f for f in GATE_RESULTS.schema if f.name != "month"])
    rows = pa.Table.from_pylist([row | {name: None for name in schema.names if name not in row}], schema=schema)
    lake.table("ops.gate_results").append(rows)
    with pytest.raises(GateRefused, match=rf"{table}.unique\(recon_key\)"):
        reports.build(fresh, lake, NAME, "2026-08", to=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("table", "stale"), [("core.reconciliation_lines", "marts.reconciliation"), ("core.ledger", "reconciliation_lines")]
)
def test_a_table_that_was_not_made_again_since_its_upstream_changed_renders_nothing(fresh, tmp_path, table, stale):
    lake = Lake(fresh.lake)
    rows = lake.table(table).read()
    lake.table(table).replace(rows.slice(1), ALL)
    with pytest.raises(GateRefused, match=rf"{stale} was made before {table} last changed.*guelta build"):
        reports.build(fresh, lake, NAME, "2026-08", to=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_an_upstream_that_changed_and_made_no_difference_stops_nothing(fresh, tmp_path):
    lake = Lake(fresh.lake)
    tokens = lake.table("core.tokens").read()
    lake.table("core.tokens").replace(tokens, ALL)
    build(lake, quality.tables(), gate=quality.gate(lake))
    walk = lake.table("marts.reconciliation_walk")
    assert (
        lake.table("core.tokens").version()
        > lake.table("marts.tokens").cursor("build:marts.tokens").meta["upstream"]["core.tokens"]
    )
    assert reports.build(fresh, lake, NAME, "2026-08", to=str(tmp_path / "out")).delivered
    assert walk.version() == lake.table("marts.reconciliation_walk").version()
