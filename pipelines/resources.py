"""What a run is handed: the settings read at the door, and the lake they name."""

import dagster as dg

from guelta.lake import Lake
from guelta.settings import Settings, load


class House(dg.ConfigurableResource):  # type: ignore[type-arg]  # Dagster's own generic, without a type to give
    """Settings and lake of one process. ``config`` names a guelta.toml; default is the working folder's."""

    config: str = ""

    def settings(self) -> Settings:
        from pathlib import Path

        return load(Path(self.config) if self.config else None)

    def lake(self) -> Lake:
        settings = self.settings()
        return Lake(settings.lake, storage=settings.storage, memory=settings.memory, threads=settings.threads)
