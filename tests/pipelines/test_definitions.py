"""Dagster runs the same tables behind the same gates, by day, and asks for a run when the lake moves."""

import shutil

import dagster as dg
import polars as pl
import pyarrow as pa
import pytest

from guelta.lake import Lake, eq
from guelta.lake.schema import Int32
from guelta.settings import Settings, resolved
from pipelines.definitions import defs
from pipelines.resources import House
from pipelines.sensors import RANGE

OCTOBER = dict(zip(RANGE, ("2026-10-01", "2026-10-31"), strict=True))


@pytest.fixture
def house(demo_home, tmp_path, monkeypatch):
    """A copy of the demo that runs may change, named by the settings every run reads."""
    shutil.copytree(demo_home.home, tmp_path / "home")
    file = tmp_path / "guelta.toml"
    file.write_text(f'home = "{tmp_path}/home"\n')
    monkeypatch.setenv("GUELTA_CONFIG", str(file))
    return House(), Lake(resolved(Settings(home=tmp_path / "home")).lake)


def run(house, *tables, tags=OCTOBER):
    del house  # the job has its own, which reads the same settings
    job = defs.resolve_job_def("build_tables")
    selection = [dg.AssetKey(name.split(".")) for name in tables]
    return job.execute_in_process(asset_selection=selection, tags=tags, raise_on_error=False)


def test_a_month_is_one_run_with_its_checks_and_its_metadata(house):
    resource, lake = house
    before = lake.table("marts.ecosystem_daily").version()
    result = run(resource, "marts.ecosystem_daily", "marts.tokens")
    assert result.success
    made = {e.asset_key.path[-1] for e in result.get_asset_materialization_events()}
    checks = result.get_asset_check_evaluations()
    assert made == {"ecosystem_daily", "tokens"}
    assert len(checks) >= 3
    assert all(check.passed for check in checks)
    assert lake.table("marts.ecosystem_daily").version() >= before


def test_a_gate_that_refuses_fails_the_step_and_publishes_nothing(house):
    resource, lake = house
    parties = lake.table("core.parties")
    twin = pl.from_arrow(parties.read()).head(1).with_columns(name=pl.lit("somebody else"))
    parties.append(twin)
    before = lake.table("marts.parties").version()
    result = run(resource, "marts.parties")
    assert not result.success
    assert result.get_asset_materialization_events() == []
    assert [c.check_name for c in result.get_asset_check_evaluations() if not c.passed] == [
        "marts_parties_unique_party"
    ]
    assert lake.table("marts.parties").version() == before


def test_the_sensor_asks_once_for_each_state_of_the_lake(house):
    resource, lake = house
    sensor = defs.resolve_sensor_def("lake_moved")
    first = dg.build_sensor_context(resources={"house": resource}, definitions=defs)
    (request,) = list(sensor(first))
    first_day, last_day = (request.tags[tag] for tag in RANGE)
    assert (first_day <= "2026-08-01", last_day) == (True, "2026-11-05")  # people joined before the chain began
    again = dg.build_sensor_context(resources={"house": resource}, cursor=first.cursor, definitions=defs)
    (skipped,) = list(sensor(again))
    assert isinstance(skipped, dg.SkipReason)
    blocks = lake.table("raw.blocks")
    row = blocks.read().slice(0, 1)
    changed = row.set_column(row.schema.get_field_index("log_count"), "log_count", pa.array([7], Int32))
    number = row["block_number"].to_pylist()[0]
    blocks.replace(changed, eq("chain_id", 1337) & eq("month", row["month"][0].as_py()) & eq("block_number", number))
    moved = dg.build_sensor_context(resources={"house": resource}, cursor=first.cursor, definitions=defs)
    (request,) = list(sensor(moved))
    assert request.tags[RANGE[0]] == request.tags[RANGE[1]] == str(row["day"][0].as_py())


def test_a_report_is_an_asset_of_its_month(house):
    del house  # the asset has its own, which reads the same settings
    key = dg.AssetKey(["reports", "payout_reconciliation"])
    result = dg.materialize([defs.resolve_assets_def(key)], partition_key="2026-10-01", raise_on_error=False)
    assert result.success
    (made,) = result.asset_materializations_for_node("reports__payout_reconciliation")
    target = made.metadata["target"].value
    assert target.endswith("reports/payout-reconciliation/2026-10")
    assert "payout-reconciliation-2026-10.pdf" in made.metadata
