"""The real job from outside: recorded blocks, label sets and call traces through the door into the same tables."""

import csv
import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from guelta.lake import Lake

pytestmark = pytest.mark.slow

GUELTA = [sys.executable, "-c", "from guelta.cli import main; main()"]
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
# crowd: items, labels as recorded, labels once, workers, items with a known truth, a worker's two labels for one item
SETS = {
    "MS": (700, 2_945, 2_945, 44, 700, 0),
    "ZenCrowd_all": (2_040, 21_855, 20_372, 78, 2_040, 247),
    "ZenCrowd_in": (2_040, 11_205, 10_626, 25, 2_040, 131),
    "ZenCrowd_us": (2_040, 12_190, 11_271, 74, 2_040, 116),
    "bluebird": (108, 4_212, 4_212, 39, 108, 0),
    "d_jn-product": (8_315, 24_945, 24_945, 176, 8_315, 0),
    "dog": (807, 8_070, 8_070, 109, 807, 0),
    "f201_Emotion": (700, 7_000, 7_000, 38, 0, 0),  # numbers: its truth is no class
    "s4_Face_Sentiment_Identification": (584, 5_242, 5_242, 27, 584, 0),
    "s5_AdultContent": (11_040, 92_721, 89_948, 825, 333, 149),
    "web": (2_665, 15_567, 15_567, 177, 2_653, 0),
}


class Job(NamedTuple):
    lake: Lake
    replayed: dict[str, Any]
    pulled: list[dict[str, Any]]
    built: list[dict[str, Any]]


def guelta(*words: str | Path, **variables: str | Path) -> Any:
    """What the command prints as JSON: all of its standard output, and nothing else there."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GUELTA_")}
    env = clean | {name: str(value) for name, value in variables.items()}
    done = subprocess.run([*GUELTA, *map(str, words)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"guelta {words} ended with {done.returncode}: {done.stderr}"
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def job(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    home = tmp_path_factory.mktemp("real")
    replay = ("replay", shared / "evm_blocks/blocks.jsonl.gz", "--follow", "--once", "--json")
    replayed = guelta(*replay, GUELTA_HOME=home)
    own = {"GUELTA_HOME": home / "recorded", "GUELTA_ANNOTATIONS": shared / "crowd", "GUELTA_TRACES": shared / "usage"}
    pulled = guelta("pull", "--json", **own)
    built = guelta("build", "--json", **own)
    return Job(Lake(home / "recorded/lake"), replayed, pulled, built)


def rows(job: Job, sql: str) -> list[tuple[Any, ...]]:
    with job.lake.duck() as con:
        return con.sql(sql).fetchall()


def test_31_headers_2839_logs_and_3_incomplete_by_name(job: Job, shared: Path) -> None:
    chains = {chain["chain"]: chain for chain in job.replayed["chains"]}
    assert {name: tuple(chain["incomplete"]) for name, chain in chains.items() if chain["incomplete"]} == {
        "stable": (13_683_593, 14_692_806), "stable-testnet": (61_696_562,),
    }  # fmt: skip
    assert (sum(c["blocks"] for c in chains.values()), sum(c["rows"] for c in chains.values())) == (31, 2_839)
    with (shared / "evm_blocks/manifest.csv").open() as file:
        said = {
            (int(row["chain_id"]), int(row["number"])): (row["receipts_root_ok"], row["bloom_ok"])
            for row in csv.DictReader(file)
        }
    held = rows(job, "select chain_id, block_number, root_ok, bloom_ok, proof_level, complete from raw.blocks")
    assert {(c, n): tuple("" if ok is None else str(ok) for ok in oks) for c, n, *oks, _, _ in held} == said
    # 14 blocks pass all; of the other 14 with receipts, 8 keep root and bloom, and 6 Cronos blocks do not
    assert Counter(level for *_, level, _ in held) == {"P2c": 21, "P1": 7, "P0": 3}
    assert sum(complete for *_, complete in held) == 28


def test_every_token_movement_of_every_chain(job: Job, shared: Path) -> None:
    with gzip.open(shared / "evm_blocks/blocks.jsonl.gz", "rt") as file:
        recorded = [json.loads(line) for line in file]
    expected: Counter[tuple[int, str]] = Counter()
    paid: set[tuple[int, str, int, int]] = set()
    for line in recorded:
        for receipt in line["receipts"] or []:
            for log in receipt["logs"]:
                topics = log["topics"]
                if topics[:1] == [TRANSFER] and len(topics) == 3:
                    expected[line["chain_id"], "erc20"] += 1
                    paid.add((line["chain_id"], log["blockHash"], int(log["logIndex"], 16), int(log["data"], 16)))
                elif topics[:1] == [TRANSFER]:
                    expected[line["chain_id"], "erc721"] += 1
    assert (sum(n for (_, s), n in expected.items() if s == "erc20"), max(p[3] for p in paid)) == (
        1_095, 1_779_859_438_293_124_247_192_869_243_185,
    )  # fmt: skip
    found = {
        (c, s): n for c, s, n in rows(job, "select chain_id, standard, count(*) from core.token_movements group by all")
    }
    assert {key: n for key, n in found.items() if key[1] != "erc1155"} == expected
    assert sum(n for (_, standard), n in found.items() if standard == "erc1155") == 39
    moved = rows(
        job,
        "select chain_id, '0x' || lower(hex(block_hash)), log_index, amount, amount_raw from core.token_movements "
        "where standard = 'erc20'",
    )
    assert {(c, h, i, int(amount)) for c, h, i, amount, _ in moved} == paid
    assert all(int.from_bytes(raw, "big") == int(amount) for *_, amount, raw in moved)


def test_every_chain_is_a_row_with_what_is_proven_of_it(job: Job) -> None:
    chains = rows(
        job, "select name, source, blocks, logs, incomplete, unproven, lowest_level from marts.chains order by name"
    )
    assert [(name, *facts) for name, source, *facts in chains if source == "recorded"] == [
        ("arbitrum", 1, 18, 0, 0, "P2c"),
        ("base", 1, 49, 0, 0, "P2c"),
        ("base-goerli", 1, 7, 0, 0, "P2c"),
        ("bittensor-testnet", 1, 0, 0, 0, "P2c"),
        ("cronos", 7, 123, 0, 6, "P1"),
        ("ethereum", 7, 1_640, 0, 0, "P2c"),
        ("hyperliquid", 1, 0, 0, 0, "P2c"),
        ("optimism", 2, 41, 0, 0, "P2c"),
        ("polygon", 1, 877, 0, 0, "P2c"),
        ("stable", 2, 0, 2, 0, "P0"),
        ("stable-testnet", 3, 5, 1, 0, "P0"),
        ("tempo", 2, 11, 0, 0, "P2c"),
        ("tempo-moderato", 2, 68, 0, 0, "P2c"),
    ]
    daily = "select sum(blocks), sum(logs), sum(transfers) from marts.chain_daily"
    assert [tuple(map(int, row)) for row in rows(job, daily)] == [(31, 2_839, 1_095 + 36 + 39)]


def test_label_sets_are_in_dataset_quality(job: Job) -> None:
    (labels,) = (p["rows"] for p in job.pulled if p["table"] == "raw.platform_submissions")
    assert labels == sum(recorded for _, recorded, *_ in SETS.values())
    held = rows(
        job,
        "select task_id, items, submissions, labels, workers, gold_items, contradictory_labels from marts.dataset_quality",
    )
    assert {name.removeprefix("crowd:"): tuple(facts) for name, *facts in held} == SETS
    # no method wins everywhere: Dawid and Skene win on the one set and lose to the majority on the other
    ahead = dict(rows(job, "select task_id, sign(gold_ds - gold_mv) from marts.dataset_quality where gold_items > 0"))
    assert (ahead["crowd:bluebird"], ahead["crowd:d_jn-product"]) == (1, 1)
    assert (ahead["crowd:ZenCrowd_us"], ahead["crowd:ZenCrowd_all"]) == (-1, -1)
    # ties count by their share in the set's own figure, so ours may differ by the tied items alone
    majority = dict(rows(job, "select task_id, gold_mv from marts.dataset_quality"))
    assert [majority[f"crowd:{name}"] for name in ("bluebird", "d_jn-product")] == [82, 7_455]


def test_call_traces_are_in_usage(job: Job) -> None:
    usage = rows(
        job,
        "select source, sum(calls), sum(errors), sum(prompt_tokens), sum(completion_tokens), count(distinct client), "
        "count(distinct asset_name) from marts.usage_daily group by source order by source",
    )
    assert [(source, *map(int, facts)) for source, *facts in usage if "gentd26" not in source] == [
        ("trace:azure_code", 8_819, 0, 18_059_974, 245_896, 1, 0),
        ("trace:mooncake", 3_993, 0, 61_194_628, 595_432, 1, 0),
    ]
    ((_, calls, errors, _, _, clients, models),) = [row for row in usage if row[0] == "trace:gentd26"]
    assert (int(calls), int(errors), clients, models) == (13_217, 231, 2_246, 75)
    pending = rows(job, "select status, count(*) from core.calls where source = 'trace:gentd26' group by all")
    assert dict(pending) == {"ok": 12_977, "error": 231, "pending": 9}
    adapters = rows(job, "select adapters, count(*) from core.calls where adapters is not null group by all")
    assert dict(adapters) == {0: 11_125, 1: 2_005, 2: 52, 3: 28, 4: 1, 6: 6}
    assert not [built for built in job.built if built["name"] == "marts.usage_daily" and not built["rows"]]
