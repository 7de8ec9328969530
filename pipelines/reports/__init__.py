"""A report is a pure function of a frozen lake: (tables at pinned versions, period) -> pages, sheets and their totals.

One file in this folder is one report: ``title``, the ``tables`` it reads, ``schedule`` (cron, UTC) and
``make(read, period)``. Writers are shared. The first build of a period pins the versions; every later build reads the
same pin, so its files are the same bytes.
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from guelta.errors import BadSetting, GateRefused

if TYPE_CHECKING:
    import polars as pl

    from guelta.lake import Lake
    from guelta.settings import Settings
    from pipelines.reports.deliver import Manifest

Read = Callable[[str], "pl.DataFrame"]  # a table of the lake, at the pinned version
_WRITERS = {"write", "page", "deliver"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a sheet. ``kind``: text | count | amount (exact base units, with the token's decimals) | hash."""

    name: str
    title: str
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table of a report. An ``amount`` cell is (base units, decimals, symbol); the writers show both forms."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    title: str
    period: str
    question: str
    figures: tuple[tuple[str, str, str], ...]  # label, value, remark: the strip at the top
    sheets: tuple[Sheet, ...]
    controls: dict[str, str]  # control totals as exact text
    demo: bool
    definitions: tuple[tuple[str, str], ...] = ()
    cutoffs: tuple[tuple[str, str], ...] = ()  # chain, block and hash
    sources: tuple[tuple[str, str], ...] = field(default=())  # table, version


class Kind(Protocol):
    """What a module of this folder offers."""

    title: str
    tables: tuple[str, ...]
    schedule: str

    def make(self, read: Read, period: str) -> Report: ...


def names() -> list[str]:
    """The reports there are, as they are written on the command line."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.replace("_", "-") for name in found if name not in _WRITERS)


def load(name: str) -> Any:
    """The module of a report.

    Raises:
        BadSetting: no report of that name.
    """
    if name.replace("_", "-") not in names():
        raise BadSetting(f"expected a report of {', '.join(names())}, found {name!r}")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")


def build(settings: "Settings", lake: "Lake", name: str, period: str, to: str | None = None) -> "Manifest":
    """Build a report of a closed month from its pin, and deliver it once.

    Raises:
        BadSetting: an unknown report, or a month that is not over in the data.
        GateRefused: a table it reads did not pass its gates; nothing is rendered.
    """
    from guelta.decisions import Decisions
    from pipelines.reports.deliver import deliver
    from quality.status import status

    kind = load(name)
    state = status(lake)
    _closed(period, state.last_closed_period)
    refused = [rule for table in kind.tables for rule in state.failing_gates(table)]
    if refused:
        raise GateRefused(
            f"{name} for {period} was not built: {', '.join(refused)} failed; mend the data, guelta build, try again",
            tuple(refused),
        )
    book = Decisions(settings.decisions)
    try:
        pin = _pinned(book, lake, name, period, kind.tables)
        report = kind.make(_reader(lake, pin), period)
        return deliver(book, report, name, pin, to or str(settings.home / "reports"))
    finally:
        book.close()


def month_of(period: str) -> tuple[date, date]:
    """First and last day of ``YYYY-MM``."""
    try:
        first = date.fromisoformat(f"{period}-01")
    except ValueError as error:
        raise BadSetting(f"expected a month like 2026-10, found {period!r}") from error
    return first, (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _closed(period: str, last: str | None) -> None:
    month_of(period)
    if last is None or period > last:
        raise BadSetting(f"{period} is not over in the finalized data; the last closed period is {last or 'none yet'}")


def _pinned(book: Any, lake: "Lake", name: str, period: str, tables: Sequence[str]) -> dict[str, int]:
    from datetime import UTC, datetime

    pin = lake.pin(tables)
    event = book.append(
        "pin",
        f"{name}|{period}",
        "pin",
        {"lake": lake.id, "versions": pin},
        actor="guelta report",
        at=datetime.now(UTC),
        idem_key=f"pin|{lake.id}|{name}|{period}",
        first_holds=True,
    )
    return dict(event.payload["versions"])


def _reader(lake: "Lake", pin: dict[str, int]) -> Read:
    import polars as pl

    def read(table: str) -> "pl.DataFrame":
        frame = pl.from_arrow(lake.table(table).read(version=pin[table]))
        assert isinstance(frame, pl.DataFrame)
        return frame

    return read
