"""What to do about a provider's error: the table of ``errors.toml``, read once."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from indexer.rpc.wire import WireError

FILE = Path(__file__).with_name("errors.toml")

Action = Literal["range", "size", "halve", "wait", "fork", "rest", "missing", "fault"]


@dataclass(frozen=True, slots=True)
class Advice:
    action: Action
    numbers: tuple[int, ...] = ()  # what the text named: a range's ends, or a size in blocks


@dataclass(frozen=True, slots=True)
class Row:
    provider: str
    pattern: re.Pattern[str]
    action: Action
    less: int
    example: str
    expect: tuple[int, ...]


def advice(error: WireError) -> Advice:
    """Message first, code second: -32005 is both "too many results" and "rate limited"."""
    text = f"{error.message} {error.data or ''}"
    for row in rows():
        found = row.pattern.search(text)
        if found:
            numbers = tuple(_number(group) for group in found.groups() if group)
            return Advice(row.action, tuple(value - row.less for value in numbers) if row.less else numbers)
    if error.code in {429, -32005}:
        return Advice("rest")
    return Advice("missing" if error.code == -32601 else "fault")


@cache
def rows() -> tuple[Row, ...]:
    table: list[dict[str, Any]] = tomllib.loads(FILE.read_text("utf-8"))["row"]
    return tuple(
        Row(
            entry["provider"],
            re.compile(entry["pattern"], re.IGNORECASE),
            entry["action"],
            entry.get("less", 0),
            entry["example"],
            tuple(entry["expect"]),
        )
        for entry in table
    )


def _number(text: str) -> int:
    """``0x10``, ``10,000``, ``10.000``, ``10k``."""
    if text.lower().startswith("0x"):
        return int(text, 16)
    thousands = text.lower().endswith("k")
    digits = int(re.sub(r"\D", "", text))
    return digits * 1000 if thousands else digits
