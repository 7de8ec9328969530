"""Where a line of the reconciliation can stand, why, and which kind of break it is (40-earnings §6.3-6.5).

This is the one list: the matching, the pages and the reports read it from here.
"""

from typing import NamedTuple


class LineStatus(NamedTuple):
    code: str | None  # kind of break, 10-domain §11.3; None where the status is none
    explained: bool  # an explained line is no break
    meaning: str


STATUSES: dict[str, LineStatus] = {
    "matched": LineStatus(None, True, "settled as instructed, to the last unit"),
    "matched_grouped": LineStatus(None, True, "settled as instructed by several payouts, or together with other legs"),
    "in_flight": LineStatus(None, True, "sent, and not final yet"),
    "timing": LineStatus("E21", True, "settled in another period"),
    "not_due": LineStatus(None, True, "earned or instructed, and not due yet"),
    "paid_late": LineStatus("E02", False, "settled in full after the due date"),
    "partial": LineStatus("E03", False, "less was settled than instructed"),
    "amount_mismatch": LineStatus("E03", False, "two sides name different amounts"),
    "missing_on_chain": LineStatus("E02", False, "due, and nothing was settled"),
    "unexpected_on_chain": LineStatus("E01", False, "paid, and nothing was earned or instructed for it"),
    "wrong_recipient": LineStatus("E05", False, "the money went to another account"),
    "wrong_token_or_chain": LineStatus("E06", False, "the money left in another token or on another chain"),
    "duplicate_payment": LineStatus("E04", False, "the same leg was paid again"),
    "reverted_or_failed": LineStatus("E08", False, "the transaction failed; nothing moved"),
    "reorged": LineStatus("E09", False, "the payment stood in a block that is no longer part of the chain"),
    "below_threshold_carried": LineStatus(None, True, "too little for a leg of its own; carried to a later run"),
    "on_hold": LineStatus("E15", True, "held back on purpose"),
    "disputed": LineStatus("E16", True, "under dispute"),
    "expired": LineStatus("E22", True, "not claimed in time"),
    "written_off": LineStatus("E26", True, "closed by hand"),
}

REASONS: dict[str, str] = {
    "rounding_dust": "smaller than a rounding bound",
    "gas_deducted": "gas was taken from the amount",
    "fee_on_transfer": "the token keeps a fee",
    "fx": "another currency",
    "cut_off": "it falls behind the end of the period",
    "reorg": "the chain changed its mind",
    "unknown_wallet": "nobody knows the account, or the payee named none",
    "late_event": "the source told it late",
    "attribution_restated": "the earnings behind it are other than when it was instructed",
    "manual_payment": "somebody paid by hand",
    "pool_underfunded": "the pool held less than was earned",
    "claimable": "the vault holds it, and the payee takes it at will",
    "source_gap": "one side has no row for it",
}

OWNERS: dict[str, str] = {
    **dict.fromkeys(("E01", "E02", "E03", "E04", "E05", "E06", "E07", "E20", "E21", "E22", "E26", "E27"), "finance"),
    **dict.fromkeys(("E08", "E09", "E14", "E15", "E24", "E25"), "operator"),
    **dict.fromkeys(("E10", "E11", "E12", "E13", "E16", "E23"), "treasury"),
    **dict.fromkeys(("E17", "E18", "E19"), "platform"),
}

# Money that left and discharges nothing cannot be had back by paying later.
SEVERITY: dict[str, str] = {
    **dict.fromkeys(("E01", "E04", "E05", "E06", "E07", "E09"), "critical"),
    **dict.fromkeys(("E02", "E03", "E08"), "major"),
}

BREAK_AGES = ((1, "0-1"), (7, "2-7"), (30, "8-30"), (60, "31-60"), (90, "61-90"))  # days since first seen
PAYABLE_AGES = ((30, "0-30"), (60, "31-60"), (90, "61-90"), (180, "91-180"))  # days since due


def is_break(status: str) -> bool:
    return not STATUSES[status].explained


def code_of(status: str) -> str | None:
    return STATUSES[status].code


def break_age(days: int) -> str:
    return next((name for most, name in BREAK_AGES if days <= most), ">90")


def payable_age(days_past_due: int) -> str:
    if days_past_due < 0:
        return "not_due"
    return next((name for most, name in PAYABLE_AGES if days_past_due <= most), ">180")
