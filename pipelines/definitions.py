"""Everything Dagster runs, gathered from the files that define it."""

import dagster as dg

import quality
from pipelines import ingest, packs, sensors, tables
from pipelines.resources import House

_MODELS = quality.tables()
_RAW = ingest.raw_specs(_MODELS)
_SOURCES = ingest.source_assets()
_TABLES = [tables.asset_for(model, _MODELS) for model in _MODELS]

build_job = dg.define_asset_job(
    "build_tables",
    selection=dg.AssetSelection.assets(*_TABLES),
    executor_def=dg.in_process_executor,
    description="Every table whose upstreams moved, in order, behind its gates.",
)
_WATCHED = sorted(
    {spec.key.to_user_string().replace("/", ".") for spec in _RAW}
    | {spec.key.to_user_string().replace("/", ".") for source in _SOURCES for spec in source.specs}
)

_REPORTS = packs.report_assets()

defs = dg.Definitions(
    assets=[*_RAW, *_SOURCES, *_TABLES, *_REPORTS],
    jobs=[build_job],
    sensors=[sensors.lake_sensor(build_job, _WATCHED), sensors.report_sensor(_REPORTS)],
    resources={"house": House()},
    executor=dg.in_process_executor,  # the default, one process a step, took 65 times as long (50-surface §7)
)
