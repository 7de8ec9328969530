"""The door: every command is a sentence, prints what it did, and says where to look next.

Exit codes: 0 done, 1 the data or a gate says no, 2 usage or configuration, 3 a source is unreachable. Heavy libraries
are imported inside the commands, so that ``guelta --help`` answers at once.
"""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guelta import show
from guelta.errors import BadSetting, GueltaError

if TYPE_CHECKING:
    from guelta.lake import Lake
    from guelta.settings import Settings

app = typer.Typer(
    name="guelta",
    help="Who earned what, from which call, through which datasets and models, and was it paid.",
    epilog="Start with [bold]guelta demo[/bold]: a whole small AI economy, indexed, computed, checked and shown.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
Names = Annotated[list[str] | None, typer.Argument()]


def main() -> None:
    """Run a command and leave with its exit code."""
    code = run()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: Great Expectations keeps DuckDB's types alive, and their binding prints a page of leaks at teardown.
    os._exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; one of our own errors becomes a sentence and its exit code."""
    try:
        app(arguments)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except GueltaError as error:
        print(f"guelta: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("guelta: stopped; what was committed stays, run the same command to go on", file=sys.stderr)
        return 130
    return 0


@app.command(rich_help_panel="See it run")
def demo(
    seed: Annotated[int, typer.Option(help="The same seed tells the same story, to the last hash.")] = 7,
    scale: Annotated[float, typer.Option(help="Size of the economy; 1.0 is 100,000 calls.")] = 1.0,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Open the dashboards at the end.")] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw an earlier demo of another seed away.")] = False,
) -> None:
    """The whole story on an embedded chain: deploy, live, index, build, check, reconcile; then the dashboards."""
    from guelta.demo import tell

    tell(_settings(), seed=seed, scale=scale, serve=serve, fresh=fresh)


@app.command(rich_help_panel="Bring data in")
def follow(
    chains: Annotated[list[str] | None, typer.Argument(help="Names in chains.toml; default: all with an RPC.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop at the head instead of waiting for new blocks.")] = False,
    until: Annotated[int | None, typer.Option(help="Stop after this block.")] = None,
    as_json: Json = False,
) -> None:
    """Index chains and decode their events: backfill, then tail. Stops cleanly on Ctrl-C, goes on where it was."""
    from guelta.decisions import Decisions
    from indexer.derive import DeriveResult, derive, together
    from indexer.follow import follow as run

    settings = _settings()
    lake = _lake(settings)
    with ExitStack() as held, show.progress("blocks") as note:
        book = Decisions(settings.decisions)
        for name in sorted(chains or settings.rpc):
            held.enter_context(book.lease(f"follow:{settings.lake}:{name}"))
        derived: list[DeriveResult] = []
        results = run(
            settings,
            lake,
            chains or (),
            once=once or until is not None,
            until=until,
            progress=lambda _, done, of, text: note(done, of, text),
            committed=lambda: derived.extend(derive(lake)),
        )
        derived += derive(lake)  # what an earlier run left when it was killed
    show.followed(results, together(derived), as_json)


@app.command(rich_help_panel="Bring data in")
def replay(
    files: Annotated[list[Path], typer.Argument(help="Recorded blocks, JSON lines, plain or .gz.")],
    follow_too: Annotated[bool, typer.Option("--follow", help="Index the recorded chains while serving them.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Stop when everything recorded is indexed.")] = False,
    as_json: Json = False,
) -> None:
    """Serve recorded real blocks as JSON-RPC chains, one per chain id; with --follow, index them.

    Recordings go into a lake of their own (HOME/recorded), because a lake never mixes demo data with real chains.
    """
    from guelta.demo import replayed

    replayed(
        _settings(),
        files,
        follow_too=follow_too,
        once=once,
        show_result=lambda r, d: show.followed(r, d, as_json),
        say=show.aside if as_json else show.say,
    )


@app.command(rich_help_panel="Bring data in")
def derive(
    anew: Annotated[list[str] | None, typer.Option(help="Drop this event table first; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Decode the logs that are here into event tables, after a protocol was added or its ABI edited; asks no node."""
    from indexer.derive import derive as run

    show.followed([], run(_lake(_settings()), anew=anew or ()), as_json)


@app.command(rich_help_panel="Bring data in")
def pull(
    sources: Annotated[list[str] | None, typer.Argument(help="Names in indexer/sources; default: all.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Read everything again; what is here stays as it is.")] = False,
    as_json: Json = False,
) -> None:
    """Pull off-chain sources: the platform's database, the gateway's call logs, label sets, traces."""
    from indexer.sources import pull as run

    settings = _settings()
    with show.progress("rows") as note:
        results = run(
            settings,
            _lake(settings),
            sources or (),
            progress=lambda what, rows: note(rows, None, what),
            now=datetime.now(UTC),
            full=full,
        )
    show.pulled(results, as_json)


@app.command(rich_help_panel="Bring data in")
def release(
    table: Annotated[str, typer.Argument(help="An off-chain raw table, for example raw.platform_submissions.")],
    rule: Annotated[str | None, typer.Option(help="Only rows that this rule refused.")] = None,
    as_json: Json = False,
) -> None:
    """Judge refused rows again after their contract was mended; those that pass enter the table, once."""
    from indexer.release import release as run

    show.released(run(_lake(_settings()), table, rule=rule, today=datetime.now(UTC).date()), as_json)


@app.command(rich_help_panel="Compute")
def build(
    selection: Annotated[list[str] | None, typer.Argument(help="Tables, folders, +table with all before it.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Rebuild every day, not only what changed.")] = False,
    as_json: Json = False,
) -> None:
    """Build what changed: every model whose upstreams moved, behind its gates."""
    import quality
    from models.build import build as run

    settings = _settings()
    lake = _lake(settings)
    gate = quality.gate(lake)
    with show.progress("tables") as note:
        told = show.counted(note)
        built = run(lake, quality.tables(), selection=selection or (), gate=gate, full=full, progress=told)
    show.built(built, as_json)


@app.command(rich_help_panel="Compute")
def digest(tables: Names = None, as_json: Json = False) -> None:
    """A content digest per table: equal content, equal digest, whatever the files look like."""
    from models.digest import digest as run

    lake = _lake(_settings())
    found = run(lake, tables or None)
    if as_json:
        show.as_json(found)
    else:
        show.rows("Digests", ["table", "digest"], [{"table": k, "digest": v} for k, v in found.items()])


@app.command(rich_help_panel="Believe it")
def check(tables: Names = None, as_json: Json = False) -> None:
    """Run every rule on the published tables and verify the chain of decisions; exit 1 when one fails."""
    from guelta.decisions import Decisions
    from quality.check import check as run

    settings = _settings()
    report = run(_lake(settings), tables or ())
    book = Decisions(settings.decisions)
    broken = book.verify()
    book.close()
    if as_json:
        show.as_json({**show.plain(report), "decisions": broken or "chain holds"})
    else:
        show.say("\n".join(report.lines()))
        show.say(broken or "decisions: the hash chain holds")
    if broken or not report.passed:
        raise typer.Exit(1)


@app.command(rich_help_panel="Believe it")
def reconcile(
    period: Annotated[str, typer.Option(help="A month (2026-10), or all.")] = "all",
    as_json: Json = False,
) -> None:
    """Earned, instructed, settled, booked: matched to the last unit; exit 1 while an unexplained break is open."""
    from quality.reconcile import summary

    found = summary(_lake(_settings()), period)
    show.told(found, as_json)
    if not as_json:
        named = f"guelta report payout-reconciliation --period {period}"
        show.next_step(named if period != "all" else "guelta explain RECON_KEY")
    raise typer.Exit(found.exit_code)


@app.command(rich_help_panel="Believe it")
def audit(
    chain: Annotated[str, typer.Argument(help="A chain name or id.")],
    first: Annotated[int | None, typer.Option("--from", help="First block.")] = None,
    last: Annotated[int | None, typer.Option("--to", help="Last block.")] = None,
    as_json: Json = False,
) -> None:
    """Re-verify indexed blocks against their own headers: hash, links, bloom, and the level they reached."""
    from indexer.audit import audit as run

    settings = _settings()
    rows = [show.plain(row) for row in run(settings, _lake(settings), chain, first, last)]
    show.rows(f"Audit of {chain}", list(rows[0]) if rows else [], rows, as_json=as_json)


@app.command(rich_help_panel="Ask")
def ask(
    metrics: Annotated[list[str], typer.Argument(help="Metric names; guelta ask --list shows them.")] = [],  # noqa: B006
    by: Annotated[str, typer.Option(help="Dimensions, comma-separated: chain,token,asset,…")] = "",
    grain: Annotated[str | None, typer.Option(help="day, week or month.")] = None,
    since: Annotated[str | None, typer.Option(help="First day, YYYY-MM-DD.")] = None,
    until: Annotated[str | None, typer.Option(help="Last day, YYYY-MM-DD.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="dimension=value; may be repeated.")] = None,
    compare: Annotated[str | None, typer.Option(help="previous: the equal-length window before.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most this many rows; said when it cuts.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List every metric with its dimensions.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL instead of running it.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Json = False,
) -> None:
    """Any metric by any dimension, with the SQL and the exact integers."""
    import quality
    from models import metrics as layer

    lake = _lake(_settings())
    if listing or not metrics:
        known = [(entry.metric, entry.dimensions) for entry in layer.catalogue(lake, quality.tables())]
        rows = [{"metric": m.name, "unit": m.unit, "by": ", ".join(by), "title": m.title} for m, by in known]
        show.rows("Metrics", ["metric", "unit", "by", "title"], rows, as_json=as_json)
        return
    answer = layer.ask(
        lake,
        metrics,
        by=[part.strip() for part in by.split(",") if part.strip()],
        grain=grain,
        since=_day(since),
        until=_day(until),
        where=dict(_pair(text) for text in where or []),
        compare=compare,
        limit=limit,
    )
    show.answer(answer, "sql" if sql else "csv" if as_csv else "json" if as_json else "table")


@app.command(rich_help_panel="Ask")
def explain(
    identity: Annotated[str, typer.Argument(help="An earning, payment, payout, recon key or transaction.")],
    as_json: Json = False,
) -> None:
    """From an amount down to the logs, terms and rounding that made it."""
    from models.explain import explain as run

    show.told(run(_lake(_settings()), identity), as_json)


@app.command(rich_help_panel="Ask")
def sql(
    text: Annotated[str, typer.Argument(help="One SELECT over marts, in quotes; or EXPLAIN of one.")],
    limit: Annotated[int, typer.Option(help="At most this many rows; said when it cuts.")] = 10_000,
    seconds: Annotated[float, typer.Option(help="Stopped after this.")] = 30.0,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Json = False,
) -> None:
    """Your own SQL, read-only, in a process that sees the marts and nothing else; written down in HOME/sql.jsonl."""
    from guelta.lake.sandbox import query

    settings = _settings()
    found = query(_lake(settings), text, limit=limit, seconds=seconds, log=settings.home / "sql.jsonl")
    show.queried(found, "csv" if as_csv else "json" if as_json else "table")


@app.command(rich_help_panel="Report")
def report(
    name: Annotated[str, typer.Argument(help="A report of pipelines/reports, for example payout-reconciliation.")],
    period: Annotated[str, typer.Option(help="A closed month, for example 2026-10.")],
    to: Annotated[str | None, typer.Option(help="Folder or URI to deliver to; default HOME/reports.")] = None,
    as_json: Json = False,
) -> None:
    """Build a report from pinned versions, behind its gates; building it again gives the same bytes."""
    from pipelines import reports

    settings = _settings()
    manifest = reports.build(settings, _lake(settings), name, period, to)
    if as_json:
        show.as_json(show.plain(manifest))
    else:
        show.say("\n".join(manifest.lines()))


@app.command(rich_help_panel="Operate")
def status(as_json: Json = False) -> None:
    """What is in the lake and how fresh it is: chains, tables, gates, the last closed period."""
    from quality.status import status as run

    show.told(run(_lake(_settings())), as_json)


@app.command(rich_help_panel="Operate")
def doctor(as_json: Json = False) -> None:
    """Can this work? Python, packages, disk, lake, decisions, endpoints, sources; exit 2 on a fault, 3 on silence."""
    from quality.doctor import doctor as run

    found = run(_settings())
    show.told(found, as_json)
    raise typer.Exit(found.exit_code)


@app.command(rich_help_panel="Operate")
def rewind(
    chain: Annotated[str, typer.Argument(help="A chain name or id.")],
    to: Annotated[int, typer.Option("--to", help="The last block to keep.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it you are only told what would go.")] = False,
    as_json: Json = False,
) -> None:
    """The operator's step after a reorg below finality: forget every block above one, final or not, then follow on."""
    from indexer import rewind as step

    lake = _lake(_settings())
    show.counts(f"Above block {to}", "table", step.above(lake, chain, to), as_json=as_json)
    if not yes:
        raise BadSetting(f"nothing was changed; to remove these rows say: guelta rewind {chain} --to {to} --yes")
    step.rewind(lake, chain, to)
    if not as_json:
        show.next_step(f"guelta follow {chain} --once, which fetches the blocks above and repairs the event tables")


@app.command(rich_help_panel="Operate")
def up(
    port: Annotated[int | None, typer.Option(help="Port of the dashboards; default a free one from 8501 on.")] = None,
    dagster_port: Annotated[int | None, typer.Option(help="Port of Dagster; default a free one from 3000 on.")] = None,
) -> None:
    """Dagster and the dashboards together on loopback, until Ctrl-C."""
    from dashboards.server import serving as dashboards
    from pipelines.server import serving as orchestration

    settings = _settings()
    _lake(settings)
    show.say("starting Dagster and the dashboards…")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # else a terminated door leaves both servers behind
    # The dashboards first: they are up in seconds, so a taken port is known before Dagster's long start.
    with dashboards(settings, port) as (pages, first), orchestration(settings, dagster_port) as (dagster, second):
        show.say(f"dashboards  {pages}")
        show.say(f"dagster     {dagster}")
        show.say("Ctrl-C stops both")
        show.wait(first, second)


@app.command(rich_help_panel="Operate")
def maintain(as_json: Json = False) -> None:
    """Compact small files, write checkpoints, and remove files nobody pins; cursors are carried along."""
    from guelta.decisions import Decisions
    from guelta.lake.maintain import maintain as run

    settings = _settings()
    lake, book = _lake(settings), Decisions(settings.decisions)
    rows = [show.plain(row) for row in run(lake, pins=book.pins(lake.id))]
    show.rows("Maintained", ["table", "files_before", "files_after", "removed"], rows, as_json=as_json)


def _settings() -> "Settings":
    from guelta.settings import load

    return load()


def _lake(settings: "Settings") -> "Lake":
    from guelta.lake import Lake

    return Lake(settings.lake, storage=settings.storage, memory=settings.memory, threads=settings.threads)


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise BadSetting(f"expected --where dimension=value, found {text!r}")
    return name, value


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise BadSetting(f"expected a day like 2026-10-01, found {text!r}") from error
