"""What happens off chain, on its way into the lake. One source a file; this folder is the registry.

A source is a module here with ``TITLE``, ``TABLES`` (the contracts of what it fills), ``absent(settings)`` (why it has
nothing to give on this machine, or None) and ``pull(settings, lake, visit, progress)``. Every pull is incremental: the
cursor stands in the same commit as the rows, so doing it twice does it once.
"""

import pkgutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Protocol, cast

from guelta.errors import BadSetting, SourceUnreachable
from guelta.lake import Lake
from guelta.lake.ops import QUARANTINE
from guelta.settings import Settings
from indexer.devnet.story import clock
from indexer.sources import tables
from indexer.sources.contract import Contract
from indexer.sources.landing import PullResult, Visit

__all__ = ["Progress", "PullResult", "Source", "Visit", "present", "pull", "sources"]

Progress = Callable[[str, int], None]  # what is being read, rows so far


class Source(Protocol):
    TITLE: str
    TABLES: Sequence[Contract]

    def absent(self, settings: Settings) -> str | None: ...

    def pull(self, settings: Settings, lake: Lake, visit: Visit, progress: Progress | None) -> Iterator[PullResult]: ...


def sources() -> dict[str, Source]:
    """Every source by name, in alphabetical order."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        if hasattr(module, "pull"):
            found[info.name] = cast("Source", module)
    return found


def present(lake: Lake, now: datetime) -> datetime:
    """Now in the lake's world: this machine's clock may stand before the end of a demo's story."""
    return max(now, clock.moment(clock.HOURS * 3_600)) if lake.world == "demo" else now


def pull(
    settings: Settings,
    lake: Lake,
    names: Sequence[str] = (),
    *,
    progress: Progress | None = None,
    now: datetime | None = None,
    full: bool = False,
) -> list[PullResult]:
    """Bring the lake up to date with the named sources, or with all that are set up here.

    Args:
        settings: where the sources are.
        lake: where the rows go.
        names: of sources; none is all.
        progress: called with what is being read and the rows so far.
        now: when this pull begins; rows that claim to be of a later time wait in quarantine. Default: the clock.
        full: read everything again, whatever the cursors say; rows that are here already stay as they are.

    Raises:
        BadSetting: a name that is no source.
        SourceUnreachable: a named source has nothing to read, or a database does not answer.
    """
    known = sources()
    if unknown := sorted(set(names) - set(known)):
        raise BadSetting(f"no source is called {', '.join(unknown)}; there are {', '.join(known)}")
    for contract in tables.ALL:  # models read them also where a source never had a row
        lake.create(contract.spec)
    lake.create(QUARANTINE)
    visit = Visit(present(lake, now or datetime.now(UTC)), full)
    results: list[PullResult] = []
    for name in names or known:
        if why := known[name].absent(settings):
            if names:
                raise SourceUnreachable(f"source {name}: {why}")
            continue
        results += known[name].pull(settings, lake, visit, progress)
    return results
