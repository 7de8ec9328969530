"""How numbers, hashes and times are written: grouped digits, short addresses, minutes in UTC."""

from datetime import UTC, datetime

THIN = "\u202f"  # narrow no-break space between groups of three digits


def grouped(digits: str) -> str:
    """Thin separators between groups of three, in front of the point only.

    >>> grouped("-1234567.25").replace(THIN, " ")
    '-1 234 567.25'
    """
    sign, rest = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    units, point, fraction = rest.partition(".")
    head = len(units) % 3 or 3
    groups = [units[:head], *(units[i : i + 3] for i in range(head, len(units), 3))]
    return f"{sign}{THIN.join(groups)}{point}{fraction}"


def number_of(value: int | None) -> str:
    return "unknown" if value is None else grouped(str(value))


def hexed(value: bytes | None) -> str:
    return "" if value is None else f"0x{value.hex()}"


def short(value: bytes | str | None) -> str:
    """An address a person can compare: ``0x12ab…89ef``. Names that are short already stay whole."""
    text = hexed(value) if isinstance(value, bytes) else value or ""
    return f"{text[:6]}…{text[-4:]}" if text.startswith("0x") and len(text) > 14 else text


def utc(moment: datetime | None) -> str:
    return "unknown" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
