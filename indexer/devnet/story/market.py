"""What is for sale: datasets, AI models trained on them, fine-tunes, agents and apps, with edges, terms and prices."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from guelta.money import split
from indexer.devnet.story.actors import Cast, Party, wallet
from indexer.devnet.story.annotation import Labelling
from indexer.devnet.story.dice import dice

DATASET, MODEL, AGENT, APP = range(4)
DERIVED_FROM, TRAINED_ON, COMPOSED_OF, FINETUNED_FROM = range(4)
BPS = 10_000
DEEPEST = 6
TOPICS = ("Swahili news", "Clinic notes", "Road signs", "Recipes", "Support chats", "Court rulings", "Crop photos",
          "Product pairs", "Market prices", "Tutor dialogues", "Maps", "Sign language", "Invoices", "Folk songs",
          "Desert plants", "Water points")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Terms:
    at: int  # the second from which the owner wants them
    accounts: Sequence[str]
    bps: Sequence[int]


@dataclass(frozen=True, slots=True)
class Edge:
    parent: int  # asset id
    relation: int
    bps: int


@dataclass(frozen=True, slots=True)
class Asset:
    asset_id: int
    kind: int
    name: str
    owner: Party
    opens: int  # second of registration
    terms: Sequence[Terms]  # in time order; the first is given at registration
    edges: Sequence[Edge]
    depth: int
    language: str | None
    dataset: int | None  # position among datasets
    agent: Party | None  # who an agent is when it calls others
    unit_price: int  # base units of a 6-decimal dollar per call
    per_thousand: int  # the same, per thousand completion tokens


def market(seed: int, people: Cast, work: Labelling) -> list[Asset]:
    rng = dice(seed, "market")
    assets: list[Asset] = []
    for opens, kind, number, level in _calendar(rng):
        assets.append(_asset(rng, seed, people, work, assets, opens, kind, number, level))
    return assets


def _calendar(rng: random.Random) -> list[tuple[int, int, int, int]]:
    """(second, kind, number within its kind, level): older first, and every level starts after the one below it."""
    days = [(4 + i, DATASET, i, 1) for i in range(5)] + [(13 + i * 2, DATASET, 5 + i, 1) for i in range(11)]
    days += [(8 + i * 2, MODEL, i, 2) for i in range(12)]
    days += [(16 + i * 3, MODEL, 12 + i, 3) for i in range(8)]
    days += [(20 + i * 3, AGENT, i, 4) for i in range(9)]
    days += [(30 + i * 6, AGENT, 9 + i, 5) for i in range(4)]
    days += [(24 + i * 4, APP, i, 6) for i in range(9)]
    morning = 9 * 3_600
    return sorted((day * 86_400 + morning + rng.randrange(7 * 3_600), kind, n, level) for day, kind, n, level in days)


def _asset(
    rng: random.Random, seed: int, people: Cast, work: Labelling, older: list[Asset],
    opens: int, kind: int, number: int, level: int,
) -> Asset:  # fmt: skip
    asset_id = len(older) + 1
    edges = _edges(rng, older, kind, level, opens)
    depth = 1 + max((older[e.parent - 1].depth for e in edges), default=0)
    if kind == DATASET:
        owner = people.publishers[number % len(people.publishers)]
        terms: list[Terms] = _dataset_terms(people, work, owner, number, opens)
        name, agent = f"{TOPICS[number]} dataset", None
        price = (rng.randrange(8, 20) * 1_000, 0)
    elif kind == MODEL:
        owner = people.developers[number % len(people.developers)]
        terms = _model_terms(rng, people, owner, number, opens)
        name, agent = f"{'Tuned' if level == 3 else 'Base'} model {number + 1}", None
        price = (rng.randrange(2, 9) * 1_000, rng.randrange(3, 12) * 1_000)
    else:
        owner = people.makers[number % len(people.makers)]
        accounts = [owner.address, people.anonymous[number % 2]] if number % 4 == 1 else [owner.address]
        terms = [Terms(opens, accounts, [7_500, 2_500] if len(accounts) == 2 else [BPS])]
        name = f"{'Agent' if kind == AGENT else 'App'} {number + 1}"
        party_id = f"agent-{number + 1:03d}"
        joined = Party(
            party_id, "agent", ("client",), name, wallet(seed, party_id), None, None, None, opens, opens + 3_600
        )
        agent = joined if kind == AGENT else None
        price = (rng.randrange(12, 40) * 1_000, rng.randrange(2, 9) * 1_000)
    language = work.tasks[number].language if kind == DATASET else None
    dataset = number if kind == DATASET else None
    return Asset(asset_id, kind, name, owner, opens, terms, edges, depth, language, dataset, agent, price[0], price[1])


def _edges(rng: random.Random, older: list[Asset], kind: int, level: int, opens: int) -> list[Edge]:
    ready = [a for a in older if a.opens < opens - 12 * 3_600]
    datasets = [a for a in ready if a.kind == DATASET]
    base = [a for a in ready if a.kind == MODEL and not any(e.relation == FINETUNED_FROM for e in a.edges)]
    tuned = [a for a in ready if a.kind == MODEL and any(e.relation == FINETUNED_FROM for e in a.edges)]
    agents = [a for a in ready if a.kind == AGENT and a.depth < DEEPEST]
    picks: list[tuple[Asset, int]] = []
    if kind == DATASET:
        if len(older) % 5 == 0:
            picks = [(a, DERIVED_FROM) for a in datasets[-1:]]
    elif level == 2:
        picks = [(a, TRAINED_ON) for a in rng.sample(datasets, min(len(datasets), rng.choice((1, 1, 2))))]
    elif level == 3:
        parent = rng.choice(base)
        # Trained on a dataset its own base model may have seen too: the same contributors by two paths.
        again = older[parent.edges[0].parent - 1] if rng.randrange(2) else rng.choice(datasets)
        picks = [(parent, FINETUNED_FROM), (again, TRAINED_ON)]
    elif level == 4:
        deep = rng.choice(tuned)
        picks = [(deep, COMPOSED_OF), *([(rng.choice(base), COMPOSED_OF)] if rng.randrange(3) == 0 else [])]
    elif level == 5:
        # The youngest of the deepest agents, and one model beneath it: a diamond.
        below = max(agents, key=lambda a: (a.depth, a.asset_id))
        picks = [(below, COMPOSED_OF), (older[below.edges[0].parent - 1], COMPOSED_OF)][: 1 + rng.randrange(2)]
    else:
        below = max(agents, key=lambda a: (a.depth, a.asset_id)) if len(older) % 2 else rng.choice(agents)
        picks = [(below, COMPOSED_OF)]
    return [Edge(a.asset_id, relation, rng.randrange(12, 34) * 100 + rng.randrange(60)) for a, relation in picks]


def _dataset_terms(people: Cast, work: Labelling, owner: Party, number: int, opens: int) -> list[Terms]:
    """Who labelled it, by approved work so far, renewed at the start of every month; the pool takes what is left."""
    renewed = [day * 86_400 + 7 * 3_600 + number * 1_800 for day in (31, 61, 92)]
    versions = []
    for at in (opens, *(t for t in renewed if t > opens + 7 * 86_400)):
        top = list(work.approved_work(number, at).items())[:5]
        accounts = [people.by_id[party].address for party, _ in top]
        share = 7_000 + 150 * (number % 8)
        bps = split(share, [units for _, units in top], "largest_remainder") if top else []
        rest = BPS - sum(bps)
        publisher = rest // 3
        versions.append(Terms(at, [*accounts, owner.address, people.pool.address], [*bps, publisher, rest - publisher]))
    return versions


def _model_terms(rng: random.Random, people: Cast, owner: Party, number: int, opens: int) -> list[Terms]:
    node = people.nodes[number % len(people.nodes)]
    partner = people.developers[(number + 5) % len(people.developers)]
    first = Terms(opens, [owner.address, node.address], [8_333, 1_667])
    if number % 3 == 0:
        # A partner buys in some weeks later.
        later = opens + rng.randrange(15, 30) * 86_400
        return [
            first,
            Terms(later, [owner.address, partner.address, node.address], [5_001, 3_332, 1_667]),
        ]
    return [first]
