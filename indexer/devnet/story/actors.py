"""Who takes part: contributors with their skill, developers, clients, agents, nodes, and the platform itself."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from indexer.devnet.story.clock import DAYS
from indexer.devnet.story.dice import dice
from indexer.proof import keccak

COUNTRIES = ("BR", "DE", "ET", "ID", "IN", "KE", "MA", "MX", "NG", "PH", "PL", "TR", "US", "VN")
MAX_UINT = 2**256 - 1


@dataclass(frozen=True, slots=True)
class Party:
    party_id: str
    kind: str  # person, org, agent, contract, pool, protocol
    roles: tuple[str, ...]
    name: str
    wallet: str | None  # lower-case hex
    country: str | None = None
    tier: str | None = None
    waitlisted: int | None = None  # seconds from the story's start; negative is before it
    joined: int | None = None
    activated: int | None = None

    @property
    def address(self) -> str:
        """The wallet of someone who has one."""
        assert self.wallet, f"{self.party_id} has no wallet"
        return self.wallet


@dataclass(frozen=True, slots=True)
class Worker:
    party: Party
    skill: str  # good, average, random, constant, copier
    accuracy: int  # percent of right labels
    reviews: bool
    left: int  # the second after which this person does nothing


@dataclass(frozen=True, slots=True)
class Client:
    party: Party
    origin: str  # web2, web3, agent
    token: str  # tusd, tai
    weight: int
    left: int


@dataclass(frozen=True, slots=True)
class Cast:
    parties: Sequence[Party]
    workers: Sequence[Worker]
    publishers: Sequence[Party]
    developers: Sequence[Party]
    makers: Sequence[Party]  # of agents and apps
    clients: Sequence[Client]  # web2 and web3; agents join when their asset does
    validators: Sequence[Party]
    nodes: Sequence[Party]
    treasury: Party
    operator: Party
    pool: Party
    anonymous: Sequence[str]  # wallets that no party has claimed
    by_id: dict[str, Party] = field(default_factory=dict)


def wallet(seed: int, name: str) -> str:
    return "0x" + keccak(f"guelta/{seed}/{name}".encode())[12:].hex()


def cast(seed: int, permille: int) -> Cast:
    rng = dice(seed, "actors")
    count = max(60, 260 * permille // 1_000)

    def party(
        prefix: str, number: int, kind: str, roles: Sequence[str], name: str, tier: str | None = None, day: int = -20
    ) -> Party:
        party_id = f"{prefix}-{number:03d}"
        joined = day * 86_400 + rng.randrange(43_200)
        return Party(
            party_id, kind, tuple(sorted(roles)), name, wallet(seed, party_id), rng.choice(COUNTRIES), tier,
            None, joined, joined + rng.randrange(3_600, 43_200),
        )  # fmt: skip

    workers = _workers(rng, seed, count)
    waiting = [_waiting(rng, i) for i in range(count + 1, count + 1 + count // 4)]
    publishers = [party("pub", i, "org", ["data_contributor"], f"Data house {i}", day=-15 + i) for i in range(1, 6)]
    developers = [
        party("dev", i, "org" if i % 3 else "person", ["model_developer", *(["optimizer"] if i % 4 == 0 else [])],
              f"Model lab {i}", day=-12 + i)
        for i in range(1, 19)
    ]  # fmt: skip
    makers = [party("make", i, "person", ["app"], f"Maker {i}", day=-10 + i) for i in range(1, 11)]
    clients: list[Client] = []
    web2, web3 = max(24, 60 * permille // 1_000), max(10, 25 * permille // 1_000)
    for i in range(1, web2 + web3 + 1):
        paid = i <= web2
        start = rng.choice((0, 0, 2, 5)) + (i * 61 // (web2 + web3) if i > 6 else 0)
        tier = ("free", "pro", "enterprise")[min(2, rng.randrange(6) // 2)] if paid else "pro"
        who = party("client", i, "org", ["client"], f"{'Company' if paid else 'Wallet client'} {i}", tier, start)
        left = (start + rng.randrange(15, 45)) * 86_400 if rng.randrange(100) < 18 else DAYS * 86_400
        token = "tusd" if paid or i % 3 == 0 else "tai"
        clients.append(Client(who, "web2" if paid else "web3", token, 4 + 600 // (1 + rng.randrange(40)), left))
    validators = [party("validator", i, "org", ["validator"], f"Validator {i}") for i in range(1, 13)]
    nodes = [party("node", i, "org", ["compute_node"], f"Compute node {i}") for i in range(1, 21)]
    treasury = party("treasury", 1, "protocol", ["treasury"], "Treasury", day=-30)
    operator = party("operator", 1, "org", ["app"], "Platform operator", day=-30)
    pool = party("pool", 1, "pool", ["data_contributor"], "Community data pool", day=-30)
    named = [
        *(w.party for w in workers), *waiting, *publishers, *developers, *makers, *(c.party for c in clients),
        *validators, *nodes, treasury, operator, pool,
    ]  # fmt: skip
    return Cast(
        named, workers, publishers, developers, makers, clients, validators, nodes, treasury, operator, pool,
        [wallet(seed, f"anonymous/{i}") for i in range(2)], {p.party_id: p for p in named},
    )  # fmt: skip


def _workers(rng: random.Random, seed: int, count: int) -> list[Worker]:
    skills = ["copier"] * 4 + ["random"] * max(2, count // 20) + ["constant"] * max(2, count // 25)
    skills += ["good"] * ((count - len(skills)) * 55 // 100)
    skills += ["average"] * (count - len(skills))
    rng.shuffle(skills)
    ranges = {"good": (90, 98), "average": (70, 86), "random": (0, 0), "constant": (0, 0), "copier": (60, 70)}
    workers = []
    for i, skill in enumerate(skills, start=1):
        # Six in ten are there when the story begins; the rest come off the waitlist week by week.
        activated = -rng.randrange(86_400, 30 * 86_400) if rng.randrange(10) < 6 else rng.randrange(50 * 86_400)
        if skill == "copier":
            activated = -86_400
        joined = activated - rng.randrange(3_600, 3 * 86_400)
        reviews = skill == "good" and rng.randrange(10) < 4
        roles = ("annotator", "data_contributor", *(("reviewer",) if reviews else ()))
        who = Party(
            f"user-{i:04d}", "person", roles, f"Contributor {i}", wallet(seed, f"user-{i:04d}"),
            rng.choice(COUNTRIES), None, joined - rng.randrange(86_400, 20 * 86_400), joined, activated,
        )  # fmt: skip
        churns = skill in {"good", "average"} and not reviews and rng.randrange(100) < 12
        left = (40 + rng.randrange(15)) * 86_400 if churns else DAYS * 86_400
        workers.append(Worker(who, skill, rng.randint(*ranges[skill]), reviews, left))
    return workers


def _waiting(rng: random.Random, number: int) -> Party:
    """Someone on the waitlist: every third has an invitation and has not used it yet."""
    waitlisted = rng.randrange(-40 * 86_400, 90 * 86_400)
    joined = waitlisted + rng.randrange(86_400, 5 * 86_400) if number % 3 == 0 else None
    return Party(
        f"user-{number:04d}", "person", ("annotator",), f"Contributor {number}", None, rng.choice(COUNTRIES), None,
        waitlisted, joined, None,
    )  # fmt: skip
