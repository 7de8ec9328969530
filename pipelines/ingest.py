"""What the indexer writes, as Dagster sees it: external raw tables, and off-chain sources that are pulled."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from indexer.sources import Source, pull, sources
from models import Model
from pipelines.resources import House
from pipelines.tables import POOL, key_of


def raw_specs(models: list[Model]) -> list[dg.AssetSpec]:
    """Every raw table a model reads and no source here pulls: written by ``guelta follow``, its own process."""
    pulled = {table for source in sources().values() for table in _tables(source)}
    made = {model.name for model in models}
    read = {name for model in models for name in model.upstream} - made - pulled
    return [dg.AssetSpec(key_of(name), group_name="raw", kinds={"delta"}) for name in sorted(read)]


def source_assets() -> list[dg.AssetsDefinition]:
    """One multi-asset per off-chain source; where two sources write one table, the first by name shows it."""
    shown: set[str] = set()
    made = []
    for name, source in sources().items():
        tables = [table for table in _tables(source) if table not in shown]
        shown.update(tables)
        made += [_source(name, source.TITLE, tables)] if tables else []
    return made


def _tables(source: Source) -> list[str]:
    return [contract.spec.name for contract in source.TABLES]


def _source(name: str, title: str, tables: list[str]) -> dg.AssetsDefinition:

    @dg.multi_asset(
        name=f"pull_{name}",
        specs=[dg.AssetSpec(key_of(t), group_name="sources", description=title, kinds={"delta"}) for t in tables],
        pool=POOL,
        retry_policy=dg.RetryPolicy(max_retries=2, delay=5),
    )
    def source(house: House) -> Iterator[Any]:
        settings = house.settings()
        results = {result.table: result for result in pull(settings, house.lake(), [name])}
        for table in tables:
            result = results.get(table)
            metadata = {"rows": result.rows, "quarantined": result.quarantined} if result else {"rows": 0}
            yield dg.MaterializeResult(asset_key=key_of(table), metadata=metadata)

    return source
