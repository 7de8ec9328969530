"""Where each leg, claim, stray payout and booking stands, judged by the time of its chain."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from quality.matching.books import Books, Leg, Line, Payout
from quality.matching.settle import Settled

BOOKED_WITHIN = timedelta(days=3)  # a final payout younger than this may still be missing in the ledger


def leg_line(books: Books, leg: Leg, settled: Settled, booked: int | None, over: int) -> Line:
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
    if leg.sent_tx is not None and (leg.chain_id, leg.sent_tx) in books.failed:
        return replace(line, status="reverted_or_failed", evidence=(f"tx:{leg.chain_id}:0x{leg.sent_tx.hex()}",))
    if leg.state == "held":
        return replace(line, status="on_hold")
    if not overdue:
        return replace(line, status="not_due" if leg.sent_tx is None else "in_flight")
    return replace(line, status="missing_on_chain", since=leg.due_at, reason="source_gap" if leg.sent_tx else None)


def stands(leg: Leg, found: Mapping[str, Settled]) -> bool:
    """A cancelled leg asks for nothing, unless money moved for it."""
    return leg.state != "cancelled" or bool(found[leg.key].payouts or found[leg.key].astray)


def claim_line(books: Books, payout: Payout, over: int) -> Line:
    """What a payee took from the vault: instructed by nobody, so earned and settled are compared directly."""
    status = "in_flight" if not books.is_final(payout) else "unexpected_on_chain" if over else "matched"
    line = _payout_line(payout, status, payout.amount - over, payout.at.strftime("%Y-%m"), "usage")
    return replace(line, rule="claim", reason="attribution_restated" if over else None)


def stray_line(books: Books, payout: Payout, paid: Mapping[tuple[int, bytes, bytes, int], Leg]) -> Line:
    twin = paid.get((payout.chain_id, payout.account, payout.token, payout.amount))
    status = "duplicate_payment" if twin else "unexpected_on_chain"
    if not books.is_final(payout):
        status = "in_flight"
    kind = twin.kind if twin else "task" if payout.kind == "transfer" else "usage"
    line = _payout_line(payout, status, 0, twin.period if twin else payout.at.strftime("%Y-%m"), kind)
    known = "" if twin or not payout.party.startswith("0x") else "unknown_wallet"
    return replace(line, reason=known or None, evidence=(payout.key, *([twin.key] if twin else [])))


def bookings_without_a_leg(books: Books, legs: Sequence[Leg]) -> list[Line]:
    """The ledger says that something was paid which no run ever instructed."""
    known = {leg.key for leg in legs}
    extra = {key: amount for key, amount in books.booked().items() if key not in known}
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


def _paid_leg(books: Books, line: Line, settled: Settled, over: int) -> Line:
    due_at = line.due_at
    assert due_at is not None  # a leg always says when it is due
    last = settled.payouts[-1]
    if not all(books.is_final(payout) for payout in settled.payouts):
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


def _payout_line(payout: Payout, status: str, expected: int, period: str, kind: str) -> Line:
    return Line(
        recon_key=payout.key, status=status, period=period, kind=kind, chain_id=payout.chain_id, token=payout.token,
        party=payout.party, account=payout.account, expected=expected, settled=payout.amount, since=payout.at,
        payout=payout, evidence=(payout.key,),
    )  # fmt: skip
