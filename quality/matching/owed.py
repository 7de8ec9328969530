"""What was earned and nobody instructed or claimed, a line per payee, token, kind and period."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from quality.matching.books import Books, Earning, Leg, Line, Payee

DUE_WITHIN = timedelta(days=31)  # after its month, where no run has ever told when such earnings are due


@dataclass(slots=True)
class Covered:
    """Legs and claims laid over the earnings they are for."""

    left: dict[Payee, list[int]]  # of each earning of ``Books.by_payee``, what nothing covers
    lacking: dict[str, int]  # of each leg and claim, by its key, what no earning stands behind
    legs: dict[Payee, str] = field(default_factory=dict)  # the last period a leg instructs
    claims: dict[Payee, date] = field(default_factory=dict)  # the day of the last claim


class _Cover(NamedTuple):
    period: str
    day: date  # nothing earned later is meant
    key: str
    amount: int


def cover(books: Books, legs: Sequence[Leg]) -> Covered:
    """First in, first out: a leg covers up to the end of its period, a claim up to its day."""
    covered = Covered({}, defaultdict(int))
    covers: dict[Payee, list[_Cover]] = defaultdict(list)
    for leg in legs:
        if leg.stands:
            who = leg.party, leg.chain_id, leg.token, leg.kind
            covers[who].append(_Cover(leg.period, date.max, leg.key, leg.amount))
            covered.legs[who] = max(covered.legs.get(who, ""), leg.period)
    for payout in books.payouts:
        if payout.kind == "claim":
            who, day = (payout.party, payout.chain_id, payout.token, "usage"), payout.at.astimezone(UTC).date()
            covers[who].append(_Cover(day.isoformat()[:7], day, payout.key, payout.amount))
            covered.claims[who] = max(covered.claims.get(who, day), day)
    queues = books.by_payee()
    for who in queues.keys() | covers.keys():
        queue = queues.get(who, [])
        covered.left[who] = [earning.amount for earning in queue]
        _lay(queue, sorted(covers.get(who, [])), covered.left[who], covered.lacking)
    return covered


def _lay(queue: Sequence[Earning], covers: Sequence[_Cover], left: list[int], lacking: dict[str, int]) -> None:
    i = 0
    for period, day, key, amount in covers:
        rest = amount
        while rest and i < len(queue) and queue[i].period <= period and queue[i].day <= day:
            part = min(rest, left[i])
            left[i] -= part
            rest -= part
            i += left[i] == 0
        lacking[key] += rest


class _Runs:
    """What the runs of one kind on one chain say."""

    def __init__(self) -> None:
        self.last = ""  # the last period instructed
        self.least: dict[bytes, int] = {}  # the least they ever instructed of a token
        self._due: dict[str, datetime] = {}

    def add(self, leg: Leg) -> None:
        self.last = max(self.last, leg.period)
        self.least[leg.token] = min(leg.amount, self.least.get(leg.token, leg.amount))
        self._due[leg.period] = max(leg.due_at, self._due.get(leg.period, leg.due_at))

    def due(self, period: str) -> datetime:
        """When a run of that period pays; before there is one, as long after its month as the slowest one so far."""
        lags = [at - _end_of(month) for month, at in self._due.items()]
        return self._due.get(period) or _end_of(period) + max(lags, default=DUE_WITHIN)


def open_lines(books: Books, legs: Sequence[Leg], covered: Covered) -> list[Line]:
    """One line per payee, token, kind and period with earnings that no leg and no claim covers."""
    runs: dict[tuple[int, str], _Runs] = defaultdict(_Runs)
    for leg in legs:
        if leg.stands:
            runs[leg.chain_id, leg.kind].add(leg)
    lines = []
    for who, queue in books.by_payee().items():
        carried = 0
        for period in sorted({earning.period for earning in queue}):
            parts = [(e, part) for e, part in zip(queue, covered.left[who], strict=True) if e.period == period and part]
            carried += sum(part for _, part in parts)
            if parts:
                lines.append(_open_line(books, who, period, parts, carried, covered, runs))
    return lines


def _open_line(
    books: Books,
    who: Payee,
    period: str,
    parts: Sequence[tuple[Earning, int]],
    carried: int,
    covered: Covered,
    runs: Mapping[tuple[int, str], _Runs],
) -> Line:
    party, chain_id, token, kind = who
    run, final, last = runs.get((chain_id, kind)), books.final.get(chain_id), parts[-1][0]
    due = (run or _Runs()).due(period)
    past_due = final is not None and due <= final.at
    reason = None
    if last.account is None:
        status, reason = "on_hold", "unknown_wallet"  # nobody can be paid until a wallet is known
    elif period <= covered.legs.get(who, ""):
        # A leg of this period or a later one was to pay it, and named less.
        status, reason = "amount_mismatch", "attribution_restated"
    elif kind == "usage" and _claimable(who, parts[0][0].day, covered, run):
        status, reason = "not_due", "claimable"
    elif run and carried < run.least.get(token, 0) and (period <= run.last or past_due):
        # The runs themselves tell the threshold: nobody was ever paid as little of this token.
        status = "below_threshold_carried"
    else:
        status = "missing_on_chain" if past_due else "not_due"
    return Line(
        recon_key=f"party:{party}:{chain_id}:0x{token.hex()}:{period}:{kind}",
        status=status, period=period, kind=kind, chain_id=chain_id, token=token, party=party, account=last.account,
        expected=sum(part for _, part in parts), settled=0,
        since=due if status == "missing_on_chain" else datetime.combine(last.day, time.min, UTC),
        reason=reason, evidence=tuple(f"earning:{earning.earning_id}" for earning, _ in parts[-3:]),
    )  # fmt: skip


def _claimable(who: Payee, earned: date, covered: Covered, run: _Runs | None) -> bool:
    """Whether the vault holds it for the payee to take at will, so that nobody owes a payment.

    A claim takes all that the vault holds of a token: one who claims in it can still find there what he earned since
    his last claim, and no more. What is older should have come with it. Who never claimed in this token waits for the
    runs, unless no run pays usage on this chain at all and claiming is the only way.
    """
    claimed = covered.claims.get(who)
    return run is None if claimed is None else earned >= claimed


def _end_of(period: str) -> datetime:
    year, month = map(int, period.split("-"))
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
