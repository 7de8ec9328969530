"""What goes wrong, and when: the answers the product is scored against."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    status: str  # 40-earnings §6.3
    count: int


# (period, kind of run) -> faults. The last two statuses of October are no breaks: the story simply ends there.
CALENDAR: dict[tuple[str, str], tuple[Fault, ...]] = {
    ("2026-08", "usage"): (Fault("partial", 1),),
    ("2026-08", "task"): (Fault("duplicate_payment", 1), Fault("wrong_recipient", 1), Fault("paid_late", 1)),
    ("2026-09", "usage"): (
        Fault("partial", 1),
        Fault("paid_late", 1),
        Fault("reverted_or_failed", 1),
        Fault("amount_mismatch", 1),
        Fault("on_hold", 1),
    ),
    ("2026-09", "task"): (
        Fault("duplicate_payment", 1),
        Fault("wrong_recipient", 1),
        Fault("wrong_token_or_chain", 1),
        Fault("paid_late", 1),
        Fault("missing_on_chain", 4),
    ),
    ("2026-10", "usage"): (Fault("not_due", 2), Fault("in_flight", 2)),
    ("2026-10", "task"): (Fault("not_due", 4), Fault("in_flight", 4)),
}

CODES = {
    "paid_late": "E02",
    "partial": "E03",
    "duplicate_payment": "E04",
    "wrong_recipient": "E05",
    "missing_on_chain": "E02",
    "wrong_token_or_chain": "E06",
    "unexpected_on_chain": "E01",
    "reverted_or_failed": "E08",
    "amount_mismatch": "E03",
}  # 40-earnings §6.4


def transposed(amount: int) -> int:
    """The same digits with two neighbours swapped, as a hand-keyed ledger has them."""
    digits = list(str(amount))
    for i in range(len(digits) - 1):
        if digits[i] != digits[i + 1] and digits[i + 1] != "0":
            digits[i], digits[i + 1] = digits[i + 1], digits[i]
            return int("".join(digits))
    return amount + 9
