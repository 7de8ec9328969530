"""What was earned and nobody instructed or claimed, a line per payee, token, kind and period."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from quality.matching.books import Books, Earning, Leg, Line, Payee


def open_lines(books: Books, legs: Sequence[Leg]) -> list[Line]:
    """One line per payee, token, kind and period with earnings that no leg and no claim covers."""
    standing = [leg for leg in legs if leg.state != "cancelled"]
    covers: dict[Payee, list[tuple[str, date | None, int]]] = defaultdict(list)
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
    runs = _runs_of(standing)
    lines = []
    for who, queue in books.by_payee().items():
        left = _uncovered(queue, covers.get(who, []))
        carried = 0
        for period in sorted({earning.period for earning in queue}):
            amount = sum(part for earning, part in zip(queue, left, strict=True) if earning.period == period)
            carried += amount
            if amount:
                claims = who[3] == "usage" and (who[0], who[1]) in claimers
                lines.append(_open_line(who, period, amount, carried, queue, runs, claims=claims))
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


def _runs_of(legs: Sequence[Leg]) -> dict[tuple[int, str], _Run]:
    runs: dict[tuple[int, str], _Run] = {}
    for leg in legs:
        last, least = runs.get((leg.chain_id, leg.kind), _Run("", {}))
        least[leg.token] = min(leg.amount, least.get(leg.token, leg.amount))
        runs[leg.chain_id, leg.kind] = _Run(max(last, leg.period), least)
    return runs


def _open_line(
    who: Payee,
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
