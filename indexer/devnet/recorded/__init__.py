"""The demo's chain for machines without an EVM: what each of its transactions did, on both branches of September.

Only outcomes are kept. Blocks, roots and hashes are made from them by the code that makes them everywhere else, so one
hash per branch proves every log and receipt. ``python -m indexer.devnet.recorded.make`` writes the file anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from guelta.errors import BadRecording
from indexer.devnet import archive
from indexer.devnet.evm import Outcome
from indexer.devnet.recorded.tape import Tape

PATH = Path(__file__).parent / "demo.jsonl.gz"
MAKE = "python -m indexer.devnet.recorded.make"


class Facts(msgspec.Struct, frozen=True):
    """The first line: what was recorded, by whom, and the heads that prove the rest."""

    chain_id: int
    seed: int
    scale: float
    heads: dict[str, str]  # stage -> block hash
    made_by: dict[str, str]
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A story's outcomes, by everything that happened before each."""

    facts: Facts
    outcomes: Mapping[str, Outcome]

    def machine(self) -> Tape:
        return Tape(self.outcomes)

    def check(self, head: str) -> None:
        """Raises BadRecording where the story, played to the end of a branch, does not end as it was recorded."""
        if head not in self.facts.heads.values():
            wanted = ", ".join(f"{found} at {stage}" for stage, found in self.facts.heads.items())
            raise BadRecording(f"the recorded story ends at block {head}, expected {wanted}; record it again: {MAKE}")


def load(path: Path = PATH) -> Recorded:
    """Read a recording. Raises BadRecording where it is damaged."""
    first, _, rest = archive.text(path).partition(b"\n")
    try:
        facts = msgspec.json.decode(first)["recording"]
        if archive.changed(facts, rest):
            raise BadRecording(f"{path} does not verify: its text was changed; get an undamaged copy, or run {MAKE}")
        lines = [_LINE.decode(line) for line in rest.splitlines()]
        return Recorded(msgspec.convert(facts, Facts), dict(lines))
    except (msgspec.MsgspecError, UnicodeDecodeError, AttributeError, KeyError, TypeError) as error:
        raise BadRecording(f"{path} is no recording of outcomes: {error}; get another copy, or run {MAKE}") from None


_LINE = msgspec.json.Decoder(tuple[str, Outcome])
