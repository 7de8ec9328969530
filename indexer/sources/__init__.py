"""What happens off chain, on its way into the lake. One source a file; this folder is the registry.

A source is a module here with ``TITLE``, ``TABLES`` (the contracts of what it fills), ``absent(settings)`` (why it has
nothing to give on this machine, or None) and ``pull(settings, lake, progress)``. Every pull is incremental: the cursor
stands in the same commit as the rows, so doing it twice does it once.
"""

import pkgutil
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Protocol, cast

from guelta.errors import BadSetting, SourceUnreachable
from guelta.lake import Lake
from guelta.lake.ops import QUARANTINE
from guelta.settings import Settings
from indexer.sources import tables
from indexer.sources.contract import Contract
from indexer.sources.landing import PullResult

__all__ = ["Progress", "PullResult", "Source", "pull", "sources"]

Progress = Callable[[str, int], None]  # what is being read, rows so far


class Source(Protocol):
    TITLE: str
    TABLES: Sequence[Contract]

    def absent(self, settings: Settings) -> str | None: ...

    def pull(self, settings: Settings, lake: Lake, progress: Progress | None) -> Iterator[PullResult]: ...


def sources() -> dict[str, Source]:
    """Every source by name, in alphabetical order."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        if hasattr(module, "pull"):
            found[info.name] = cast("Source", module)
    return found


def pull(
    settings: Settings, lake: Lake, names: Sequence[str] = (), *, progress: Progress | None = None
) -> list[PullResult]:
    """Bring the lake up to date with the named sources, or with all that are set up here.

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
    results: list[PullResult] = []
    for name in names or known:
        if why := known[name].absent(settings):
            if names:
                raise SourceUnreachable(f"source {name}: {why}")
            continue
        results += known[name].pull(settings, lake, progress)
    return results
