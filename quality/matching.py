"""Earned, instructed, settled, booked: which belongs to which, in exact integers, and what is left on each side.

Stored references first, then equal amounts where nobody else could be meant, then sums, and only then FIFO between
payouts and the earnings they discharge (40-earnings §6.2). The tolerance is 0 base units. Time is the chain's: a line
stands where the last finalized block leaves it, never where the wall clock does.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

EARLIEST, LATEST = (
    timedelta(days=7),
    timedelta(days=60),
)  # a payout may pay a leg this long before and after its due date
BOOKED_WITHIN = timedelta(days=3)  # a final payout younger than this may still be missing in the ledger


class Earning(NamedTuple):
    earning_id: str
    day: date
    period: str
    chain_id: int
    token: bytes
    party: str
    account: bytes | None
    kind: str
    amount: int


class Leg(NamedTuple):
    run_id: str
    leg_no: int
    party: str
    wallet: bytes
    chain_id: int
    token: bytes
    amount: int
    kind: str
    period: str
    instructed_at: datetime
    due_at: datetime
    sent_tx: bytes | None
    state: str

    @property
    def key(self) -> str:
        return f"leg:{self.run_id}:{self.leg_no}"


class Payout(NamedTuple):
    payout_id: str
    chain_id: int
    block_number: int
    log_index: int
    tx_hash: bytes
    at: datetime
    kind: str  # push, claim, transfer
    account: bytes
    party: str
    token: bytes
    amount: int

    @property
    def key(self) -> str:
        return f"tx:{self.chain_id}:0x{self.tx_hash.hex()}:{self.log_index}"


class Booking(NamedTuple):
    run_id: str
    leg_no: int
    amount: int


class Final(NamedTuple):
    """The last finalized block of a chain: what the money side of a chain knows for certain."""

    block: int
    at: datetime


class Link(NamedTuple):
    """A part of a payout and the earning it discharges; no earning where it discharges none."""

    payout: Payout
    earning: Earning | None
    recon_key: str
    amount: int


@dataclass(frozen=True, slots=True)
class Books:
    earnings: Sequence[Earning]
    legs: Sequence[Leg]
    payouts: Sequence[Payout]
    bookings: Sequence[Booking]
    failed: frozenset[tuple[int, bytes]]  # (chain, transaction) that reverted
    final: Mapping[int, Final]


@dataclass(frozen=True, slots=True)
class Line:
    recon_key: str
    status: str
    period: str
    kind: str
    chain_id: int
    token: bytes
    party: str
    account: bytes | None
    expected: int
    settled: int
    since: datetime  # when it began to stand here, as far as the chain's time tells
    booked: int | None = None
    due_at: datetime | None = None
    payout: Payout | None = None
    leg: Leg | None = None
    rule: str | None = None  # ref, exact, grouped, claim
    reason: str | None = None
    code: str | None = None  # where it is another than the status's own
    evidence: tuple[str, ...] = ()

    @property
    def delta(self) -> int:
        return self.settled - self.expected


@dataclass(slots=True)
class Matching:
    lines: list[Line]
    links: list[Link]


@dataclass(slots=True)
class _Settled:
    """What was found for one leg."""

    payouts: list[Payout] = field(default_factory=list)
    rule: str = "ref"
    astray: Payout | None = None
    astray_as: str = ""

    @property
    def amount(self) -> int:
        return sum(payout.amount for payout in self.payouts)


def match(books: Books) -> Matching:
    """Put every leg, payout, booking and open earning on exactly one line."""
    legs = sorted((leg for leg in books.legs), key=lambda leg: (leg.instructed_at, leg.run_id, leg.leg_no))
    payouts = sorted(books.payouts, key=lambda p: (p.at, p.chain_id, p.block_number, p.log_index))
    found: dict[str, _Settled] = {leg.key: _Settled() for leg in legs}
    free = {payout.payout_id: payout for payout in payouts if payout.kind != "claim"}
    _by_reference(legs, found, free)
    _by_amount(legs, found, free)
    _by_sum(legs, found, free)
    _astray(legs, found, free)

    discharging = [(p, leg.party, leg.kind, leg.key) for leg in legs for p in found[leg.key].payouts]
    discharging += [(p, p.party, "usage", p.key) for p in payouts if p.kind == "claim"]
    links = _fifo(books, discharging)
    over: dict[str, int] = defaultdict(int)
    for link in links:
        if link.earning is None:
            over[link.recon_key] += link.amount
    booked = _sums((f"leg:{b.run_id}:{b.leg_no}", b.amount) for b in books.bookings)

    lines = [
        _leg_line(books, leg, found[leg.key], booked.get(leg.key), over[leg.key]) for leg in legs if _stands(leg, found)
    ]
    lines += _bookings_without_a_leg(books, legs)
    lines += [_claim_line(books, p, over[p.key]) for p in payouts if p.kind == "claim"]
    paid = {(leg.chain_id, leg.wallet, leg.token, leg.amount): leg for leg in legs if found[leg.key].payouts}
    strays = [_stray_line(books, payout, paid) for payout in payouts if payout.payout_id in free]
    lines += strays
    lines += _open_lines(books, legs)
    links += _discharging_nothing(books, legs, found, strays)
    return Matching(sorted(lines, key=lambda line: line.recon_key), links)


# -- which payout settles which leg


def _by_reference(legs: Sequence[Leg], found: dict[str, _Settled], free: dict[str, Payout]) -> None:
    """The transaction that the platform says it sent: the equal amount in it first, then whatever reached the payee."""
    by_tx: dict[tuple[int, bytes], list[Payout]] = defaultdict(list)
    for payout in free.values():
        by_tx[payout.chain_id, payout.tx_hash].append(payout)
    for exact in (True, False):
        for leg in legs:
            if leg.sent_tx is None or found[leg.key].payouts:
                continue
            for payout in by_tx[leg.chain_id, leg.sent_tx]:
                reached = payout.account == leg.wallet and payout.token == leg.token
                if payout.payout_id in free and reached and (payout.amount == leg.amount or not exact):
                    _settle(found, free, leg, [payout], "ref")
                    break


def _by_amount(legs: Sequence[Leg], found: dict[str, _Settled], free: dict[str, Payout]) -> None:
    """The same payee, token and amount within the window, where only one leg and one payout can be meant."""
    waiting: dict[object, list[Leg]] = defaultdict(list)
    for leg in legs:
        if leg.sent_tx is None and not found[leg.key].payouts:
            waiting[leg.chain_id, leg.wallet, leg.token, leg.amount].append(leg)
    taken = {(leg.chain_id, leg.wallet, leg.token, leg.amount) for leg in legs if found[leg.key].payouts}
    offers: dict[object, list[Payout]] = defaultdict(list)
    for payout in free.values():
        offers[payout.chain_id, payout.account, payout.token, payout.amount].append(payout)
    for key, candidates in waiting.items():
        fitting = [p for p in offers[key] if _within(candidates[0], p)]
        # A leg of that payee and amount is settled already: the payout may be its double, so nobody guesses.
        if len(candidates) == len(fitting) == 1 and key not in taken:
            _settle(found, free, candidates[0], fitting, "exact")


def _by_sum(legs: Sequence[Leg], found: dict[str, _Settled], free: dict[str, Payout]) -> None:
    """Several payouts for one leg, or one payout for several legs of a run, where the sums are equal."""
    offers: dict[object, list[Payout]] = defaultdict(list)
    for payout in free.values():
        offers[payout.chain_id, payout.account, payout.token].append(payout)
    lacking: dict[tuple[int, bytes, bytes], list[Leg]] = defaultdict(list)
    for leg in legs:
        if found[leg.key].amount < leg.amount:
            lacking[leg.chain_id, leg.wallet, leg.token].append(leg)
    for key, candidates in lacking.items():
        if len(candidates) == 1:
            leg = candidates[0]
            fitting = [p for p in offers[key] if p.payout_id in free and _within(leg, p)]
            missing = leg.amount - found[leg.key].amount
            if fitting and sum(p.amount for p in fitting) == missing:
                _settle(found, free, leg, fitting, "grouped")
            continue
        for run in sorted({leg.run_id for leg in candidates}):
            together = [leg for leg in candidates if leg.run_id == run and not found[leg.key].payouts]
            total = sum(leg.amount for leg in together)
            fitting = [p for p in offers[key] if p.payout_id in free and p.amount == total and _within(together[0], p)]
            if len(together) > 1 and len(fitting) == 1:
                for leg in together:
                    _settle(found, free, leg, [fitting[0]._replace(amount=leg.amount)], "grouped")


def _astray(legs: Sequence[Leg], found: dict[str, _Settled], free: dict[str, Payout]) -> None:
    """What the referenced transaction did instead: another account, another token, another chain."""
    by_tx: dict[bytes, list[Payout]] = defaultdict(list)
    for payout in free.values():
        by_tx[payout.tx_hash].append(payout)
    tests: tuple[tuple[str, Callable[[Leg, Payout], bool]], ...] = (
        ("wrong_token_or_chain", lambda leg, p: p.account == leg.wallet),
        ("wrong_recipient", lambda leg, p: p.chain_id == leg.chain_id and p.token == leg.token),
    )
    for status, test in tests:
        for leg in legs:
            if leg.sent_tx is None or found[leg.key].payouts or found[leg.key].astray:
                continue
            for payout in by_tx[leg.sent_tx]:
                if payout.payout_id in free and test(leg, payout):
                    found[leg.key].astray, found[leg.key].astray_as = free.pop(payout.payout_id), status
                    break


def _settle(
    found: dict[str, _Settled], free: dict[str, Payout], leg: Leg, payouts: Sequence[Payout], rule: str
) -> None:
    settled = found[leg.key]
    settled.payouts += payouts
    settled.rule = rule
    for payout in payouts:
        free.pop(payout.payout_id, None)


def _within(leg: Leg, payout: Payout) -> bool:
    return leg.due_at - EARLIEST <= payout.at <= leg.due_at + LATEST


# -- which payout discharges which earning


def _fifo(books: Books, discharging: Iterable[tuple[Payout, str, str, str]]) -> list[Link]:
    """Final payouts in the order of time, each against the oldest open earnings of its payee, token and kind.

    A payout never discharges what was earned after its day; what is left of it discharges nothing.
    """
    queues: dict[tuple[str, int, bytes, str], list[Earning]] = defaultdict(list)
    for earning in sorted(books.earnings, key=lambda e: (e.day, e.earning_id)):
        queues[earning.party, earning.chain_id, earning.token, earning.kind].append(earning)
    left = {key: [earning.amount for earning in queue] for key, queue in queues.items()}
    heads: dict[tuple[str, int, bytes, str], int] = defaultdict(int)
    links: list[Link] = []
    for payout, party, kind, key in sorted(
        discharging, key=lambda d: (d[0].at, d[0].block_number, d[0].log_index, d[3])
    ):
        if not _is_final(books, payout):
            continue
        who = (party, payout.chain_id, payout.token, kind)
        queue, open_ = queues.get(who, []), left.get(who, [])
        rest, i = payout.amount, heads[who]
        while rest and i < len(queue) and queue[i].day <= payout.at.astimezone(UTC).date():
            part = min(rest, open_[i])
            if part:
                links.append(Link(payout, queue[i], key, part))
                open_[i] -= part
                rest -= part
            if open_[i] == 0:
                i += 1
        heads[who] = i
        if rest:
            links.append(Link(payout, None, key, rest))
    return links


def _discharging_nothing(
    books: Books, legs: Sequence[Leg], found: Mapping[str, _Settled], strays: Sequence[Line]
) -> list[Link]:
    """Final payouts that are on a line and pay nobody's earning: strays, and what went astray."""
    lost = [(line.payout, line.recon_key) for line in strays if line.payout]
    lost += [(astray, leg.key) for leg in legs if (astray := found[leg.key].astray)]
    return [Link(payout, None, key, payout.amount) for payout, key in lost if _is_final(books, payout)]


# -- where each line stands


def _leg_line(books: Books, leg: Leg, settled: _Settled, booked: int | None, over: int) -> Line:
    final = books.final.get(leg.chain_id)
    line = Line(
        recon_key=leg.key, status="matched", period=leg.period, kind=leg.kind, chain_id=leg.chain_id, token=leg.token,
        party=leg.party, account=leg.wallet, expected=leg.amount, settled=settled.amount, since=leg.instructed_at,
        booked=booked, due_at=leg.due_at, leg=leg, rule=settled.rule if settled.payouts else None,
        payout=settled.payouts[-1] if settled.payouts else settled.astray,
        evidence=tuple(p.key for p in (*settled.payouts, *([settled.astray] if settled.astray else []))),
    )  # fmt: skip
    if settled.payouts:
        return _paid_leg(books, line, settled, over)
    overdue = final is not None and leg.due_at <= final.at
    if settled.astray:
        if not _is_final(books, settled.astray):
            return replace(line, status="in_flight")
        other_chain = settled.astray.chain_id != leg.chain_id
        unknown = settled.astray_as == "wrong_recipient" and settled.astray.party.startswith("0x")
        return replace(
            line,
            status=settled.astray_as,
            code="E07" if other_chain else None,
            since=settled.astray.at,
            reason="unknown_wallet" if unknown else None,
        )
    if leg.sent_tx is not None and (leg.chain_id, leg.sent_tx) in books.failed:
        return replace(line, status="reverted_or_failed", evidence=(f"tx:{leg.chain_id}:0x{leg.sent_tx.hex()}",))
    if leg.state == "held":
        return replace(line, status="on_hold")
    if not overdue:
        return replace(line, status="not_due" if leg.sent_tx is None else "in_flight")
    return replace(line, status="missing_on_chain", since=leg.due_at, reason="source_gap" if leg.sent_tx else None)


def _paid_leg(books: Books, line: Line, settled: _Settled, over: int) -> Line:
    due_at = line.due_at
    assert due_at is not None  # a leg always says when it is due
    last = settled.payouts[-1]
    if not all(_is_final(books, payout) for payout in settled.payouts):
        return replace(line, status="in_flight", since=last.at)
    line = replace(line, since=last.at)
    if line.settled < line.expected:
        return replace(line, status="partial")
    if line.settled > line.expected:
        return replace(line, status="amount_mismatch")
    if last.at > due_at:
        return replace(line, status="paid_late", since=due_at)
    if over:
        return replace(line, status="amount_mismatch", reason="attribution_restated")
    unbooked = line.booked is None and books.final[last.chain_id].at - last.at > BOOKED_WITHIN
    if unbooked or (line.booked is not None and line.booked != line.settled):
        return replace(line, status="amount_mismatch", reason="source_gap" if unbooked else None)
    return replace(line, status="matched_grouped") if settled.rule == "grouped" else line


def _claim_line(books: Books, payout: Payout, over: int) -> Line:
    """What a payee took from the vault: instructed by nobody, so earned and settled are compared directly."""
    status = "in_flight" if not _is_final(books, payout) else "unexpected_on_chain" if over else "matched"
    line = _payout_line(payout, status, payout.amount - over, payout.at.strftime("%Y-%m"), "usage")
    return replace(line, rule="claim", reason="attribution_restated" if over else None)


def _stray_line(books: Books, payout: Payout, paid: Mapping[tuple[int, bytes, bytes, int], Leg]) -> Line:
    twin = paid.get((payout.chain_id, payout.account, payout.token, payout.amount))
    status = "duplicate_payment" if twin else "unexpected_on_chain"
    if not _is_final(books, payout):
        status = "in_flight"
    kind = twin.kind if twin else "task" if payout.kind == "transfer" else "usage"
    line = _payout_line(payout, status, 0, twin.period if twin else payout.at.strftime("%Y-%m"), kind)
    known = "" if twin or not payout.party.startswith("0x") else "unknown_wallet"
    return replace(line, reason=known or None, evidence=(payout.key, *([twin.key] if twin else [])))


def _payout_line(payout: Payout, status: str, expected: int, period: str, kind: str) -> Line:
    return Line(
        recon_key=payout.key, status=status, period=period, kind=kind, chain_id=payout.chain_id, token=payout.token,
        party=payout.party, account=payout.account, expected=expected, settled=payout.amount, since=payout.at,
        payout=payout, evidence=(payout.key,),
    )  # fmt: skip


def _bookings_without_a_leg(books: Books, legs: Sequence[Leg]) -> list[Line]:
    """The ledger says that something was paid which no run ever instructed."""
    known = {leg.key for leg in legs}
    extra = _sums((key, b.amount) for b in books.bookings if (key := f"leg:{b.run_id}:{b.leg_no}") not in known)
    if not extra:
        return []
    chain_id, final = max(books.final.items(), key=lambda item: item[1].at)
    return [
        Line(
            recon_key=key, status="amount_mismatch", period=final.at.strftime("%Y-%m"), kind="task", chain_id=chain_id,
            token=b"", party="", account=None, expected=0, settled=0, since=final.at, booked=amount,
            reason="source_gap",
        )
        for key, amount in sorted(extra.items())
    ]  # fmt: skip


def _stands(leg: Leg, found: Mapping[str, _Settled]) -> bool:
    """A cancelled leg asks for nothing, unless money moved for it."""
    return leg.state != "cancelled" or bool(found[leg.key].payouts or found[leg.key].astray)


# -- what was earned and nobody instructed or claimed


def _open_lines(books: Books, legs: Sequence[Leg]) -> list[Line]:
    """One line per payee, token, kind and period with earnings that no leg and no claim covers."""
    standing = [leg for leg in legs if leg.state != "cancelled"]
    covers: dict[tuple[str, int, bytes, str], list[tuple[str, date | None, int]]] = defaultdict(list)
    for leg in standing:
        covers[leg.party, leg.chain_id, leg.token, leg.kind].append((leg.period, None, leg.amount))
    claimers = set()
    for payout in books.payouts:
        if payout.kind == "claim":
            claimers.add((payout.party, payout.chain_id))
            day = payout.at.astimezone(UTC).date()
            covers[payout.party, payout.chain_id, payout.token, "usage"].append(
                (day.isoformat()[:7], day, payout.amount)
            )
    closed = _sorted_runs(standing)
    queues: dict[tuple[str, int, bytes, str], list[Earning]] = defaultdict(list)
    for earning in sorted(books.earnings, key=lambda e: (e.day, e.earning_id)):
        queues[earning.party, earning.chain_id, earning.token, earning.kind].append(earning)
    lines = []
    for who, queue in queues.items():
        left = _uncovered(queue, covers.get(who, []))
        carried = 0
        for period in sorted({earning.period for earning in queue}):
            amount = sum(part for earning, part in zip(queue, left, strict=True) if earning.period == period)
            carried += amount
            if amount:
                claims = who[3] == "usage" and (who[0], who[1]) in claimers
                lines.append(_open_line(who, period, amount, carried, queue, closed, claims=claims))
    return lines


def _uncovered(queue: Sequence[Earning], covers: Sequence[tuple[str, date | None, int]]) -> list[int]:
    """What is left of each earning; a leg covers up to the end of its period, a claim up to its day."""
    left = [earning.amount for earning in queue]
    head = 0
    for period, day, amount in sorted(covers, key=lambda c: (c[0], c[1] or date.max)):
        rest, i = amount, head
        while rest and i < len(queue) and queue[i].period <= period and (day is None or queue[i].day <= day):
            part = min(rest, left[i])
            left[i] -= part
            rest -= part
            i += left[i] == 0
        head = i
    return left


class _Run(NamedTuple):
    """What the runs of one kind on one chain say: the last period instructed, and the least they ever paid a token."""

    last: str
    least: dict[bytes, int]


def _sorted_runs(legs: Sequence[Leg]) -> dict[tuple[int, str], _Run]:
    runs: dict[tuple[int, str], _Run] = {}
    for leg in legs:
        last, least = runs.get((leg.chain_id, leg.kind), _Run("", {}))
        least[leg.token] = min(leg.amount, least.get(leg.token, leg.amount))
        runs[leg.chain_id, leg.kind] = _Run(max(last, leg.period), least)
    return runs


def _open_line(
    who: tuple[str, int, bytes, str],
    period: str,
    amount: int,
    carried: int,
    queue: Sequence[Earning],
    runs: Mapping[tuple[int, str], _Run],
    *,
    claims: bool,
) -> Line:
    party, chain_id, token, kind = who
    run = runs.get((chain_id, kind))
    of_period = [earning for earning in queue if earning.period == period]
    last = of_period[-1]
    reason = None
    if last.account is None:
        status, reason = "on_hold", "unknown_wallet"  # nobody can be paid until a wallet is known
    elif claims or run is None or period > run.last:
        status = "not_due"  # to be claimed at will, or waiting for its run
    elif carried < run.least.get(token, carried + 1):
        # The runs themselves tell the threshold: nobody was ever paid as little as this.
        status = "below_threshold_carried"
    else:
        status = "missing_on_chain"
    return Line(
        recon_key=f"party:{party}:{chain_id}:0x{token.hex()}:{period}:{kind}",
        status=status, period=period, kind=kind, chain_id=chain_id, token=token, party=party, account=last.account,
        expected=amount, settled=0, since=datetime(last.day.year, last.day.month, last.day.day, tzinfo=UTC),
        reason=reason, evidence=tuple(f"earning:{e.earning_id}" for e in of_period[-3:]),
    )  # fmt: skip


def _is_final(books: Books, payout: Payout) -> bool:
    final = books.final.get(payout.chain_id)
    return final is not None and payout.block_number <= final.block


def _sums(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int)
    for key, amount in pairs:
        total[key] += amount
    return dict(total)
