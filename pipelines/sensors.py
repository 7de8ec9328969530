"""Start a build when the lake has new commits; nothing indexes inside Dagster."""

import json
from collections.abc import Iterator

import dagster as dg

from pipelines.resources import House


def lake_sensor(job: dg.UnresolvedAssetJobDefinition, tables: list[str]) -> dg.SensorDefinition:
    """Ask for ``job`` when the version of any of ``tables`` moved; the versions are the run key, so once each."""

    @dg.sensor(
        name="lake_moved",
        job=job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reads the committed cursors of the raw tables and builds what changed.",
    )
    def moved(context: dg.SensorEvaluationContext, house: House) -> Iterator[dg.RunRequest | dg.SkipReason]:
        lake = house.lake()
        now = json.dumps({name: lake.table(name).version() for name in tables if lake.exists(name)}, sort_keys=True)
        if now == (context.cursor or "{}"):
            yield dg.SkipReason("no raw table has a new version")
            return
        context.update_cursor(now)
        yield dg.RunRequest(run_key=now)

    return moved
