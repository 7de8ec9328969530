"""Whether this installation can work: machine, packages, lake, decisions, endpoints; each with what to do about it."""

import importlib.metadata
import importlib.util
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from guelta.errors import Fatal, GueltaError, Retryable
from guelta.lake import Lake
from guelta.settings import Settings, masked

State = Literal["ok", "hint", "data", "setting", "unreachable"]
_EXIT = {"setting": 2, "unreachable": 3, "data": 1}  # the first that occurs decides
_ROOM = 5 * 10**9  # bytes that should be free
_TOLD = ("deltalake", "duckdb", "polars", "pyarrow", "web3", "dagster", "streamlit", "great-expectations", "sqlalchemy")
_CHROMIUM = ("chromium", "google-chrome", "chromium-browser")


@dataclass(frozen=True, slots=True)
class Finding:
    area: str  # machine, lake, decisions, chains, sources, tools
    what: str
    state: State
    said: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        states = {finding.state for finding in self.findings}
        return next((code for state, code in _EXIT.items() if state in states), 0)

    def as_json(self) -> dict[str, Any]:
        return {"exit_code": self.exit_code, "findings": [asdict(finding) for finding in self.findings]}

    def lines(self) -> list[str]:
        sick = sum(finding.state in _EXIT for finding in self.findings)
        told = [
            f"{f.state if f.state != 'setting' else 'fault':<12} {f.area:<10} {f.what:<22} {f.said}"
            for f in self.findings
        ]
        return [*told, f"{sick} of {len(self.findings)} need your hand" if sick else "all is well"]


def doctor(settings: Settings) -> Diagnosis:
    """Look at everything and change nothing: what is not made yet is said, not made."""
    parts: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _machine,
        _lake,
        _decisions,
        _chains,
        _sources,
        _tools,
    )
    return Diagnosis(tuple(finding for part in parts for finding in part(settings)))


def _machine(settings: Settings) -> Iterator[Finding]:
    version = platform.python_version()
    fits = (3, 11) <= tuple(map(int, version.split(".")[:2])) <= (3, 12)
    yield Finding("machine", "python", "ok" if fits else "setting", f"{version}; expected 3.11 or 3.12")
    missing = []
    versions = []
    for name in _TOLD:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    said = f"missing: {', '.join(missing)}; install with uv sync" if missing else ", ".join(versions)
    yield Finding("machine", "packages", "setting" if missing else "ok", said)
    place = next(folder for folder in (settings.home.absolute(), *settings.home.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    said = f"{free / 10**9:,.1f} GB free at {place}"
    enough = free >= _ROOM
    yield Finding(
        "machine", "disk", "ok" if enough else "hint", said if enough else f"{said}; free some, 5 GB is little"
    )


def _lake(settings: Settings) -> Iterator[Finding]:
    there = "://" in settings.lake or (Path(settings.lake).is_dir() and any(Path(settings.lake).iterdir()))
    if not there and not Path(settings.lake).is_file():
        yield Finding("lake", settings.lake, "hint", "not made yet; guelta demo or guelta follow makes it")
        return
    try:
        lake = Lake(settings.lake, storage=settings.storage, memory=settings.memory, threads=settings.threads)
        names = lake.tables()
    except (GueltaError, OSError) as error:
        yield Finding("lake", settings.lake, "setting", str(error))
        return
    yield Finding("lake", settings.lake, "ok", f"{lake.world} data, {len(names)} tables")
    sick = 0
    for name in names:
        try:
            false = lake.table(name).decimal_bounds()
        except (Fatal, OSError, ValueError) as error:
            sick += 1
            yield Finding("lake", name, "setting", str(error))
            continue
        if false:
            sick += 1
            said = (
                f"decimal bounds in the log ({', '.join(false)}) may be false and hide rows; copy it into a new table"
            )
            yield Finding("lake", name, "data", said)
    if names and not sick:
        yield Finding("lake", "statistics", "ok", f"no decimal bounds in {len(names)} tables")


def _decisions(settings: Settings) -> Iterator[Finding]:
    from guelta.decisions import Decisions

    what, file = masked(settings.decisions), settings.decisions.removeprefix("sqlite:///")
    if settings.decisions.startswith("sqlite:///") and not Path(file).is_file():
        yield Finding("decisions", what, "hint", "not made yet; the first review, close or delivery makes it")
        return
    try:
        book = Decisions(settings.decisions)
    except Retryable as error:
        yield Finding("decisions", what, "unreachable", str(error))
        return
    except Exception as error:  # noqa: BLE001  # SQLAlchemy has many ways to say that a URL means nothing
        yield Finding("decisions", what, "setting", f"{type(error).__name__}: names no database known here")
        return
    try:
        broken = book.verify()
        yield Finding("decisions", what, "data" if broken else "ok", broken or "answers; the hash chain holds")
    finally:
        book.close()


def _chains(settings: Settings) -> Iterator[Finding]:
    from indexer.doctor import probe

    if not settings.rpc:
        yield Finding(
            "chains", "none configured", "hint", "set rpc.NAME in guelta.toml or GUELTA_RPC_NAME to follow one"
        )
        return
    for found in probe(settings):
        warning = found.warning()
        said = f"{found.url} {found.said()}" + (f"; {warning}" if warning else "")
        yield Finding("chains", found.chain, _of(found.error) if found.error else "hint" if warning else "ok", said)


def _sources(settings: Settings) -> Iterator[Finding]:
    from indexer.doctor import waiting

    for name, why in waiting(settings).items():
        state: State = "ok" if why is None else "hint" if isinstance(why, str) else _of(why)
        yield Finding("sources", name, state, "ready" if why is None else str(why))


def _tools(_: Settings) -> Iterator[Finding]:
    """What only some commands and tests use."""
    browser = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    yield _tool("chromium", browser, "browser tests skip; install it or name one in GUELTA_CHROMIUM")
    yield _tool("anvil", shutil.which("anvil"), "tests against a real node skip; npm install -g @foundry-rs/anvil")
    revm = importlib.util.find_spec("pyrevm")
    yield _tool(
        "pyrevm", importlib.metadata.version("pyrevm") if revm else None, "no EVM here: the demo serves a recording"
    )


def _tool(name: str, found: str | None, otherwise: str) -> Finding:
    return Finding("tools", name, "ok" if found else "hint", found or otherwise)


def _of(error: GueltaError) -> State:
    return "setting" if error.exit_code == 2 else "unreachable" if isinstance(error, Retryable) else "data"
