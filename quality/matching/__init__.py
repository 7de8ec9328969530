"""Earned, instructed, settled, booked: which belongs to which, in exact integers, and what is left on each side.

Stored references first, then equal amounts where nobody else could be meant, then sums, and only then FIFO between
payouts and the earnings they discharge (40-earnings §6.2). The tolerance is 0 base units. Time is the chain's: a line
stands where the last finalized block leaves it, never where the wall clock does.
"""

from collections import defaultdict

from quality.matching.books import Booking, Books, Earning, Final, Leg, Line, Link, Matching, Payout
from quality.matching.discharge import discharge, discharging_nothing
from quality.matching.lines import bookings_without_a_leg, claim_line, leg_line, stray_line
from quality.matching.owed import cover, open_lines
from quality.matching.settle import settle

__all__ = ["Booking", "Books", "Earning", "Final", "Leg", "Line", "Link", "Matching", "Payout", "match"]


def match(books: Books) -> Matching:
    """Put every leg, payout, booking and open earning on exactly one line."""
    legs = sorted(books.legs, key=lambda leg: (leg.instructed_at, leg.run_id, leg.leg_no))
    payouts = sorted(books.payouts, key=lambda p: (p.at, p.chain_id, p.block_number, p.log_index))
    free = {payout.payout_id: payout for payout in payouts if payout.kind != "claim"}
    found = settle(legs, free)

    discharging = [(p, leg.party, leg.kind, leg.key) for leg in legs if leg.stands for p in found[leg.key].payouts]
    discharging += [(p, p.party, "usage", p.key) for p in payouts if p.kind == "claim"]
    links = discharge(books, discharging)
    over: dict[str, int] = defaultdict(int)
    for link in links:
        if link.earning is None:
            over[link.recon_key] += link.amount
    covered = cover(books, legs)
    booked = books.booked()
    paid = {
        (leg.chain_id, leg.wallet, leg.token, leg.amount): leg for leg in legs if leg.stands and found[leg.key].payouts
    }

    lines = []
    for leg in legs:
        settled, rows = found[leg.key], booked.get(leg.key, [])
        if leg.stands or settled.payouts or rows:
            lines.append(leg_line(books, leg, settled, rows, paid, covered.lacking[leg.key], over[leg.key]))
    lines += bookings_without_a_leg(books, legs)
    lines += [claim_line(books, p, covered.lacking[p.key]) for p in payouts if p.kind == "claim"]
    strays = [stray_line(books, payout, paid) for payout in payouts if payout.payout_id in free]
    lines += strays
    lines += open_lines(books, legs, covered)
    links += discharging_nothing(books, legs, found, strays)
    return Matching(sorted(lines, key=lambda line: line.recon_key), links)
