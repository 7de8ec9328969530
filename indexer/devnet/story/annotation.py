"""Labelling: tasks with weekly rates, answers by skill, peer review by quorum, and what an approved datapoint earns."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from indexer.devnet.story.actors import Cast, Worker
from indexer.devnet.story.clock import CUT, HEAD, period, period_end, second
from indexer.devnet.story.dice import dice
from indexer.proof import keccak

QUIET_DAYS = frozenset({15, 50, 71})  # 2026-08-16, 2026-09-20, 2026-10-11
TYPES = ("text", "links", "text", "video", "hybrid")
LANGUAGES = ("en", "sw", "hi", "pt", "vi", None)
DIFFICULTY = ("beginner", "intermediate", "advanced", "expert")
NOW = HEAD * 3_600


@dataclass(frozen=True, slots=True)
class Rate:
    version: int
    valid_from: int
    base_points: int
    bonus_pct: int
    amount: int | None  # base units of the partner token per approved datapoint


@dataclass(frozen=True, slots=True)
class Task:
    task_id: str
    title: str
    data_type: str
    language: str | None
    difficulty: str
    dataset: int  # which dataset of the market it fills, counted from 0
    labels: int
    reward_kind: str
    quorum: int
    opens: int
    closes: int
    rates: Sequence[Rate]
    gold: dict[str, int]

    def rate(self, at: int) -> Rate:
        """The version in force."""
        return [rate for rate in self.rates if rate.valid_from <= at][-1]


@dataclass(frozen=True, slots=True)
class Review:
    review_id: str
    reviewer: str
    round: int
    approve: bool
    at: int


@dataclass(frozen=True, slots=True)
class Submission:
    submission_id: str
    task: Task
    item: str
    worker: Worker
    label: int
    seconds: int
    content: bytes | None
    at: int
    received: int  # when the platform's database learned of it
    reviews: Sequence[Review]
    status: str
    decided: int | None

    @property
    def reward(self) -> int:
        """Base units of the partner token, at the rate in force when the work was handed in."""
        return (self.task.rate(self.at).amount or 0) if self.status == "approved" else 0


@dataclass(frozen=True, slots=True)
class Labelling:
    tasks: Sequence[Task]
    submissions: Sequence[Submission]

    def approved_work(self, dataset: int, before: int) -> dict[str, int]:
        """Approved datapoints per contributor in one dataset, most first."""
        work: dict[str, int] = defaultdict(int)
        for s in self.submissions:
            if s.task.dataset == dataset and s.status == "approved" and s.decided is not None and s.decided < before:
                work[s.worker.party.party_id] += 1
        return dict(sorted(work.items(), key=lambda pair: (-pair[1], pair[0])))


def labelling(seed: int, permille: int, people: Cast) -> Labelling:
    rng = dice(seed, "annotation")
    tasks = [_task(rng, number) for number in range(26)]
    submissions: list[Submission] = []
    for task in tasks:
        submissions += _work(rng, task, people.workers, max(14, 95 * permille // 1_000), len(submissions))
    return Labelling(tasks, submissions)


def _task(rng: random.Random, number: int) -> Task:
    dataset = number % 16
    opens = (-1 if number < 5 else rng.randrange(0, 12) if number < 16 else rng.randrange(34, 56)) * 86_400
    closes = min(opens + rng.randrange(45, 80) * 86_400, NOW - 3_600)
    kind = ("dual", "enterprise", "dual", "community")[number % 4] if number not in {3, 7} else "dual"
    base, pay = rng.randrange(10, 40), rng.randrange(20, 90) * 10**16
    rates = []
    for version, start in enumerate(range(-5 * 86_400, NOW, 7 * 86_400), start=1):  # Mondays: values change weekly
        drift = rng.randrange(90, 112)
        amount = None if kind == "community" else pay * drift // 100 + rng.randrange(10**9)
        rates.append(Rate(version, start, base + rng.randrange(-2, 3), rng.choice((0, 0, 5, 10)), amount))
    data_type = TYPES[number % len(TYPES)]
    return Task(
        f"task-{number + 1:02d}", f"{data_type.title()} labelling {number + 1}", data_type,
        LANGUAGES[number % len(LANGUAGES)], DIFFICULTY[number % 4], dataset, 2 + number % 4, kind,
        3 if number % 5 == 0 else 2, opens, closes, rates, {},
    )  # fmt: skip


def _work(rng: random.Random, task: Task, workers: Sequence[Worker], items: int, known: int) -> list[Submission]:
    crew = _crew(rng, task, workers)
    reviewers = [w for w in workers if w.reviews]
    copiers = [w for w in crew if w.skill == "copier"]
    favourite = {w.party.party_id: rng.randrange(task.labels) for w in crew}
    done: list[Submission] = []
    for number in range(items):
        item, truth = f"{task.task_id}-i{number:04d}", rng.randrange(task.labels)
        if rng.randrange(10) == 0:
            task.gold[item] = truth
        begins = task.opens + (task.closes - task.opens) * number // items
        team = _team(rng, crew, copiers, 5)
        shared: int | None = None  # what the first of the copying group answered
        for worker in team:
            at = _when(rng, begins, task, worker)
            if at is None:
                continue
            label = _answer(rng, worker, truth, task.labels, favourite[worker.party.party_id])
            if worker.skill == "copier":
                shared = label if shared is None else shared
                label = shared if rng.randrange(100) < 92 else label
            done.append(_reviewed(rng, task, item, worker, label, truth, at, reviewers, known + len(done)))
    return done


def _crew(rng: random.Random, task: Task, workers: Sequence[Worker]) -> list[Worker]:
    size = max(12, len(workers) // 7)
    present = [w for w in workers if (w.party.activated or 0) < task.closes - 86_400 and w.left > task.opens]
    crew = rng.sample([w for w in present if w.skill != "copier"], min(size, len(present) - 4))
    return crew + [w for w in workers if w.skill == "copier" and int(task.task_id[-2:]) % 3 == 0]


def _team(rng: random.Random, crew: list[Worker], copiers: list[Worker], size: int) -> list[Worker]:
    honest = [w for w in crew if w.skill != "copier"]
    if copiers and rng.randrange(10) < 7:
        return [*copiers, *rng.sample(honest, 3)]
    return rng.sample(honest, min(size, len(honest)))


def _when(rng: random.Random, begins: int, task: Task, worker: Worker) -> int | None:
    at = max(begins, (worker.party.activated or 0) + 3_600, 0) + rng.randrange(4 * 86_400)
    if at // 86_400 in QUIET_DAYS:
        at += 86_400
    last_evening = period_end(period(at)) - 6 * 3_600  # reviewers clear a month's queue before it closes
    at = min(at, last_evening - rng.randrange(3_600)) if at > last_evening else at
    return at if at < min(worker.left, task.closes + 5 * 86_400, NOW - 4 * 3_600) else None


def _answer(rng: random.Random, worker: Worker, truth: int, labels: int, favourite: int) -> int:
    if worker.skill == "random":
        return rng.randrange(labels)
    if worker.skill == "constant":
        return favourite
    if rng.randrange(100) < worker.accuracy:
        return truth
    return (truth + 1 + rng.randrange(labels - 1)) % labels


def _reviewed(
    rng: random.Random, task: Task, item: str, worker: Worker, label: int, truth: int, at: int,
    reviewers: list[Worker], number: int,
) -> Submission:  # fmt: skip
    submission_id = f"s-{number + 1:06d}"
    spammer = worker.skill in {"random", "constant"}
    seconds = rng.randrange(2, 7) if spammer else rng.randrange(15, 140)
    content = None
    if task.data_type in {"text", "hybrid"}:
        # One answer in forty repeats another word for word.
        text = f"{task.task_id}/{rng.randrange(6)}" if rng.randrange(40) == 0 else f"{submission_id}/{label}"
        content = keccak(text.encode())
    late = 75 * 86_400 < at < 91 * 86_400 and period(at) == "2026-10" and rng.randrange(100) < 12
    # An annotator who was offline: handed in during October, seen by the platform in November.
    received = second(CUT) + rng.randrange(3_600, 30 * 3_600) if late else at
    reviews, status, decided = _judge(rng, task, submission_id, worker, label == truth, received, reviewers)
    return Submission(
        submission_id, task, item, worker, label, seconds, content, at, received, reviews, status, decided
    )


def _judge(
    rng: random.Random, task: Task, submission_id: str, worker: Worker, right: bool, received: int,
    reviewers: list[Worker],
) -> tuple[list[Review], str, int | None]:  # fmt: skip
    closes = min(period_end(period(received)) - 60, NOW - 60)
    present = [w for w in reviewers if (w.party.activated or 0) < received and w is not worker]
    panel = rng.sample(present, min(task.quorum + 1, len(present)))
    reviews: list[Review] = []
    at = received
    for turn, reviewer in enumerate(panel):
        votes = [r.approve for r in reviews]
        if turn >= task.quorum and (task.quorum % 2 or votes.count(True) * 2 != len(votes)):
            break  # one more is asked only to break a tie
        at += min(rng.randrange(1_800, 12 * 3_600), max(2, (closes - at) // 3))
        approve = rng.randrange(100) < (93 if right else 14)
        reviews.append(Review(f"{submission_id}-r{turn + 1}", reviewer.party.party_id, 1, approve, at))
    votes = [r.approve for r in reviews]
    if len(votes) < task.quorum:
        return reviews, "submitted", None
    if votes.count(True) * 2 > len(votes):
        return reviews, "approved", at
    return reviews, "rework" if rng.randrange(12) == 0 else "rejected", at
