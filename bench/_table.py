"""How a measurement speaks: one table on the screen, one JSON file in build/bench."""

import json
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Measure:
    """One claim. ``ratio`` is ours over the peer's (or the peer's over ours, as ``measure`` says)."""

    measure: str
    ours: float
    peer: str | None = None
    peer_version: str | None = None
    ratio: float | None = None
    goal: str | None = None
    met: bool | None = None


def publish(name: str, rows: list[Measure]) -> None:
    """Print the rows and write ``build/bench/NAME.json``."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"bench {name}", title_justify="left", box=None, header_style="bold")
    for column in ("measure", "ours", "peer", "ratio", "goal", "met"):
        table.add_column(column, justify="right" if column in {"ours", "ratio"} else "left")
    for row in rows:
        peer = f"{row.peer} {row.peer_version or ''}".strip() if row.peer else ""
        met = "" if row.met is None else "yes" if row.met else "NO"
        table.add_row(
            row.measure, f"{row.ours:,.3f}", peer, "" if row.ratio is None else f"{row.ratio:,.2f}", row.goal or "", met
        )
    Console(width=140).print(table)
    folder = Path("build/bench")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


@contextmanager
def stopwatch() -> Iterator[Callable[[], tuple[float, float]]]:
    """Wall seconds and CPU seconds of this process and its ended children."""
    before = _cpu()
    started = time.perf_counter()
    yield lambda: (time.perf_counter() - started, _cpu() - before)


def _cpu() -> float:
    usages: list[Any] = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
