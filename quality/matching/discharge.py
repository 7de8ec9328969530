"""Which payout discharges which earning: first in, first out, to the last unit."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC

from quality.matching.books import Books, Leg, Line, Link, Payee, Payout
from quality.matching.settle import Settled


def discharge(books: Books, discharging: Iterable[tuple[Payout, str, str, str]]) -> list[Link]:
    """Final payouts in the order of time, each against the oldest open earnings of its payee, token and kind.

    A payout never discharges what was earned after its day; what is left of it discharges nothing.
    """
    queues = books.by_payee()
    left = {key: [earning.amount for earning in queue] for key, queue in queues.items()}
    heads: dict[Payee, int] = defaultdict(int)
    links: list[Link] = []
    for payout, party, kind, key in sorted(
        discharging, key=lambda d: (d[0].at, d[0].block_number, d[0].log_index, d[3])
    ):
        if not books.is_final(payout):
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


def discharging_nothing(
    books: Books, legs: Sequence[Leg], found: Mapping[str, Settled], strays: Sequence[Line]
) -> list[Link]:
    """Final payouts that are on a line and pay nobody's earning: strays, what went astray, what a cancelled leg got."""
    lost = [(line.payout, line.recon_key) for line in strays if line.payout]
    lost += [(payout, leg.key) for leg in legs if not leg.stands for payout in found[leg.key].payouts]
    lost += [(astray, leg.key) for leg in legs if (astray := found[leg.key].astray)]
    return [Link(payout, None, key, payout.amount) for payout, key in lost if books.is_final(payout)]
