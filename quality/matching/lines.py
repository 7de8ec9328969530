"""Where each leg, claim, stray payout and booking stands, judged by the time of its chain."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from quality import line_status
from quality.matching.books import Booking, Books, Leg, Line, Payout
from quality.matching.settle import Settled

BOOKED_WITHIN = timedelta(days=3)  # a final payout younger than this may still be missing in the ledger
Paid = Mapping[tuple[int, bytes, bytes, int], Leg]  # legs that were paid, by chain, account, token and amount


def leg_line(
    books: Books, leg: Leg, settled: Settled, bookings: Sequence[Booking], paid: Paid, lacking: int, over: int
) -> Line:
    """Where a leg stands: first what the chain says of it, then, where that is no break, what the ledger says.

    Args:
        books: all four sides.
        leg: the leg.
        settled: what was found for it on chain.
        bookings: the ledger's rows that name it.
        paid: the legs that were paid, to know a double from a stranger.
        lacking: what it instructs beyond what its payee earned up to the end of its period.
        over: what it paid beyond what its payee had earned by that day.
    """
    own = [b.amount for b in bookings if (b.party, b.chain_id, b.token) == (leg.party, leg.chain_id, leg.token)]
    line = Line(
        recon_key=leg.key, status="matched", period=leg.period, kind=leg.kind, chain_id=leg.chain_id, token=leg.token,
        party=leg.party, account=leg.wallet, expected=leg.amount - lacking if leg.stands else 0, settled=settled.amount,
        since=leg.instructed_at, booked=sum(own) if own else None, due_at=leg.due_at, leg=leg,
        rule=settled.rule if settled.payouts else None, astray=settled.astray,
        payout=settled.payouts[-1] if settled.payouts else settled.astray,
        evidence=tuple(p.key for p in (*settled.payouts, *([settled.astray] if settled.astray else []))),
    )  # fmt: skip
    if not settled.payouts:
        line = _unpaid_leg(books, line, leg, settled)
    elif not all(books.is_final(payout) for payout in settled.payouts):
        line = replace(line, status="in_flight", since=settled.payouts[-1].at)
    elif leg.state in ("cancelled", "held"):
        twin = None if leg.stands else paid.get((leg.chain_id, leg.wallet, leg.token, line.settled))
        evidence = (*line.evidence, *([twin.key] if twin else []))
        status = "duplicate_payment" if twin else "unexpected_on_chain"
        line = replace(line, status=status, since=settled.payouts[-1].at, evidence=evidence)
    else:
        line = _paid_leg(line, settled, over)
    if lacking and not line_status.is_break(line.status):
        line = replace(line, status="amount_mismatch")
    return line if line_status.is_break(line.status) else _booked_leg(books, line, leg, bookings)


def claim_line(books: Books, payout: Payout, lacking: int) -> Line:
    """What a payee took from the vault: instructed by nobody, so earned and settled are compared directly."""
    status = "in_flight" if not books.is_final(payout) else "unexpected_on_chain" if lacking else "matched"
    line = _payout_line(payout, status, payout.amount - lacking, payout.at.strftime("%Y-%m"), "usage")
    return replace(line, rule="claim", reason="attribution_restated" if lacking else None)


def stray_line(books: Books, payout: Payout, paid: Paid) -> Line:
    twin = paid.get((payout.chain_id, payout.account, payout.token, payout.amount))
    status = "duplicate_payment" if twin else "unexpected_on_chain"
    if not books.is_final(payout):
        status = "in_flight"
    kind = twin.kind if twin else "task" if payout.kind == "transfer" else "usage"
    line = _payout_line(payout, status, 0, twin.period if twin else payout.at.strftime("%Y-%m"), kind)
    known = "" if twin or not payout.party.startswith("0x") else "unknown_wallet"
    return replace(line, reason=known or None, evidence=(payout.key, *([twin.key] if twin else [])))


def bookings_without_a_leg(books: Books, legs: Sequence[Leg]) -> list[Line]:
    """The ledger says that something was paid which no run ever instructed; two tokens are never one line."""
    known = {leg.key for leg in legs}
    purses: dict[tuple[str, int, bytes, str], list[Booking]] = defaultdict(list)
    for booking in sorted(books.bookings, key=lambda b: b.ledger_id):
        if booking.key not in known:
            purses[booking.key, booking.chain_id, booking.token, booking.party].append(booking)
    lines: dict[str, Line] = {}
    for (key, chain_id, token, party), rows in sorted(purses.items()):
        first = min(row.booked_at for row in rows)
        own = f"{key}:{party}:{chain_id}:0x{token.hex()}" if key in lines else key
        lines[own] = Line(
            recon_key=own, status="amount_mismatch", period=first.strftime("%Y-%m"), kind="task", chain_id=chain_id,
            token=token, party=party, account=None, expected=0, settled=0, since=first,
            booked=sum(row.amount for row in rows), reason="source_gap", evidence=tuple(row.evidence for row in rows),
        )  # fmt: skip
    return list(lines.values())


def _unpaid_leg(books: Books, line: Line, leg: Leg, settled: Settled) -> Line:
    final = books.final.get(leg.chain_id)
    overdue = final is not None and leg.due_at <= final.at
    if settled.astray:
        if not books.is_final(settled.astray):
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
    if not leg.stands:
        return replace(line, status="not_due")  # it stands here for what the ledger says of it
    if leg.sent_tx is not None and (leg.chain_id, leg.sent_tx) in books.failed:
        return replace(line, status="reverted_or_failed", evidence=(f"tx:{leg.chain_id}:0x{leg.sent_tx.hex()}",))
    if leg.state == "held":
        return replace(line, status="on_hold")
    if not overdue:
        return replace(line, status="not_due" if leg.sent_tx is None else "in_flight")
    return replace(line, status="missing_on_chain", since=leg.due_at, reason="source_gap" if leg.sent_tx else None)


def _paid_leg(line: Line, settled: Settled, over: int) -> Line:
    due_at = line.due_at
    assert due_at is not None  # a leg always says when it is due
    last = settled.payouts[-1]
    line = replace(line, since=last.at)
    if line.settled < line.expected:
        return replace(line, status="partial")
    if line.settled > line.expected:
        return replace(line, status="amount_mismatch")
    if last.at > due_at:
        return replace(line, status="paid_late", since=due_at)
    if over:
        return replace(line, status="amount_mismatch", reason="attribution_restated")
    return replace(line, status="matched_grouped") if settled.rule == "grouped" else line


def _booked_leg(books: Books, line: Line, leg: Leg, bookings: Sequence[Booking]) -> Line:
    """The ledger must name the same payee, chain, token and amount, whatever state the leg is in."""
    rows = tuple(row.evidence for row in bookings)
    elsewhere = [row for row in bookings if (row.chain_id, row.token) != (leg.chain_id, leg.token)]
    if elsewhere:
        code = "E07" if any(row.chain_id != leg.chain_id for row in elsewhere) else None
        return replace(line, status="wrong_token_or_chain", code=code, evidence=(*line.evidence, *rows))
    if any(row.party != leg.party for row in bookings):
        return replace(line, status="wrong_recipient", evidence=(*line.evidence, *rows))
    if line.booked is None:
        last = line.payout
        missing = last and line.status != "in_flight" and books.final[last.chain_id].at - last.at > BOOKED_WITHIN
        return replace(line, status="amount_mismatch", reason="source_gap") if missing else line
    if line.booked != line.settled:
        reason = None if line.settled else "source_gap"
        return replace(line, status="amount_mismatch", reason=reason, evidence=(*line.evidence, *rows))
    return line


def _payout_line(payout: Payout, status: str, expected: int, period: str, kind: str) -> Line:
    return Line(
        recon_key=payout.key, status=status, period=period, kind=kind, chain_id=payout.chain_id, token=payout.token,
        party=payout.party, account=payout.account, expected=expected, settled=payout.amount, since=payout.at,
        payout=payout, evidence=(payout.key,),
    )  # fmt: skip
