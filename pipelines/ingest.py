"""What the indexer writes, as Dagster sees it: external raw tables, and off-chain sources that are pulled."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from indexer import protocols, sources
from models import Model
from pipelines.resources import House
from pipelines.tables import POOL, key_of


def raw_specs(models: list[Model]) -> list[dg.AssetSpec]:
    """Every raw table a model reads and no source here pulls: written by ``guelta follow``, its own process."""
    pulled = {table for name in sources.names() for table in sources.tables(name)}
    made = {model.name for model in models}
    read = {name for model in models for name in model.upstream} - made - pulled
    titles = {table: title for table, title in protocols.titles().items() if table in read}
    return [
        dg.AssetSpec(key_of(name), group_name="raw", description=titles.get(name), kinds={"delta"})
        for name in sorted(read)
    ]


def source_assets() -> list[dg.AssetsDefinition]:
    """One multi-asset per off-chain source."""
    return [_source(name) for name in sources.names()]


def _source(name: str) -> dg.AssetsDefinition:
    tables = sources.tables(name)

    @dg.multi_asset(
        name=f"pull_{name}",
        specs=[dg.AssetSpec(key_of(table), group_name="sources", kinds={"delta"}) for table in tables],
        pool=POOL,
        retry_policy=dg.RetryPolicy(max_retries=2, delay=5),
    )
    def pull(house: House) -> Iterator[Any]:
        settings = house.settings()
        results = {result.table: result for result in sources.pull(settings, house.lake(), [name])}
        for table in tables:
            result = results.get(table)
            metadata = {"rows": result.rows, "quarantined": result.quarantined} if result else {"rows": 0}
            yield dg.MaterializeResult(asset_key=key_of(table), metadata=metadata)

    return pull
