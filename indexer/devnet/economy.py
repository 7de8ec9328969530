"""The demo's world: three months of an AI economy, the same to the last byte for the same seed.

A simulated economy on a real EVM. The chain, the platform's database and the gateway's call logs tell one story, and
``answers`` says what was planted in it. Played in two stages, so that an indexer can meet the September reorg.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from guelta.errors import BadSetting
from indexer.devnet import evm, recorded
from indexer.devnet.chain import Devnet
from indexer.devnet.contracts import Contract, events
from indexer.devnet.deploy import deploy_reference
from indexer.devnet.evm import Machine
from indexer.devnet.story import call_logs, platform_db, platform_rows
from indexer.devnet.story.actors import cast
from indexer.devnet.story.annotation import labelling
from indexer.devnet.story.calls import traffic
from indexer.devnet.story.clock import CUT, FINALITY, FORK, HEAD, REORG_DEPTH, START, stamp, text
from indexer.devnet.story.dice import dice
from indexer.devnet.story.everyday import (
    add_contributions,
    add_failures,
    add_funding,
    add_market,
    add_settlements,
    add_staking,
)
from indexer.devnet.story.faults_planted import CODES
from indexer.devnet.story.market import market
from indexer.devnet.story.payouts import Leg, Payouts
from indexer.devnet.story.plan import Op, Plan

Stage = Literal["before_reorg", "end"]
Progress = Callable[[int, int], None]  # blocks sealed, blocks in all
CHAIN_ID = 1337
FEE_BPS = 250
CONTRACTS = {
    "tusd": "payment_token_tusd",
    "tai": "payment_token_tai",
    "tpart": "partner_token",
    "registry": "asset_registry",
    "vault": "earnings_vault",
    "staking": "staking",
}


def economy(seed: int = 7, scale: float = 1.0) -> "Economy":
    """One world, played from its recording where this machine has no EVM. Raises as ``playable`` does."""
    playable(seed, scale)
    return Economy(seed, scale) if evm.available() else RecordedEconomy(recorded.load())


def playable(seed: int, scale: float) -> tuple[float, str]:
    """The scale that this machine can play, and a sentence where it is a recording that plays.

    Raises:
        BadSetting: another seed than the recorded one, without an EVM.
        BadRecording: the recording is damaged.
    """
    if evm.available():
        return scale, ""
    kept = recorded.load().facts
    here = "There is no EVM here, because pyrevm has no wheel for this machine"
    if seed != kept.seed:
        raise BadSetting(
            f"{here}: the recorded story has seed {kept.seed}, asked for {seed}; say --seed {kept.seed}, or run the "
            "demo where pyrevm installs (Python 3.11 or 3.12 on Linux x86-64 or macOS)"
        )
    instead = "" if scale == kept.scale else f" instead of {scale:g}"
    return kept.scale, f"{here}: the story plays from its recording, seed {kept.seed} at scale {kept.scale:g}{instead}."


class Economy:
    """One world.

    Args:
        seed: everything random comes from it.
        scale: 1.0 has 260 contributors and 100,000 calls; assets, months and planted faults stay the same.
        machine: what runs the transactions; a real EVM where left out.
    """

    def __init__(self, seed: int = 7, scale: float = 1.0, *, machine: Machine | None = None) -> None:
        permille = round(scale * 1_000)
        if permille < 20:
            raise BadSetting(
                f"expected a scale of 0.02 or more, found {scale}; a smaller world has no room for its faults"
            )
        self.seed, self.scale, self.permille = seed, scale, permille
        self.people = cast(seed, permille)
        self.work = labelling(seed, permille, self.people)
        self.assets = market(seed, self.people, self.work)
        self.calls, self.batches = traffic(seed, permille, self.people, self.assets)
        self.plan = self._ordinary()
        self.payouts = Payouts(dice(seed, "payouts"), permille, self.people, self.work, self.plan, FEE_BPS)
        self.payouts.play()
        treasury, operator = self.people.treasury.address, self.people.operator.address
        self.chain = Devnet(
            chain_id=CHAIN_ID,
            genesis_time=int(START.timestamp()),
            block_time=3_600,
            finality_depth=FINALITY,
            machine=machine,
        )
        placed = deploy_reference(self.chain, treasury, FEE_BPS, operator)
        self.contracts: dict[str, Contract] = {short: placed[long] for short, long in CONTRACTS.items()}
        self.tokens = {name: self.contracts[name].address for name in ("tusd", "tai", "tpart")}
        self._mined: dict[str, str] = {}

    def play(self, stage: Stage = "end", progress: Progress | None = None) -> Devnet:
        """Seal blocks up to the stage. ``before_reorg`` ends on a branch whose last twelve blocks ``end`` drops."""
        head = self.chain.head.number
        waiting = stage == "before_reorg"
        if waiting and head < FORK:
            self._seal_until(FORK, progress)
            for ops in self.plan.dropped_branch():
                self._seal(ops, b"dropped branch")
        elif not waiting and head < HEAD:
            if head < FORK:
                self._seal_until(FORK, progress)
            elif head == FORK + REORG_DEPTH:
                self.chain.reorg(REORG_DEPTH)
            self._seal_until(HEAD, progress)
        return self.chain

    def write_platform(self, url: str, as_of: Literal["first", "final"] = "final") -> dict[str, int]:
        """Fill the platform's database at ``url`` with what it knew in early November, or at the end."""
        self._played()
        return platform_db.write(url, self._platform[0], text(CUT) if as_of == "first" else stamp(HEAD * 3_600))

    def write_calls(self, folder: str | Path) -> dict[str, int]:
        """Write the gateway's logs, one JSONL file a day; answers how many dirty rows stand in them."""
        files, dirt = self._exports
        call_logs.write(Path(folder), files)
        return dirt

    def answers(self) -> dict[str, Any]:
        """What was planted: every break and every explained line by its reconciliation key, and the totals."""
        self._played()
        breaks: list[dict[str, str]] = []
        explained: list[dict[str, str]] = []
        for leg in self.payouts.legs:
            if leg.fault in CODES and leg.fault != "duplicate_payment":
                breaks.append({"recon_key": f"leg:{leg.key}", "status": leg.fault, "code": CODES[leg.fault]})
            elif leg.fault in {"on_hold", "not_due", "in_flight"}:
                explained.append({"recon_key": f"leg:{leg.key}", "status": leg.fault})
        for stray in self.payouts.strays:
            tx_hash = self._mined[stray.tag]
            key = f"tx:{CHAIN_ID}:{tx_hash}:{self._transfer_index(tx_hash)}"
            breaks.append({"recon_key": key, "status": stray.status, "code": CODES[stray.status]})
        for party, token, month, kind, status in self.payouts.open_lines():
            key = f"party:{party}:{CHAIN_ID}:{self.tokens[token]}:{month}:{kind}"
            explained.append({"recon_key": key, "status": status})
        _, planted = self._platform
        return {
            "breaks": sorted(breaks, key=lambda line: line["recon_key"]),
            "explained": sorted(explained, key=lambda line: line["recon_key"]),
            "platform": planted | {"calls": self._exports[1]},
            "totals": self._totals(),
        }

    # -- the chain

    def _ordinary(self) -> Plan:
        plan, people = Plan(), self.people
        rng = dice(self.seed, "everyday")
        agents = {a.agent.party_id: a.agent.address for a in self.assets if a.agent}
        add_funding(plan, people, self.batches, self.assets)
        add_market(plan, self.assets)
        add_staking(plan, rng, people)
        add_settlements(plan, people, self.batches, agents)
        add_contributions(plan, rng, people, self.work, self.assets)
        add_failures(plan, rng, people, self.permille)
        return plan

    def _seal_until(self, last: int, progress: Progress | None) -> None:
        for hour in range(self.chain.head.number + 1, last + 1):
            self._seal(self.plan.hours[hour], b"")
            if progress:
                progress(hour, HEAD)

    def _seal(self, ops: Sequence[Op], salt: bytes) -> None:
        for op in ops:
            contract = self.contracts[op.contract]
            tx_hash = contract.send(op.sender, op.function, *(self._resolved(arg) for arg in op.args))
            if op.tag:
                self._mined[op.tag] = tx_hash
        self.chain.seal(salt=salt)

    def _resolved(self, arg: Any) -> Any:
        return self.contracts[arg[1:]].address if isinstance(arg, str) and arg.startswith("@") else arg

    def _played(self) -> None:
        if self.chain.head.number != HEAD:
            raise BadSetting(
                f"the story stands at block {self.chain.head.number} of {HEAD}; play() it to the end first"
            )

    def _transfer_index(self, tx_hash: str) -> int:
        found = self.chain.transaction(tx_hash)
        assert found is not None
        block, position = found
        assert block.receipts is not None
        logs = block.receipts[position]["logs"]
        return next(int(log["logIndex"], 16) for log in logs if log["topics"][0] == events("PaymentToken")["Transfer"])

    # -- the platform

    @cached_property
    def _exports(self) -> tuple[dict[str, list[str]], dict[str, int]]:
        names = {asset.asset_id: asset.name for asset in self.assets}
        return call_logs.exported(self.calls, self.tokens, names, dice(self.seed, "dirt"), CHAIN_ID)

    @cached_property
    def _platform(self) -> tuple[dict[str, list[dict[str, Any]]], dict[str, dict[str, int]]]:
        """Every version of every row, and how many late, corrected and malformed ones stand among them."""
        planted = {"submissions": {"late": 0, "corrected": 0}}

        def count(what: str) -> None:
            planted["submissions"][what] += 1

        rng = dice(self.seed, "platform")
        legs: list[Leg] = self.payouts.legs
        rows = {
            "parties": list(platform_rows.parties(self.people, self.assets)),
            "assets": list(platform_rows.assets(self.assets, CHAIN_ID)),
            "tasks": list(platform_rows.tasks(self.work, self.assets, CHAIN_ID, self.tokens["tpart"])),
            "gold": list(platform_rows.gold(self.work)),
            "submissions": list(platform_rows.submissions(self.work, rng, count)),
            "reviews": list(platform_rows.reviews(self.work)),
            "credits": list(platform_rows.prepaid(self.batches, CHAIN_ID, self.tokens, rng)),
            "payout_legs": list(platform_rows.payout_legs(legs, self._mined, CHAIN_ID, self.tokens)),
            "ledger": list(platform_rows.ledger(legs, CHAIN_ID, self.tokens)),
        }
        for table, bad in platform_rows.malformed(self.tokens, CHAIN_ID).items():
            rows[table] += bad
            planted.setdefault(table, {})["malformed"] = len(bad)
        return rows, dict(sorted(planted.items()))

    def _totals(self) -> dict[str, Any]:
        paid: Counter[str] = Counter()
        for batch in self.batches:
            paid[batch.token] += batch.amount
        return {
            "blocks": HEAD + 1,
            "logs": len(self.chain.logs()),
            "contributors": len(self.people.workers),
            "assets": len(self.assets),
            "deepest": max(a.depth for a in self.assets),
            "calls": len(self.calls),
            "settlements": len(self.batches),
            "gross_value": {name: str(amount) for name, amount in sorted(paid.items())},
            "task_rewards": str(sum(self.payouts.rewards.values())),
        }


class RecordedEconomy(Economy):
    """The world of a recording: the same in everything, but its chain answers no calls and takes no transactions."""

    def __init__(self, kept: recorded.Recorded) -> None:
        super().__init__(kept.facts.seed, kept.facts.scale, machine=kept.machine())
        self._kept = kept

    def play(self, stage: Stage = "end", progress: Progress | None = None) -> Devnet:
        """As of any world. Raises BadRecording where a branch does not end as it was recorded."""
        chain = super().play(stage, progress)
        self._kept.check(chain.head.hash)
        return chain
