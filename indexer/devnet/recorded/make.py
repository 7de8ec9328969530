"""Record the demo's chain: play its two stages on a real EVM and keep what every transaction did.

    python -m indexer.devnet.recorded.make

The same story gives the same lines and heads; only who made it differs. Commit the file together with the change that
made it necessary.
"""

import subprocess
from pathlib import Path

import msgspec

from guelta import __version__
from indexer.devnet import archive
from indexer.devnet.economy import CHAIN_ID, Economy, Stage
from indexer.devnet.evm import Evm
from indexer.devnet.recorded import PATH
from indexer.devnet.recorded.tape import Recorder

SEED = 7
SCALE = 0.02  # the smallest there is: all planted faults and every event still have their place
STAGES: tuple[Stage, ...] = ("before_reorg", "end")


def make(path: Path = PATH, seed: int = SEED, scale: float = SCALE) -> dict[str, str]:
    """Write the recording; answers the head of each stage. Raises Fatal where there is no EVM."""
    recorder = Recorder(Evm(CHAIN_ID, {}))
    world = Economy(seed, scale, machine=recorder)
    heads: dict[str, str] = {stage: world.play(stage).head.hash for stage in STAGES}
    facts = {
        "chain_id": CHAIN_ID,
        "seed": seed,
        "scale": scale,
        "heads": heads,
        "made_by": {"program": f"guelta {__version__}", "commit": _commit()},
    }
    archive.write(path, facts, b"".join([msgspec.json.encode(item) + b"\n" for item in recorder.taken.items()]))
    return heads


def _commit() -> str:
    told = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    return told.stdout.strip() or "unknown"


if __name__ == "__main__":
    ends = make()
    print(f"{PATH}: {PATH.stat().st_size:,} bytes, heads {ends}")
