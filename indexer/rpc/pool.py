"""The endpoints of one chain: who is asked, how often, and what happens when one refuses, lags or lies."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec

from guelta.errors import ChainMismatch, GateRefused, GueltaError, Retryable, SourceUnreachable
from indexer.metrics import Meter
from indexer.rpc import refusals, wire
from indexer.rpc.ranges import Spans
from indexer.rpc.wire import Call, Garbled, Rejected

Decoder = msgspec.json.Decoder[list[wire.Reply[Any]]]


@dataclass(frozen=True, slots=True)
class Policy:
    """21-chain §10. A refused connection at the very first contact is not waited for as long as a fault in mid-work."""

    attempts: int = 9
    greeting_attempts: int = 5
    first_delay_s: float = 0.125
    longest_delay_s: float = 30.0
    timeout_s: float = 30.0
    in_flight: int = 4

    def delay(self, attempt: int, jitter: float) -> float:
        wanted: float = self.first_delay_s * 2**attempt
        return min(self.longest_delay_s, wanted) * (0.5 + jitter / 2)


class Suspicious(Retryable):
    """An answer of the right shape that cannot be true. ``rule`` names a proof that failed, where one did."""

    def __init__(self, message: str, rule: str = "") -> None:
        super().__init__(message)
        self.rule = rule


class TooLarge(Retryable):
    def __init__(self, message: str, advice: refusals.Advice, spans: Spans) -> None:
        super().__init__(message)
        self.advice = advice
        self.spans = spans


class Gone(Retryable):
    """The node no longer knows the block: look for a fork, do not ask again."""


class NoSuchMethod(Retryable):
    pass


@dataclass(slots=True)
class Endpoint:
    url: str
    slots: asyncio.Semaphore
    spans: Spans = field(default_factory=Spans)
    batches: bool = True
    lacks: set[str] = field(default_factory=set)  # methods and tags it answered it does not have
    rest_until: float = 0.0
    greeted: bool = False
    refused: GueltaError | None = None  # why it is never asked again
    version: str = ""
    greeting: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def host(self) -> str:
        """The only part of a URL that may be shown: paths and queries hold keys."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


Greet = Callable[["Pool", Endpoint], Any]


class Pool:
    """Sends batches to one endpoint at a time and moves on to the next when it fails."""

    def __init__(self, name: str, urls: Sequence[str], greet: Greet, *, policy: Policy, meter: Meter) -> None:
        self.name, self.policy, self.meter = name, policy, meter
        self._urls, self._greet = urls, greet
        self._endpoints: list[Endpoint] = []
        self._turn = 0
        self._jitter = random.Random(0)  # noqa: S311  # spreads retries, guards nothing
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._endpoints = [Endpoint(url, asyncio.Semaphore(self.policy.in_flight)) for url in self._urls]
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=16),
            timeout=aiohttp.ClientTimeout(total=self.policy.timeout_s),
            read_bufsize=1 << 22,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    @property
    def hosts(self) -> list[str]:
        return [endpoint.host for endpoint in self._endpoints if endpoint.greeted and not endpoint.refused]

    @property
    def spans(self) -> Spans:
        """Of the endpoint whose turn it is."""
        return self._choose([]).spans

    @property
    def turn(self) -> int:
        """Whose turn it is; moves whenever an endpoint failed or was distrusted."""
        return self._turn

    def distrust(self, turn: int) -> None:
        """What was heard since ``turn`` did not hold together: ask another endpoint, unless one is asked already.

        Several readings fail together over one endpoint; were each to move on, two would come back to it.
        """
        if self._turn == turn:
            self._turn += 1

    async def ask(
        self,
        calls: Sequence[Call],
        *,
        decoder: Decoder = wire.ANYTHING,
        accept: Callable[[list[Any]], Any] | None = None,
        attempts: int | None = None,
    ) -> Any:
        """The results of one batch, from one endpoint; ``accept`` may refuse them by raising ``Suspicious``.

        Raises:
            SourceUnreachable: no endpoint answered within the attempts.
            TooLarge, Gone, NoSuchMethod: the caller has to plan anew.
            GateRefused: every endpoint gives data whose proof fails.
        """
        limit, last, suspicions = attempts or self.policy.attempts, GueltaError("no attempt was made"), 0
        for attempt in range(limit):
            endpoint = self._choose(calls)
            try:
                if not endpoint.greeted:
                    await self._introduce(endpoint)
                results = await self._send(endpoint, calls, decoder)
                return accept(results) if accept else results
            except Suspicious as error:
                last, suspicions = error, suspicions + 1
                if error.rule and suspicions >= 2 * len(self._living()):
                    break
            except Rejected as error:
                last = self._heed(endpoint, error, attempt)
            except (Garbled, ChainMismatch, SourceUnreachable) as error:
                last = error
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                last = SourceUnreachable(f"{endpoint.host}: {type(error).__name__} {error}".rstrip())
            if not self._living():
                raise self._dead()
            if not any(one.greeted for one in self._endpoints) and attempt + 1 >= self.policy.greeting_attempts:
                raise self._unreachable(calls, attempt + 1, last) from last
            self.meter.retries += 1
            self._turn += 1
            if attempt + 1 < limit and (attempt + 1) % len(self._living()) == 0:
                await asyncio.sleep(self.policy.delay(attempt // len(self._living()), self._jitter.random()))
        if isinstance(last, Suspicious) and last.rule:
            raise GateRefused(f"chain {self.name}: {last}; nothing was committed", (last.rule,)) from last
        raise self._unreachable(calls, limit, last) from last

    async def single(self, endpoint: Endpoint, call: Call) -> Any:
        """One call to one endpoint, without retries; used to get to know it."""
        content = await self._post(endpoint, wire.body([call])[1:-1])
        return wire.answers(content, [call], wire.ANYTHING)[0]

    async def batch_of(self, endpoint: Endpoint, calls: Sequence[Call]) -> list[Any]:
        return wire.answers(await self._post(endpoint, wire.body(calls)), calls, wire.ANYTHING)

    # -- private -----------------------------------------------------------------------------------------------------

    def _living(self) -> list[Endpoint]:
        return [endpoint for endpoint in self._endpoints if endpoint.refused is None]

    def _choose(self, calls: Sequence[Call]) -> Endpoint:
        living = self._living()
        able = [endpoint for endpoint in living if not endpoint.lacks.intersection(call.method for call in calls)]
        if not living:
            raise self._dead()
        if not able:
            raise NoSuchMethod(f"chain {self.name}: no endpoint has {', '.join(sorted({c.method for c in calls}))}")
        now = time.monotonic()
        turns = [able[(self._turn + i) % len(able)] for i in range(len(able))]
        return next((one for one in turns if one.rest_until <= now), min(turns, key=lambda one: one.rest_until))

    async def _introduce(self, endpoint: Endpoint) -> None:
        async with endpoint.greeting:
            if endpoint.greeted:
                return
            try:
                await self._greet(self, endpoint)
            except ChainMismatch as error:
                endpoint.refused = error
                raise
            endpoint.greeted = True

    async def _send(self, endpoint: Endpoint, calls: Sequence[Call], decoder: Decoder) -> list[Any]:
        async with endpoint.slots:
            pause = endpoint.rest_until - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            if endpoint.batches:
                return wire.answers(await self._post(endpoint, wire.body(calls)), calls, decoder)
            results: list[Any] = []
            for call in calls:  # one after the other: they must agree, so nothing else may come between
                content = await self._post(endpoint, wire.body([call])[1:-1])
                results += wire.answers(b"[" + content + b"]" if content[:1] == b"{" else content, [call], decoder)
            return results

    async def _post(self, endpoint: Endpoint, body: bytes) -> bytes:
        if self._session is None:
            raise SourceUnreachable(f"chain {self.name}: the pool is closed; use it inside `async with`")
        self.meter.requests += 1
        headers = {"Content-Type": "application/json"}
        async with self._session.post(endpoint.url, data=body, headers=headers) as response:
            content = await response.read()
        self.meter.bytes_read += len(content)
        if response.status == 429:
            self.meter.rate_limited += 1
            self._rest(endpoint, response.headers.get("Retry-After", ""))
            raise SourceUnreachable(f"{endpoint.host}: HTTP 429, too many requests")
        if response.status in {401, 403, 404, 405, 501}:
            endpoint.refused = SourceUnreachable(f"{endpoint.host}: HTTP {response.status}; check the URL and its key")
            raise endpoint.refused
        if response.status >= 500 and content[:1] not in {b"{", b"["}:
            raise SourceUnreachable(f"{endpoint.host}: HTTP {response.status}")
        return content

    def _heed(self, endpoint: Endpoint, error: Rejected, attempt: int) -> GueltaError:
        counsel = refusals.advice(error.error)
        said = f"{endpoint.host} {error}"
        if counsel.action in {"range", "size", "halve"}:
            raise TooLarge(said, counsel, endpoint.spans) from error
        if counsel.action == "fork":
            raise Gone(said) from error
        if counsel.action == "missing":
            endpoint.lacks.add(error.method)
        if counsel.action == "rest":
            self.meter.rate_limited += 1
            self._rest(endpoint, str(self.policy.delay(attempt, self._jitter.random())))
        return SourceUnreachable(said)

    def _rest(self, endpoint: Endpoint, seconds: str) -> None:
        try:
            pause = float(seconds)
        except ValueError:  # absent, or an HTTP date
            pause = self.policy.first_delay_s * 8
        endpoint.rest_until = time.monotonic() + min(pause, self.policy.longest_delay_s)

    def _dead(self) -> GueltaError:
        reasons = [endpoint.refused for endpoint in self._endpoints if endpoint.refused]
        mismatch = next((one for one in reasons if isinstance(one, ChainMismatch)), None)
        if mismatch:
            return mismatch
        said = "; ".join(map(str, reasons))
        return SourceUnreachable(f"chain {self.name}: no endpoint is left: {said or 'none is configured'}")

    def _unreachable(self, calls: Sequence[Call], attempts: int, last: GueltaError) -> SourceUnreachable:
        hosts = ", ".join(endpoint.host for endpoint in self._endpoints)
        first = calls[0]
        return SourceUnreachable(
            f"chain {self.name}: {hosts} gave no usable answer to {first.method} {json.dumps(first.params)[:80]} in "
            f"{attempts} attempts; last: {last}; check the URL in settings rpc.{self.name} and that the node runs"
        )
