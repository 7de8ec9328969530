"""What a newcomer waits for: the whole demo, its index, the first help text. `make bench-demo`."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench._table import Measure, publish, stopwatch

GUELTA = [sys.executable, "-c", "from guelta.cli import main; main()"]


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | {"GUELTA_HOME": home}
        with stopwatch() as taken:
            told = subprocess.run(
                [*GUELTA, "demo", "--no-serve"], env=env, capture_output=True, text=True, check=True
            ).stdout
            wall, cpu = taken()
        print(told)
        state = json.loads(
            subprocess.run([*GUELTA, "status", "--json"], env=env, capture_output=True, check=True).stdout
        )
        answers = json.loads(Path(home, "answers.json").read_text())
    rows = {table["table"]: table["rows"] for table in state["tables"]}
    indexed = float(next(line for line in told.splitlines() if "logs indexed" in line).rsplit(", ", 1)[1].split()[0])
    helps = []
    for _ in range(5):
        with stopwatch() as taken:
            subprocess.run([*GUELTA, "--help"], capture_output=True, check=True)
            helps.append(taken()[0])
    totals = answers["totals"]
    publish(
        "demo",
        [
            Measure("demo, wall s", wall, goal="< 180", met=wall < 180),
            Measure("demo, CPU s", cpu),
            Measure("chain and index, wall s", indexed, goal="< 60", met=indexed < 60),
            Measure(
                "guelta --help, median wall s",
                statistics.median(helps),
                goal="< 0.5",
                met=statistics.median(helps) < 0.5,
            ),
            Measure("logs", rows["raw.logs"], goal=">= 30,000", met=rows["raw.logs"] >= 30_000),
            Measure("contributors", totals["contributors"], goal=">= 200", met=totals["contributors"] >= 200),
            Measure("assets", totals["assets"], goal=">= 50", met=totals["assets"] >= 50),
            Measure("levels", totals["deepest"], goal="6", met=totals["deepest"] >= 6),
            Measure("tokens", rows["core.tokens"], goal="3", met=rows["core.tokens"] >= 3),
            Measure("calls", rows["core.calls"], goal=">= 100,000", met=rows["core.calls"] >= 100_000),
        ],
    )


if __name__ == "__main__":
    main()
