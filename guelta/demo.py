"""The story from end to end on the embedded chain: deploy, live, index, build, check, reconcile, and what to open next.

Told again with the same seed it goes on where it was, also after a kill: the world is made anew to the same hash, and
the lake's own cursors say what is still to do.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from guelta import show
from guelta.errors import BadSetting
from guelta.settings import Settings, resolved

if TYPE_CHECKING:
    from guelta.lake import Lake
    from indexer.devnet.economy import Economy

CHAIN = "devnet"
_MARK = "demo.json"


def tell(settings: Settings, *, seed: int, scale: float, serve: bool, fresh: bool) -> None:
    """Run the demo in ``settings.home`` and say what to open next.

    Raises:
        BadSetting: the home holds a demo of another seed or scale, and ``fresh`` was not said; or this machine has no
            EVM, and the recorded story is of another seed.
        ForeignLake: the home's lake holds real data.
    """
    from indexer.devnet.economy import playable

    started = time.monotonic()
    show.say("Guelta demo: a simulated AI economy on a real EVM. All of it is demo data, on development chain id 1337.")
    show.say("Signatures are not checked, the state root is no state trie, and gas fees are not modelled.")
    scale, why = playable(seed, scale)
    if why:
        show.say(why)
    lake = _claim(settings, seed, scale, fresh)
    world = _world(seed, scale)
    _index(settings, lake, world)
    indexed = time.monotonic() - started
    _platform(settings, lake, world)
    _build(lake)
    _summary(lake, world, indexed, time.monotonic() - started)
    if serve:
        from dashboards.server import run

        run(settings)


def replayed(
    settings: Settings,
    files: Sequence[Path],
    *,
    follow_too: bool,
    once: bool,
    show_result: Callable[[Sequence[Any], Sequence[Any]], None],
    say: Callable[[str], None] = show.say,
) -> None:
    """Serve recordings as chains; with ``follow_too``, index them into a lake of their own below the home."""
    from guelta.lake import Lake
    from indexer.chains import chain_of
    from indexer.derive import derive, together
    from indexer.devnet import record
    from indexer.devnet.server import serve as serving
    from indexer.follow import follow

    chains = record.load(*files)
    with ExitStack() as servers:
        urls = {chain_of(i).name: (servers.enter_context(serving(chain)).url,) for i, chain in sorted(chains.items())}
        for name, (url,) in urls.items():
            say(f"{name:<24} {url}")
        if not follow_too:
            say("serving recorded blocks; Ctrl-C stops")
            while True:
                time.sleep(1)
        home = settings.home / "recorded"
        own = resolved(msgspec.structs.replace(settings, home=home, lake="", decisions="", rpc=urls))
        lake = Lake(own.lake, world="real", memory=own.memory, threads=own.threads)
        with show.progress("blocks") as note:
            derived: list[Any] = []
            results = follow(
                own,
                lake,
                list(urls),
                once=once,
                committed=lambda: derived.extend(derive(lake)),
                progress=lambda _, done, of, text: note(done, of, text),
            )
        show_result(results, together([*derived, *derive(lake)]))
        say(f"indexed into {own.lake}; look at it with GUELTA_HOME={home} guelta build, then guelta status")


def _claim(settings: Settings, seed: int, scale: float, fresh: bool) -> "Lake":
    from guelta.lake import Lake

    mark = settings.home / _MARK
    wanted = {"seed": seed, "scale": scale}
    if mark.is_file() and (found := json.loads(mark.read_text("utf-8"))) != wanted:
        if not fresh:
            raise BadSetting(
                f"{settings.home} holds a demo of {found}, asked for {wanted}; say --fresh to throw it away, or set "
                "GUELTA_HOME to another folder"
            )
        Lake(settings.lake, world="demo")  # a lake of real data is never thrown away
        for path in (settings.lake, settings.calls, settings.home / "reports"):
            shutil.rmtree(path, ignore_errors=True)
        for name in ("platform.db", "decisions.db", "answers.json"):
            (settings.home / name).unlink(missing_ok=True)
    lake = Lake(settings.lake, world="demo", storage=settings.storage, memory=settings.memory, threads=settings.threads)
    draft = mark.with_suffix(".new")
    draft.write_text(json.dumps(wanted) + "\n", "utf-8")
    draft.rename(mark)
    return lake


def _world(seed: int, scale: float) -> "Economy":
    from indexer.devnet.economy import economy

    with _step("Deploy contracts and write the story") as note:
        world = economy(seed, scale)
        note(1, 1)
    return world


def _index(settings: Settings, lake: "Lake", world: "Economy") -> None:
    """Index both branches of September: first the one that will be dropped, then the chain as it ends."""
    from indexer.derive import derive
    from indexer.devnet.server import serve as serving
    from indexer.follow import follow

    with serving(world.chain) as server:
        own = msgspec.structs.replace(settings, rpc={CHAIN: (server.url,)})
        for stage in ("before_reorg", "end"):
            with _step(f"Live on chain ({stage.replace('_', ' ')})", "blocks") as note:
                world.play(stage, progress=note)
            if stage == "before_reorg" and _is_past(lake, world):
                continue
            with _step("Index it", "blocks") as note:
                follow(own, lake, [CHAIN], once=True, progress=lambda _, done, of, __: note(done, of))
    with _step("Decode events", "logs") as note:
        derive(lake, progress=lambda done, of, _: note(done, of))


def _is_past(lake: "Lake", world: "Economy") -> bool:
    """Whether an earlier run already indexed beyond the branch that is now shown."""
    if not lake.exists("raw.logs"):
        return False
    cursor = lake.table("raw.logs").cursor(f"{world.chain.chain_id}:logs")
    if cursor is None:
        return False
    shown = world.chain.block(int(cursor.meta["to"]))
    return shown is None or shown.hash != cursor.meta["to_hash"]


def _platform(settings: Settings, lake: "Lake", world: "Economy") -> None:
    """Pull the platform twice: as it was in early November, and after late and corrected rows arrived."""
    from indexer.sources import pull

    with _step("Write the platform's database and call logs", "files") as note:
        world.write_calls(settings.calls)
        note(1, 1)
    for state in ("first", "final"):
        world.write_platform(settings.platform, as_of=state)
        with _step(f"Pull the platform ({state} state)", "rows") as note:
            pull(settings, lake, progress=lambda what, rows: note(rows, None, what))
    draft = settings.home / "answers.new"
    draft.write_text(json.dumps(world.answers(), indent=2) + "\n", "utf-8")
    draft.rename(settings.home / "answers.json")


def _build(lake: "Lake") -> None:
    import quality
    from models.build import build

    models = quality.tables()
    with _step("Build tables behind their gates", "tables") as note:
        done = 0

        def one(built: Any) -> None:
            nonlocal done
            done += 1
            note(done, len(models), built.name)

        build(lake, models, gate=quality.gate(lake), progress=one)


def _summary(lake: "Lake", world: "Economy", indexed: float, total: float) -> None:
    from quality.reconcile import summary
    from quality.status import status

    found, state = summary(lake, "all"), status(lake)
    rows = {table.table: table.rows for table in state.tables}
    planted = {line["recon_key"] for line in world.answers()["breaks"]}
    named = {line.recon_key for line in found.breaks}
    failing = sum(len(table.failing) for table in state.tables)
    rules = sum(table.rules for table in state.tables)
    show.say("")
    for label, value in (
        (
            "logs indexed",
            f"{rows['raw.logs']:,} in {rows['raw.blocks']:,} blocks, {indexed:.0f} s with the chain itself",
        ),
        ("calls, assets", f"{rows['core.calls']:,} calls of {rows['core.assets']:,} assets"),
        ("earnings", f"{rows['core.earnings']:,} lines from {rows['core.accruals']:,} accruals"),
        ("gates", f"{rules - failing:,} of {rules:,} rules pass"),
        (
            "reconciliation",
            f"{len(named & planted)} of {len(planted)} planted breaks found, {len(named - planted)} false",
        ),
        ("control difference", f"{found.control_difference} base units"),
        ("last closed period", state.last_closed_period or "none"),
        ("whole story", f"{total:.0f} s"),
    ):
        show.say(f"  {label:<20} {value}")
    show.say("")
    show.say("Look next:")
    show.say("  guelta up                            Dagster and the dashboards")
    show.say("  guelta reconcile --period all        the breaks, each with its proof")
    show.say(f"  guelta report payout-reconciliation --period {state.last_closed_period}")
    show.say("  guelta ask gross_value --by token,month")


@contextmanager
def _step(name: str, unit: str = "") -> Iterator[Callable[..., None]]:
    """A progress bar that becomes a line with the seconds it took."""
    started = time.monotonic()
    with show.progress(unit) as note:
        note(0, None, name)
        yield lambda done=0, of=None, text="": note(done, of, text or name)
    show.say(f"  {name:<48} {time.monotonic() - started:5.1f} s")
