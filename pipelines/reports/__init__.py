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
    from models import Model
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
        GateRefused: a table it reads, or one of those it is made from, did not pass its gates or was not made again
            since what it is made from changed; nothing is rendered.
    """
    from guelta.decisions import Decisions
    from pipelines.reports.deliver import deliver
    from quality.status import status

    kind = load(name)
    state = status(lake)
    _closed(period, state.last_closed_period)
    made = _made_from(kind.tables)
    read = {*kind.tables, *(model.name for model in made), *(up for model in made for up in model.upstream)}
    refused = [rule for table in sorted(read) for rule in state.failing_gates(table)]
    if refused:
        raise GateRefused(
            f"{name} for {period} was not built: {', '.join(refused)} failed; mend the data, guelta build, try again",
            tuple(refused),
        )
    if stale := _behind(lake, made, month_of(period)[1]):
        raise GateRefused(f"{name} for {period} was not built: {'; '.join(stale)}; guelta build, then try again")
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


def _made_from(tables: Sequence[str]) -> "list[Model]":
    """The models of these tables and of everything they are made from, in building order."""
    import quality

    models = quality.tables()
    wanted = set(tables)
    for model in reversed(models):
        if model.name in wanted:
            wanted |= set(model.upstream)
    return [model for model in models if model.name in wanted]


def _behind(lake: "Lake", models: "Sequence[Model]", until: date) -> list[str]:
    """Which tables do not say what the tables they are made from say now, each as a sentence.

    Chains and sources move all the time: of raw tables only what concerns days up to ``until`` counts.
    """
    made = {model.name for model in models}
    told = {}
    for model in models:
        cursor = lake.table(model.name).cursor(f"build:{model.name}") if lake.exists(model.name) else None
        if cursor is None:
            return [f"{model.name} was never made"]
        for name in model.upstream:
            if not lake.exists(name):
                return [f"{model.name} was made from {name}, which is gone"]
            if _moved(lake, name, cursor.meta["upstream"].get(name), None if name in made else until):
                told[model.name] = f"{model.name} was made before {name} last changed"
                break
    if told:
        told = {name: told[name] for name in _differing(lake, models, list(told))}
    return list(told.values())


def _moved(lake: "Lake", name: str, since: int | None, until: date | None) -> bool:
    table = lake.table(name)
    if table.version() == since:
        return False
    days = table.changed(since)
    if until is None:
        return days is None or bool(days)
    dated = "day" in table.spec.schema.names
    return dated and (days is None or any(day <= until for day in days))


def _differing(lake: "Lake", models: "Sequence[Model]", names: Sequence[str]) -> list[str]:
    """Those a build would make other than they stand: a table that came out the same keeps its old cursor."""
    from models.build import build

    found: list[str] = []

    def compare(model: "Model", staged: Any, _: object) -> None:
        table = lake.table(model.name)
        # A table with days notes in its cursor even that nothing changed: had it been made, it would not be behind.
        comparable = "day" not in staged.schema.names and set(staged.schema.names) == set(table.spec.schema.names)
        if not (comparable and table.conform(staged).equals(table.read())):
            found.append(model.name)
            raise GateRefused(f"{model.name} would be other than it stands")

    try:
        build(lake, models, selection=names, gate=compare)
    except GateRefused:
        return found or list(names)
    return []


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
