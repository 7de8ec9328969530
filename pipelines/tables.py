"""One Dagster asset per model file: its rules are blocking checks between staging and the commit."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg

import quality
from guelta.errors import GateRefused, Retryable
from models import Model
from models.build import Built, build
from pipelines.resources import House

DAYS = dg.DailyPartitionsDefinition(start_date="2015-07-30", timezone="UTC")  # day 0 of the oldest chain we follow
POOL = "lake-writer"
_SEVERITY = {"critical": dg.AssetCheckSeverity.ERROR, "warning": dg.AssetCheckSeverity.WARN}


def key_of(table: str) -> dg.AssetKey:
    return dg.AssetKey(table.split("."))


def check_name(rule_id: str) -> str:
    """A rule's id in the letters Dagster allows."""
    return re.sub(r"[^A-Za-z0-9]+", "_", rule_id).strip("_")


def asset_for(model: Model, models: list[Model]) -> dg.AssetsDefinition:
    """The asset of a model file. Dated tables are partitioned by day; a backfill of many days is one run."""
    from quality.rules import of_model

    key = key_of(model.name)
    rules = {check_name(rule.id): rule for rule in of_model(model)}
    dated = model.partition.by == "day"

    @dg.asset(
        key=key,
        deps=[key_of(name) for name in model.upstream],
        description=model.title,
        group_name=model.folder.replace("/", "_"),
        kinds={"sql" if model.sql else "python", "delta"},
        code_version=model.digest[:12],
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=rule.severity == "critical", description=rule.id)
            for name, rule in rules.items()
        ],
        partitions_def=DAYS if dated else None,
        backfill_policy=dg.BackfillPolicy.single_run() if dated else None,
        metadata={"columns": dg.MetadataValue.json(model.columns), "grain": list(model.grain)},
        pool=POOL,
        retry_policy=None,
    )
    def table(context: dg.AssetExecutionContext, house: House) -> Iterator[Any]:
        lake = house.lake()
        days = _days(context) if dated else frozenset()
        gate = quality.gate(lake)
        try:
            (built,) = build(lake, models, selection=[model.name], gate=gate, days=days)
        except GateRefused as error:
            for name, rule in rules.items():
                failed = rule.id in error.rule_ids
                yield dg.AssetCheckResult(passed=not failed, check_name=name, severity=_SEVERITY[rule.severity])
            raise dg.Failure(str(error), allow_retries=False) from error
        except Retryable as error:
            raise dg.RetryRequested(max_retries=2, seconds_to_wait=5) from error
        outcomes = _outcomes(lake, model.name)
        for name, rule in rules.items():
            passed = outcomes.get(rule.id, True)
            yield dg.AssetCheckResult(passed=passed, check_name=name, severity=_SEVERITY[rule.severity])
        yield dg.MaterializeResult(metadata=_metadata(lake, built))

    return table


def _days(context: dg.AssetExecutionContext) -> frozenset[date]:
    window = context.partition_time_window
    first, count = window.start.date(), (window.end.date() - window.start.date()).days
    return frozenset(first + timedelta(days=n) for n in range(count))


def _outcomes(lake: Any, table: str) -> dict[str, bool]:
    from quality.status import outcomes

    return {rule: passed for rule, (passed, _) in outcomes(lake).get(table, {}).items()}


def _metadata(lake: Any, built: Built) -> dict[str, Any]:
    known = lake.exists(built.name)
    return {
        "rows_written": built.rows,
        "dagster/row_count": lake.table(built.name).rows() if known else 0,
        "lake_version": built.version or 0,
        "seconds": round(built.seconds, 3),
        "reason": built.reason,
    }
