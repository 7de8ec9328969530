"""What a warm rerun of each page costs the server, over a demo lake. `make bench-pages` (after `make demo`).

uv run python -m bench.pages [--home guelta-data]
"""

import argparse
import os
import statistics
import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

import dashboards
from bench._table import Measure, publish

GOAL_S = 0.3


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--home", default="guelta-data")
    os.environ["GUELTA_HOME"] = asked.parse_args().home
    here = Path(dashboards.__file__).parent
    rows = []
    for file in sorted(here.glob("pages/*/[!_]*.py")):
        page = AppTest.from_file(str(here / "app.py"), default_timeout=120).run()
        page.switch_page(str(file.relative_to(here))).run().run()
        spent = []
        for _ in range(9):
            began = time.perf_counter()
            page.run()
            spent.append(time.perf_counter() - began)
        median = statistics.median(spent)
        rows.append(Measure(f"{file.stem}, warm rerun, median s", median, goal="< 0.300", met=median < GOAL_S))
    publish("pages", rows)


if __name__ == "__main__":
    main()
