"""Start a build when the lake has new commits; nothing indexes inside Dagster."""

import json
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import dagster as dg

from guelta.lake import Lake
from pipelines.resources import House
from pipelines.tables import DAYS

RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


def lake_sensor(job: Any, tables: Sequence[str]) -> dg.SensorDefinition:
    """Ask for ``job`` when a version of ``tables`` moved: one run over the days that changed, once per state."""

    @dg.sensor(
        name="lake_moved",
        job=job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reads the committed versions of the raw tables and builds what changed.",
    )
    def moved(context: dg.SensorEvaluationContext, house: House) -> Iterator[dg.RunRequest | dg.SkipReason]:
        lake = house.lake()
        before: dict[str, int] = json.loads(context.cursor or "{}")
        now = {name: lake.table(name).version() for name in tables if lake.exists(name)}
        if now == before:
            yield dg.SkipReason("no raw table has a new version")
            return
        first, last = changed_span(lake, before, now)
        context.update_cursor(json.dumps(now, sort_keys=True))
        yield dg.RunRequest(
            run_key=json.dumps(now, sort_keys=True), tags=dict(zip(RANGE, (str(first), str(last)), strict=True))
        )

    return moved


def report_sensor(reports: Sequence[dg.AssetsDefinition]) -> dg.AutomationConditionSensorDefinition:
    """Build reports on their own cron, once what they read has passed its checks."""
    return dg.AutomationConditionSensorDefinition(
        name="reports_due",
        target=dg.AssetSelection.assets(*reports),
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )


def changed_span(lake: Lake, before: dict[str, int], now: dict[str, int]) -> tuple[date, date]:
    """First and last day touched since ``before``; the build itself finds out which days in between are to be made."""
    start = date.fromisoformat(DAYS.get_first_partition_key() or "2015-07-30")
    today = date.fromisoformat(DAYS.get_last_partition_key() or str(start))
    days: set[date] = set()
    for name, version in now.items():
        table = lake.table(name)
        if version == before.get(name) or "day" not in table.spec.schema.names:
            continue
        touched = table.changed(before.get(name))
        days |= _all_days(lake, name) if touched is None else touched
    within = [day for day in days if start <= day <= today]
    return min(within, default=today), max(within, default=today)


def _all_days(lake: Lake, name: str) -> set[date]:
    with lake.duck([name]) as con:
        first, last = con.execute(f"select min(t.day), max(t.day) from {name} as t").fetchall()[0]
    return {day for day in (first, last) if day is not None}
