"""An explanation: a tree of steps, each with its amount and where it was read, as text and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an explanation. ``amount`` is in base units; ``log`` or ``row`` is where it was read."""

    text: str
    amount: int | None = None
    log: str | None = None  # chain, block, transaction, log index
    row: str | None = None  # table and key of a platform row
    steps: "tuple[Step, ...]" = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    id: str
    steps: tuple[Step, ...]

    def lines(self) -> list[str]:
        """The tree as text for a terminal."""
        found: list[str] = []
        for step in self.steps:
            found.append(_line(step))
            found += _branches(step.steps, "")
        return found

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "steps": [_json(step) for step in self.steps]}


def _line(step: Step) -> str:
    where = step.log or step.row
    return f"{step.text}  [{where}]" if where else step.text


def _branches(steps: Sequence[Step], indent: str) -> list[str]:
    found = []
    for i, step in enumerate(steps):
        last = i == len(steps) - 1
        found.append(f"{indent}{'└─ ' if last else '├─ '}{_line(step)}")
        found += _branches(step.steps, indent + ("   " if last else "│  "))
    return found


def _json(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {"text": step.text}
    if step.amount is not None:
        found["amount"] = str(step.amount)  # beyond 2**53 a JSON number loses digits
    found |= {name: value for name, value in (("log", step.log), ("row", step.row)) if value}
    if step.steps:
        found["steps"] = [_json(one) for one in step.steps]
    return found
