"""What the matching reads, earned, instructed, settled and booked, and what it gives back: lines and links."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

Payee = tuple[str, int, bytes, str]  # party, chain, token, kind


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

    @property
    def stands(self) -> bool:
        """A cancelled leg asks for nothing."""
        return self.state != "cancelled"


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
    ledger_id: str
    run_id: str
    leg_no: int
    party: str
    chain_id: int
    token: bytes
    amount: int
    booked_at: datetime

    @property
    def key(self) -> str:
        """The key of the leg it books."""
        return f"leg:{self.run_id}:{self.leg_no}"

    @property
    def evidence(self) -> str:
        return f"ledger:{self.ledger_id}"


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

    def is_final(self, payout: Payout) -> bool:
        final = self.final.get(payout.chain_id)
        return final is not None and payout.block_number <= final.block

    def booked(self) -> dict[str, list[Booking]]:
        """The ledger's rows for each leg, by the leg's key."""
        rows: dict[str, list[Booking]] = defaultdict(list)
        for booking in sorted(self.bookings, key=lambda b: b.ledger_id):
            rows[booking.key].append(booking)
        return dict(rows)

    def by_payee(self) -> dict[Payee, list[Earning]]:
        """Each payee's earnings in one token and kind, the oldest first."""
        queues: dict[Payee, list[Earning]] = defaultdict(list)
        for earning in sorted(self.earnings, key=lambda e: (e.day, e.earning_id)):
            queues[earning.party, earning.chain_id, earning.token, earning.kind].append(earning)
        return dict(queues)


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
    astray: Payout | None = None  # what left for this line and reached somebody else, or in another token
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
