"""One Dagster asset per report: a partition is a month, a run delivers its pack once."""

import dagster as dg

from pipelines import reports
from pipelines.resources import House
from pipelines.tables import key_of

MONTHS = dg.MonthlyPartitionsDefinition(start_date="2026-01-01", timezone="UTC")


def report_assets() -> list[dg.AssetsDefinition]:
    return [_asset(name) for name in reports.names()]


def _asset(name: str) -> dg.AssetsDefinition:
    kind = reports.load(name)

    @dg.asset(
        key=dg.AssetKey(["reports", name.replace("-", "_")]),
        deps=[key_of(table) for table in kind.tables],
        description=kind.title,
        group_name="reports",
        kinds={"pdf", "xlsx"},
        partitions_def=MONTHS,
        automation_condition=dg.AutomationCondition.on_cron(kind.schedule, "UTC")
        & dg.AutomationCondition.all_deps_blocking_checks_passed(),
    )
    def pack(context: dg.AssetExecutionContext, house: House) -> dg.MaterializeResult:  # type: ignore[type-arg]
        manifest = reports.build(house.settings(), house.lake(), name, context.partition_key[:7])
        files = {file: digest for file, _, digest in manifest.files}
        return dg.MaterializeResult(metadata={"content_id": manifest.content_id, "target": manifest.target, **files})

    return pack
