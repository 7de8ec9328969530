"""Follow chains: plan a range, fetch it, prove it, commit it; and when the chain changes its mind, replace its end.

Backfill and tail are one loop with one cursor, so nothing is lost or doubled between them.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from guelta.errors import BadSetting
from guelta.lake import Lake
from guelta.settings import Settings
from indexer import chains
from indexer.follower import Follower, FollowResult, Progress, Stream
from indexer.metrics import Meter
from indexer.news import News
from indexer.rpc.client import ChainClient, HttpClient
from indexer.rpc.pool import Policy
from indexer.store import Clock

__all__ = ["FollowResult", "Progress", "Stream", "follow"]


def follow(
    settings: Settings,
    lake: Lake,
    names: Sequence[str] = (),
    *,
    once: bool = True,
    until: int | None = None,
    clients: Mapping[str, ChainClient] | None = None,
    streams: Mapping[str, Stream] | None = None,
    progress: Progress | None = None,
    committed: Callable[[], object] | None = None,
    policy: Policy | None = None,
    clock: Clock = lambda: datetime.now(UTC),
) -> list[FollowResult]:
    """Index chains into ``lake`` until their heads (``once``), until a block, or until SIGTERM or SIGINT.

    Args:
        settings: where the URLs stand.
        lake: where the rows go.
        names: chains of ``chains.toml`` (or ids, or ``recorded-<id>``); none means every chain with an RPC URL.
        clients: what to ask instead of the URLs of ``settings.rpc``.
        streams: filters by chain name; without one, every log is fetched.
        once: stop at the head; otherwise go on until a signal.
        until: stop at this block.
        progress: called with logs and blocks done, blocks known to be there, and a note.
        committed: called in another thread once new logs are there: after each tick that brought some, once a minute
            in a backfill, and never twice at a time. What it raises ends the run; ``CursorMoved`` calls it again.
        policy: retries and time limits.
        clock: the time written into proof records and heads.

    Raises:
        SourceUnreachable: no endpoint of a chain answers (exit code 3).
        ChainMismatch: an endpoint serves another chain, or the lake holds another one under this id.
        BelowFinality: the chain was rewritten below a finalized block; nothing was changed.
        GateRefused: blocks do not verify at any endpoint; nothing of them was committed.
    """
    given = dict(clients or {})
    chosen = list(names) or list(given) or list(settings.rpc)
    if not chosen:
        raise BadSetting("no chain to follow: name one, and give its URL as rpc.NAME in guelta.toml or GUELTA_RPC_NAME")
    followers = [
        Follower(lake, chains.chain(name), client, meter, (streams or {}).get(name), until, progress, clock)
        for name in chosen
        for client, meter in [_client(settings, name, given, policy)]
    ]
    return asyncio.run(_all(followers, committed or (lambda: None), once=once))


def _client(
    settings: Settings, name: str, given: Mapping[str, ChainClient], policy: Policy | None
) -> tuple[ChainClient, Meter]:
    meter = Meter()
    if name in given:
        return given[name], meter
    chain = chains.chain(name)
    urls = settings.rpc.get(name) or settings.rpc.get(chain.name)
    if not urls:
        variable = f"GUELTA_RPC_{name.upper().replace('-', '_')}"
        raise BadSetting(f"no RPC URL for chain {name}: set rpc.{name} in guelta.toml, or {variable}")
    return HttpClient(chain, urls, policy=policy, meter=meter), meter


async def _all(followers: Sequence[Follower], committed: Callable[[], object], *, once: bool) -> list[FollowResult]:
    """Every chain is followed to its end; then the first failure, if any, is raised."""
    stop, lock, news = asyncio.Event(), asyncio.Lock(), News(committed)
    with _stopping(stop):
        telling = asyncio.create_task(news.tell())
        telling.add_done_callback(lambda _: stop.set())  # it ends before the followers only by failing
        done = await asyncio.gather(*[f.run(stop, lock, news, once=once) for f in followers], return_exceptions=True)
        news.close()
        await asyncio.wait([telling])
    failed = [(f.chain.name, one) for f, one in zip(followers, done, strict=True) if isinstance(one, BaseException)]
    for name, error in failed[1:]:
        failed[0][1].add_note(f"chain {name} failed too: {error}")
    if failed:
        raise failed[0][1]
    telling.result()
    return [one for one in done if isinstance(one, FollowResult)]


@contextlib.contextmanager
def _stopping(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT let the commit in hand finish, then end the run."""
    loop, heard = asyncio.get_running_loop(), []
    for one in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not in the main thread
            loop.add_signal_handler(one, stop.set)
            heard.append(one)
    try:
        yield
    finally:
        for one in heard:
            loop.remove_signal_handler(one)
