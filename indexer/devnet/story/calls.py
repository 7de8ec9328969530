"""The calls: who used what and when, what each cost, and which batch settled it."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from guelta.money import split
from indexer.devnet.story.actors import Cast, Client, Party
from indexer.devnet.story.annotation import QUIET_DAYS
from indexer.devnet.story.clock import DAYS, LAST_CALL_DAY
from indexer.devnet.story.dice import dice
from indexer.devnet.story.market import AGENT, APP, DATASET, Asset
from indexer.proof import keccak

BATCH_CALLS, BATCH_DAYS = 35, 7  # a batch is settled when it is this large or this old
FIRST_DAY = 9
TAI_PER_DOLLAR = 8  # one test AI token is an eighth of a test dollar
WEEKDAY = (100, 104, 108, 103, 97, 61, 52)


@dataclass(slots=True)
class Call:
    call_id: str
    parent: str | None
    root: str
    client: str
    origin: str
    asset: int
    provider: str
    at: int  # microseconds since the story's start
    latency_us: int | None
    status: str
    prompt_tokens: int | None
    completion_tokens: int | None
    adapters: int | None
    price: int | None = None
    token: str | None = None
    batch_root: bytes | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    client: str
    origin: str
    asset: int
    token: str
    amount: int
    calls: int
    root: bytes
    at: int  # the second the settlement is sent


def batch_root(call_ids: Iterable[str]) -> bytes:
    """The fingerprint of a settlement's calls: keccak of their sorted ids, one a line."""
    return keccak("\n".join(sorted(call_ids)).encode())


def traffic(seed: int, permille: int, people: Cast, assets: Sequence[Asset]) -> tuple[list[Call], list[Batch]]:
    rng = dice(seed, "calls")
    agents = {a.asset_id: Client(a.agent, "agent", "tai", 0, DAYS * 86_400) for a in assets if a.agent}
    world = _Traffic(rng, assets, agents, people)
    days = [d for d in range(FIRST_DAY, LAST_CALL_DAY) if d not in QUIET_DAYS]
    weights = [(30 + (d - FIRST_DAY) * 2) * WEEKDAY[(d + 5) % 7] for d in days]  # 2026-08-01 is a Saturday
    quota = dict(zip(days, split(100_000 * permille // 1_000, weights), strict=True))
    for day in range(FIRST_DAY, LAST_CALL_DAY):
        world.day(day, quota.get(day, 0))
        world.settle(day, everything=day == LAST_CALL_DAY - 1)
    return world.calls, world.batches


class _Traffic:
    def __init__(self, rng: random.Random, assets: Sequence[Asset], agents: dict[int, Client], people: Cast) -> None:
        self.rng, self.assets, self.agents = rng, assets, agents
        self.clients, self.nodes = people.clients, people.nodes
        self.calls: list[Call] = []
        self.batches: list[Batch] = []
        self._tastes: dict[str, list[int]] = {}
        self._open: dict[tuple[str, str, int, str], list[Call]] = defaultdict(list)

    def day(self, day: int, quota: int) -> None:
        begins = day * 86_400
        ready = [c for c in self.clients if (c.party.activated or 0) < begins and c.left > begins]
        offered = [a for a in self.assets if a.opens < begins]
        pool = self.rng.choices(ready, weights=[c.weight for c in ready], k=quota)
        made = 0
        while made < quota:
            client = pool[made]
            asset = self._taste(client.party, offered)
            # Work hours are busier than nights.
            hour = self.rng.choice((2, 7, 8, 9, 9, 10, 11, 12, 13, 14, 14, 15, 16, 17, 19, 22))
            at = (begins + hour * 3_600 + self.rng.randrange(3_600)) * 1_000_000 + self.rng.randrange(1_000_000)
            made += self._call(client, asset, at, None, None, quota - made)

    def settle(self, day: int, *, everything: bool) -> None:
        now = (day + 1) * 86_400
        for key in sorted(self._open):
            calls = self._open[key]
            old = now - calls[0].at // 1_000_000 > BATCH_DAYS * 86_400
            if everything or old or len(calls) >= BATCH_CALLS:
                self._batch(key, calls, now + self.rng.randrange(1, 6) * 3_600 - 1_800)
                del self._open[key]

    def _taste(self, who: Party, offered: Sequence[Asset]) -> Asset:
        """A client keeps to a few assets and now and then finds a new one."""
        liked = self._tastes.setdefault(who.party_id, [])
        if not liked or (len(liked) < 4 and self.rng.randrange(400) == 0):
            weights = [(1 if a.kind == DATASET else 3 if a.kind == APP else 12 if a.depth <= 3 else 7) for a in offered]
            liked.append(self.rng.choices(offered, weights=weights)[0].asset_id)
        return self.assets[liked[self.rng.randrange(len(liked))] - 1]

    def _call(self, client: Client, asset: Asset, at: int, parent: Call | None, root: str | None, allowed: int) -> int:
        rng = self.rng
        call_id = f"c-{len(self.calls) + 1:08d}"
        tokens = asset.kind != DATASET
        luck = rng.randrange(1_000)
        status = "ok" if luck < 962 else ("error", "timeout", "rate_limited", "content_filtered")[luck % 4]
        call = Call(
            call_id, parent.call_id if parent else None, root or call_id, client.party.party_id, client.origin,
            asset.asset_id, self.nodes[(asset.asset_id * 7 + at) % len(self.nodes)].party_id, at,
            self._latency(status, asset), status,
            rng.randrange(40, 2_400) if tokens else None,
            (rng.randrange(8, 900) if status == "ok" else 0) if tokens else None,
            rng.choice((0, 0, 0, 1, 1, 2)) if asset.kind == AGENT or asset.depth == 3 else None,
        )  # fmt: skip
        self.calls.append(call)
        if status == "ok":
            self._charge(client, asset, call)
        made = 1
        helper = self.agents.get(asset.asset_id)
        if helper and status == "ok" and asset.edges:
            below = at
            for edge in asset.edges[: 1 + rng.randrange(2)]:
                if made < allowed:
                    below += rng.randrange(5_000, 400_000)
                    used = self.assets[edge.parent - 1]
                    made += self._call(helper, used, below, call, call.root, allowed - made)
        return made

    def _charge(self, client: Client, asset: Asset, call: Call) -> None:
        price = asset.unit_price + asset.per_thousand * (call.completion_tokens or 0) // 1_000
        if client.token == "tai":  # noqa: S105  # a currency, not a secret
            price = price * 10**12 * TAI_PER_DOLLAR + self.rng.randrange(10**12)
        call.price, call.token = price, client.token
        self._open[client.party.party_id, client.origin, asset.asset_id, client.token].append(call)

    def _latency(self, status: str, asset: Asset) -> int | None:
        if status == "rate_limited":
            return self.rng.randrange(800, 4_000)
        if status == "timeout":
            return 30_000_000 + self.rng.randrange(50_000)
        base = 60_000 + asset.depth * 90_000
        # The product of two uniform numbers has the long tail that latencies have, in whole microseconds.
        return base + self.rng.randrange(1, 1_500) * self.rng.randrange(1, 1_500) * asset.depth // 2

    def _batch(self, key: tuple[str, str, int, str], calls: list[Call], at: int) -> None:
        client, origin, asset, token = key
        root = batch_root(call.call_id for call in calls)
        for call in calls:
            call.batch_root = root
        amount = sum(call.price or 0 for call in calls)
        self.batches.append(Batch(client, origin, asset, token, amount, len(calls), root, at))
