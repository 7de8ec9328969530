"""The ordinary transactions: funding, registering, settling, recording work, staking, and a few that fail."""

import random
from collections import defaultdict
from collections.abc import Sequence

from indexer.devnet.story.actors import MAX_UINT, Cast
from indexer.devnet.story.annotation import Labelling
from indexer.devnet.story.calls import Batch
from indexer.devnet.story.clock import HEAD, HOURS, hour_after, period_end
from indexer.devnet.story.market import DATASET, Asset
from indexer.devnet.story.plan import Op, Plan
from indexer.proof import keccak

ANNOTATION = 0
WHOLE = 10**18
FUNDED = 2  # the hour in which the platform's own wallets are filled; contracts are older


def add_funding(plan: Plan, people: Cast, batches: Sequence[Batch], assets: Sequence[Asset]) -> None:
    operator, treasury = people.operator.address, people.treasury.address
    for token, to, amount in (("tpart", treasury, 500_000 * WHOLE), ("tusd", treasury, 50_000 * 10**6)):
        plan.add(FUNDED, Op(operator, token, "mint", (to, amount)))
    spent: dict[tuple[str, str], int] = defaultdict(int)
    for batch in batches:
        spent["operator" if batch.origin == "web2" else batch.client, batch.token] += batch.amount
    wallets = {c.party.party_id: (c.party.address, c.party.activated or 0) for c in people.clients}
    wallets |= {a.agent.party_id: (a.agent.address, a.opens) for a in assets if a.agent}
    wallets["operator"] = (operator, 0)
    for (who, token), amount in sorted(spent.items()):
        wallet, since = wallets[who]
        hour = max(FUNDED, hour_after(since) + 1)
        plan.add(hour, Op(operator, token, "mint", (wallet, amount * 5 // 4)))
        plan.add(hour, Op(wallet, token, "approve", ("@vault", MAX_UINT)))


def add_market(plan: Plan, assets: Sequence[Asset]) -> None:
    for asset in assets:
        owner, hour = asset.owner.address, hour_after(asset.opens)
        content = keccak(f"{asset.asset_id}/{asset.name}".encode())
        uri = f"guelta-demo:/{('dataset', 'model', 'agent', 'app')[asset.kind]}/{asset.asset_id}"
        first = asset.terms[0]
        args = (asset.kind, content, uri, list(first.accounts), list(first.bps))
        plan.add(hour, Op(owner, "registry", "register", args))
        for edge in asset.edges:
            plan.add(hour, Op(owner, "registry", "addEdge", (asset.asset_id, edge.parent, edge.relation, edge.bps)))
        for terms in asset.terms[1:]:
            change = (asset.asset_id, list(terms.accounts), list(terms.bps))
            plan.add(hour_after(terms.at), Op(owner, "registry", "setTerms", change))


def add_settlements(plan: Plan, people: Cast, batches: Sequence[Batch], agents: dict[str, str]) -> None:
    wallets = {c.party.party_id: c.party.address for c in people.clients} | agents
    for batch in batches:
        # The platform settles for clients with prepaid credits; everyone else has a wallet.
        payer = people.operator.address if batch.origin == "web2" else wallets[batch.client]
        args = (batch.asset, f"@{batch.token}", batch.amount, batch.calls, batch.root)
        plan.add(hour_after(batch.at), Op(payer, "vault", "settle", args))


def add_contributions(plan: Plan, rng: random.Random, people: Cast, work: Labelling, assets: Sequence[Asset]) -> None:
    """Once a month every contributor's approved work is rolled up into one record per task."""
    datasets = {a.dataset: a for a in assets if a.kind == DATASET}
    for month in ("2026-08", "2026-09", "2026-10"):
        ends = period_end(month)
        units: dict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0, 0])
        for s in work.submissions:
            if s.decided is not None and ends - 31 * 86_400 <= s.decided < ends and s.reviews:
                tally = units[s.task.task_id, s.worker.party.party_id, s.task.dataset]
                tally[0] += s.status == "approved"
                tally[1] += 1
        for (task, party, dataset), (approved, judged) in sorted(units.items()):
            asset = datasets[dataset]
            hour = hour_after(ends) + 8 + rng.randrange(30)
            if approved and asset.opens < ends:
                quality = 10_000 * approved // judged
                args = (asset.asset_id, task.encode().ljust(32, b"\0"), ANNOTATION, approved, quality)
                wallet = people.by_id[party].address
                plan.add(hour, Op(wallet, "registry", "contribute", args, movable=True))


def add_staking(plan: Plan, rng: random.Random, people: Cast) -> None:
    operator = people.operator.address
    plan.add(FUNDED, Op(operator, "tai", "mint", (operator, 100_000 * WHOLE)))
    plan.add(FUNDED, Op(operator, "tai", "approve", ("@staking", MAX_UINT)))
    for turn, party in enumerate([*people.validators, *people.nodes]):
        wallet = party.address
        stake = (5_000 if "validator" in party.roles else 800) * WHOLE + rng.randrange(WHOLE)
        begins = 30 + turn * 6 + rng.randrange(6)
        plan.add(begins, Op(operator, "tai", "mint", (wallet, stake * 2)))
        plan.add(begins, Op(wallet, "tai", "approve", ("@staking", MAX_UINT)))
        plan.add(begins + 1, Op(wallet, "staking", "stake", (stake,)))
        for month in range(1, 4):
            plan.add(month * 30 * 24 + rng.randrange(60), Op(wallet, "staking", "getReward", ()))
        if turn % 4 == 1:
            plan.add(900 + rng.randrange(600), Op(wallet, "staking", "stake", (stake // 3,)))
        if turn % 5 == 2:
            plan.add(1_600 + rng.randrange(500), Op(wallet, "staking", "withdraw", (stake // 4,)))
    for week in range(2, HOURS // 168):
        reward = 400 * WHOLE + rng.randrange(WHOLE)
        plan.add(week * 168 + 12, Op(operator, "staking", "addReward", (reward,)))
    # One validator was offline for two days.
    plan.add(1_300, Op(operator, "staking", "slash", (people.validators[4].wallet, 250 * WHOLE)))


def add_failures(plan: Plan, rng: random.Random, people: Cast, permille: int) -> None:
    """People make mistakes: a claim of nothing, a transfer of what is not there, a settlement without allowance."""
    for _ in range(max(6, 45 * permille // 1_000)):
        wallet = rng.choice(people.workers).party.address
        other = rng.choice(people.workers).party.address
        op = rng.choice((
            Op(wallet, "tai", "transfer", (other, 10**30), fails=True),
            Op(wallet, "vault", "claim", ("@tpart",), fails=True),
            Op(wallet, "vault", "settle", (1, "@tusd", 10**7, 1, keccak(wallet.encode())), fails=True),
        ))  # fmt: skip
        plan.add(rng.randrange(14 * 24, HEAD), op)
