"""Recorded traces of real AI model calls, each in its own format."""

import gzip
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from guelta.lake import Lake
from guelta.settings import Settings
from indexer.sources import tables
from indexer.sources.landing import Landing, PullResult, Visit

if TYPE_CHECKING:
    from indexer.sources import Progress

TITLE = "Call traces"
TABLES = (tables.CALLS,)
_STATUS = {"SUCCEED": "ok", "FAILED": "error", "PENDING": "pending"}  # any other status is kept as it is
_STAMP = "%Y-%m-%dT%H:%M:%S%.6fZ"


def absent(settings: Settings) -> str | None:
    if settings.traces is None or not any((Path(settings.traces) / name).is_file() for name in FORMATS):
        return f"no folder of call traces is named; set GUELTA_TRACES to one that holds {' or '.join(FORMATS)}"
    return None


def pull(settings: Settings, lake: Lake, visit: Visit, progress: "Progress | None" = None) -> Iterator[PullResult]:
    """Read every trace whose file changed."""
    landing = Landing(lake, "traces", tables.CALLS, full=visit.full)
    total = PullResult("traces", tables.CALLS.table)
    for name, read in FORMATS.items():
        path = Path(settings.traces or "") / name
        if not path.is_file():
            continue
        data = path.read_bytes()
        mark = sha256(data).hexdigest()[:32]
        if landing.seen.get(name) != mark:
            total += landing.land(read(gzip.decompress(data), name), landing.seen | {name: mark})
        if progress:
            progress(name, total.rows)
    yield total


def gentd26(data: bytes, name: str) -> pl.DataFrame:
    """Image generation with client, base model and number of adapters per call. Times are taken as UTC."""
    rows = pl.read_csv(data, infer_schema=False)
    seconds = pl.col("exec_time_seconds").cast(pl.Float64, strict=False)
    status = pl.col("predict_status")
    return _calls(
        rows,
        "gentd26",
        name,
        pl.format("trace:gentd26:{}", pl.col("groupId")).alias("client_id"),
        pl.col("checkpoint_model_version_id").alias("asset_name"),
        (pl.col("gmt_create").str.replace(" ", "T") + "Z").alias("at"),
        (seconds * 1_000_000).cast(pl.Int64, strict=False).cast(pl.String).alias("latency_us"),
        status.replace(_STATUS).alias("status"),
        _whole("prompt_length").alias("prompt_tokens"),
        _whole("num_images_per_prompt").alias("units"),
        _whole("num_lora").alias("adapters"),
    )


def azure_code(data: bytes, name: str) -> pl.DataFrame:
    """One hour of code completion; times of 100 ns are cut to microseconds."""
    return _calls(
        pl.read_csv(data, infer_schema=False),
        "azure_code",
        name,
        pl.lit("trace:azure_code:unknown").alias("client_id"),
        (pl.col("TIMESTAMP").str.replace(" ", "T").str.replace(r"(\.\d{6})\d*$", "$1") + "Z").alias("at"),
        pl.lit("ok").alias("status"),
        pl.col("ContextTokens").alias("prompt_tokens"),
        pl.col("GeneratedTokens").alias("completion_tokens"),
    )


def mooncake(data: bytes, name: str) -> pl.DataFrame:
    """Milliseconds from an unnamed beginning, which stands at 1970."""
    rows = pl.read_ndjson(data).select("timestamp", "input_length", "output_length")
    return _calls(
        rows,
        "mooncake",
        name,
        pl.lit("trace:mooncake:unknown").alias("client_id"),
        (pl.col("timestamp") * 1_000).cast(pl.Datetime("us")).dt.strftime(_STAMP).alias("at"),
        pl.lit("ok").alias("status"),
        pl.col("input_length").cast(pl.String).alias("prompt_tokens"),
        pl.col("output_length").cast(pl.String).alias("completion_tokens"),
    )


FORMATS: dict[str, Callable[[bytes, str], pl.DataFrame]] = {
    "AzureLLMInferenceTrace_code.csv.gz": azure_code,
    "gentd26_lora_request_trace.csv.gz": gentd26,
    "mooncake_synthetic_trace.jsonl.gz": mooncake,
}


def _calls(rows: pl.DataFrame, trace: str, file: str, *columns: pl.Expr) -> pl.DataFrame:
    """A trace names no call: the position in the file does."""
    number = pl.col("row").cast(pl.String)
    call_id = pl.format(f"trace:{trace}:{{}}", number)
    return rows.with_row_index("row", offset=1).select(
        call_id.alias("call_id"),
        pl.lit("1").alias("rev"),
        call_id.alias("root_call_id"),
        pl.lit("web2").alias("origin"),
        pl.lit(f"trace:{trace}").alias("source"),
        pl.lit(file).alias("file"),
        number.alias("line"),
        *columns,
    )


def _whole(column: str) -> pl.Expr:
    """A whole number that the file writes as 63.0."""
    return pl.col(column).str.replace(r"\.0$", "")
