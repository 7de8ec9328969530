"""What a commit with its cursor costs, against writing the same rows as one plain Parquet file. `make bench-lake`.

Interleaved in one process; our side includes opening the table, the key check, the sort, the statistics and the fsync.
"""

import datetime as dt
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench._table import Measure, publish
from guelta.lake import Cursor, Lake
from guelta.lake.schema import Amount, Bytes, Day, Int64, spec

ROWS, COMMITS = 5_000, 200
LOGS = spec(
    "raw.bench",
    {"chain_id": Int64, "block_number": Int64, "log_index": Int64, "day": Day, "amount": Amount, "data": Bytes},
    key=("chain_id", "block_number", "log_index"),
    partition=("chain_id", "month"),
)


def rows(n: int) -> pa.Table:
    random = np.random.default_rng(n)
    data = random.bytes(32 * ROWS)
    return pa.table(
        {
            "chain_id": pa.array([1] * ROWS, Int64),
            "block_number": pa.array(np.repeat(np.arange(n * 50, n * 50 + 50), ROWS // 50)),
            "log_index": pa.array(np.tile(np.arange(ROWS // 50), 50)),
            "day": pa.array([dt.date(2026, 8, 1) + dt.timedelta(days=n // 10)] * ROWS, Day),
            "amount": pa.array([10**24 + i for i in range(ROWS)], Amount),
            "data": pa.array([data[i * 32 : i * 32 + 32] for i in range(ROWS)], Bytes),
        }
    )


def main() -> None:
    ours, plain = [], []
    with tempfile.TemporaryDirectory() as folder:
        table = Lake(Path(folder) / "lake").create(LOGS)
        for n in range(1, COMMITS + 1):
            data = rows(n)
            started = time.perf_counter()
            table.append(data, cursor=Cursor("1:logs", n, {"to": n}))
            ours.append(time.perf_counter() - started)
            started = time.perf_counter()
            pq.write_table(data, Path(folder) / f"{n}.parquet", compression="zstd", compression_level=3)
            plain.append(time.perf_counter() - started)
    p50, p95 = statistics.median(ours), statistics.quantiles(ours, n=20)[-1]
    first, last = statistics.median(ours[:30]), statistics.median(ours[-30:])
    peer = statistics.median(plain)
    publish(
        "lake",
        [
            Measure("commit p50 over a plain Parquet write", p50, "pyarrow", pa.__version__, p50 / peer),
            Measure("commit p95, s", p95, goal="< 0.150", met=p95 < 0.150),
            Measure(
                "last 30 commits over the first 30", last, "itself", None, last / first, "< 1.5", last / first < 1.5
            ),
        ],
    )


if __name__ == "__main__":
    main()
