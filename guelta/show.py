"""How the door speaks: tables, JSON, progress bars, and where to look next."""

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

Note = Callable[..., None]
_WIDE = 200  # columns of a log or a pipe, where nobody told
_FOLLOWED = ("chain", "from_block", "to_block", "blocks", "finalized", "level", "reorgs")


def say(line: str) -> None:
    print(line, flush=True)


def aside(line: str) -> None:
    """What is said beside the result, so that a machine reads the result alone."""
    print(line, file=sys.stderr, flush=True)


def next_step(command: str) -> None:
    say(f"next: {command}")


def as_json(value: Any) -> None:
    say(json.dumps(value, indent=2, default=_jsonable))


def plain(value: Any) -> Any:
    """A dataclass as a dictionary of what JSON can say."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def rows(title: str, columns: Sequence[str], lines: Sequence[Mapping[str, Any]], *, as_json: bool = False) -> None:
    """A table for people, or the same rows as JSON."""
    if as_json:
        say(json.dumps([dict(line) for line in lines], indent=2, default=_jsonable))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = bool(lines) and all(isinstance(line.get(column), int | float | Decimal) for line in lines)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for line in lines:
        table.add_row(*(_cell(line.get(column)) for column in columns))
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def counts(title: str, what: str, numbers: Mapping[str, int], *, as_json: bool = False) -> None:
    rows(title, [what, "rows"], [{what: name, "rows": n} for name, n in numbers.items()], as_json=as_json)


def told(found: Any, in_json: bool) -> None:
    """What can say itself, in lines for people or as JSON."""
    if in_json:
        as_json(found.as_json())
        return
    for line in found.lines():
        say(line)


def queried(found: Any, form: str) -> None:
    """The rows of somebody's SQL as a table, CSV or JSON; a cut is said where it spoils no output."""
    columns, lines = found.table.column_names, found.table.to_pylist()
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[_text(line[name]) for name in columns] for line in lines])
    else:
        rows(f"{len(lines):,} rows in {found.seconds:.2f} s", columns, lines, as_json=form == "json")
    if found.truncated:
        print(f"cut at {len(lines):,} rows; raise --limit, or aggregate", file=sys.stderr)


def answer(found: Any, form: str) -> None:
    """An ``Answer`` of the metric layer as a table, CSV, JSON or its SQL."""
    if form == "sql":
        say(found.sql)
    elif form == "csv":
        print(found.frame.write_csv(), end="")
    elif form == "json":
        facts = {"rows": found.frame.to_dicts(), "provenance": found.provenance, "as_of": plain(found.as_of)}
        as_json(facts | {"gates": plain(found.gates), "partial": found.partial, "notes": found.notes})
    else:
        rows(", ".join(m.title for m in found.metrics), found.frame.columns, found.frame.to_dicts())
        for note in found.notes:
            say(f"note: {note}")


def followed(results: Sequence[Any], derived: Sequence[Any], in_json: bool) -> None:
    """What an indexing run did, per chain, and which blocks are incomplete."""
    if in_json:
        as_json({"chains": [plain(r) for r in results], "tables": [plain(d) for d in derived]})
        return
    lines = [{name: getattr(result, name) for name in _FOLLOWED} | {"logs": result.rows} for result in results]
    rows("Indexed", [*_FOLLOWED, "logs"], lines)
    for result in results:
        for number in result.incomplete:
            say(f"incomplete: {result.chain} {number}: header kept, receipts missing, no rows")
        for number, why in result.unproven:
            say(f"not proven: {result.chain} {number}: {why}; kept and labelled")
    decoded = sum(getattr(d, "decoded", 0) for d in derived)
    quarantined = sum(getattr(d, "quarantined", 0) for d in derived)
    say(f"{decoded:,} events decoded, {quarantined:,} in raw.quarantine")
    next_step("guelta build")


def pulled(results: Sequence[Any], in_json: bool) -> None:
    """What came in from each source, and whether something was refused."""
    if in_json:
        as_json([plain(r) for r in results])
    else:
        rows("Pulled", ["source", "table", "rows", "duplicates", "quarantined"], [plain(r) for r in results])
        for note in dict.fromkeys(note for r in results for note in r.notes):
            say(f"note: {note}")
        next_step("guelta build")
    if any(r.quarantined for r in results):
        why = "some rows were refused: guelta check says why; they are in ops.quarantine and nothing is lost"
        print(why, file=sys.stderr if in_json else sys.stdout)


def released(done: Any, in_json: bool) -> None:
    """What left the quarantine, and what stays there for which reason."""
    if in_json:
        as_json(plain(done))
        return
    say(f"{done.released:,} released from ops.quarantine, {done.rows:,} of them new in {done.table}")
    counts("Still refused", "rule", done.refused)
    next_step("guelta build" if done.rows else "guelta status")


def built(tables: Sequence[Any], in_json: bool) -> None:
    if in_json:
        as_json([plain(one) for one in tables])
        return
    done = [one for one in tables if not one.skipped]
    rows("Built", ["name", "rows", "seconds"], [plain(one) for one in done])
    say(f"{len(done)} built, {len(tables) - len(done)} unchanged")
    next_step("guelta check")


def counted(note: Note) -> Callable[[object], None]:
    """A progress of things that are done one by one, each with a name."""
    done = 0

    def one(thing: object) -> None:
        nonlocal done
        done += 1
        note(done, None, str(getattr(thing, "name", "")))

    return one


@contextmanager
def progress(unit: str) -> Iterator[Note]:
    """``note(done, total, text)``: a bar on a terminal, a line every ten seconds elsewhere."""
    if not sys.stderr.isatty():
        yield _lines(unit)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def note(done: int, total: int | None = None, text: str = "") -> None:
            bar.update(task, completed=done, total=total, description=text[:34])

        yield note


def wait(*children: "subprocess.Popen[bytes]") -> None:
    """Sleep until Ctrl-C or until one of the children ends by itself."""
    while all(child.poll() is None for child in children):
        time.sleep(0.5)


def _lines(unit: str) -> Note:
    last = time.monotonic()

    def note(done: int, total: int | None = None, text: str = "") -> None:
        nonlocal last
        if time.monotonic() - last >= 10:  # seconds between lines in a log
            last = time.monotonic()
            print(f"{text} {done:,} of {total:,} {unit}" if total else f"{text} {done:,} {unit}", file=sys.stderr)

    return note


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return str(_jsonable(value)) if isinstance(value, bytes | datetime) else str(value)


def _text(value: Any) -> str:
    if value is None or (isinstance(value, str | int | float | Decimal) and not isinstance(value, bool)):
        return "" if value is None else str(value)
    return str(_jsonable(value)) if isinstance(value, bytes | date) else json.dumps(value, default=_jsonable)


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)  # exact: a JSON number would lose digits
    if isinstance(value, set | frozenset | tuple):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
