"""Real blocks of 13 chains, served as they were recorded: every header kept, every log once, every level named."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from guelta.errors import BadRecording
from guelta.lake import Lake
from guelta.settings import Settings
from indexer import chains
from indexer.audit import audit
from indexer.devnet.chain import Devnet
from indexer.devnet.record import Recording, load, write
from indexer.devnet.server import serve
from indexer.follow import FollowResult, follow

LEVELS = {
    "arbitrum": {"P2c": 1}, "base": {"P2c": 1}, "base-goerli": {"P2c": 1}, "bittensor-testnet": {"P2c": 1},
    "cronos": {"P1": 7}, "ethereum": {"P2c": 7}, "hyperliquid": {"P2c": 1}, "optimism": {"P2c": 2}, "polygon": {"P2c": 1},
    "stable": {"P0": 2}, "stable-testnet": {"P0": 1, "P2c": 2}, "tempo": {"P2c": 2}, "tempo-moderato": {"P2c": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def recordings(shared: Path) -> dict[int, Recording]:
    return load(shared / "evm_blocks" / "blocks.jsonl.gz")


@pytest.fixture(scope="module")
def followed(
    recordings: dict[int, Recording], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Lake, dict[str, FollowResult]]]:
    lake = Lake(tmp_path_factory.mktemp("recorded") / "lake")
    with ExitStack() as stack:
        urls = {chains.chain_of(i).name: (stack.enter_context(serve(r)).url,) for i, r in recordings.items()}
        follow(Settings(rpc=urls), lake)
        results = follow(Settings(rpc=urls), lake)  # a second time: nothing is doubled
        assert {result.rows for result in results} == {0}
    fresh = Lake(tmp_path_factory.mktemp("again") / "lake")
    with ExitStack() as stack:
        urls = {chains.chain_of(i).name: (stack.enter_context(serve(r)).url,) for i, r in recordings.items()}
        yield lake, {result.chain: result for result in follow(Settings(rpc=urls), fresh)}


def test_31_headers_2839_logs_and_3_incomplete_by_name(followed: tuple[Lake, dict[str, FollowResult]]) -> None:
    lake, results = followed
    blocks = lake.table("raw.blocks").read().to_pylist()
    assert (len(blocks), lake.table("raw.logs").rows(), sum(r.rows for r in results.values())) == (31, 2839, 2839)
    assert sum(1 for block in blocks if block["complete"]) == 28
    incomplete = {name: result.incomplete for name, result in results.items() if result.incomplete}
    assert incomplete == {"stable": (13683593, 14692806), "stable-testnet": (61696562,)}
    assert {block["proof_level"] for block in blocks if not block["complete"]} == {"P0"}
    assert {result.source for result in results.values()} == {"recorded"}


def test_what_verifies_is_what_the_set_says(
    followed: tuple[Lake, dict[str, FollowResult]], recordings: dict[int, Recording], shared: Path
) -> None:
    import csv

    lake, results = followed
    text = (shared / "evm_blocks" / "manifest.csv").read_text()
    said = {
        (int(row["chain_id"]), int(row["number"])): tuple(
            {"True": True, "False": False, "": None}[row[name]] for name in ("receipts_root_ok", "bloom_ok")
        )
        for row in csv.DictReader(text.splitlines())
    }
    found = {
        (block["chain_id"], block["block_number"]): (block["root_ok"], block["bloom_ok"])
        for block in lake.table("raw.blocks").read().to_pylist()
    }
    assert found == said
    assert {name: result.levels for name, result in results.items()} == LEVELS
    assert results["cronos"].unproven == (
        (6542, "receipts_root"), (10000, "receipts_root"), (68215, "receipts_root"), (68216, "receipts_root, bloom"),
        (131465, "receipts_root"), (11446765, "receipts_root, bloom"),
    )  # fmt: skip


def test_each_run_of_blocks_has_its_proof_record(followed: tuple[Lake, dict[str, FollowResult]]) -> None:
    lake, _ = followed
    ranges = lake.table("raw.audit_ranges").read().to_pylist()
    pairs = [(r["from_block"], r["to_block"]) for r in ranges if r["from_block"] != r["to_block"]]
    assert (len(ranges), sorted(pairs)) == (29, [(6541, 6542), (68215, 68216)])
    assert sum(r["log_count"] for r in ranges) == 2839
    (waived,) = [r for r in ranges if r["from_block"] == 68215]
    assert waived["waivers"] == '["bloom_exact", "header_hash", "receipt_count", "receipts_root"]'
    assert (waived["proof_level"], waived["root_checked"], waived["root_ok"], waived["bloom_ok"]) == ("P1", 2, 0, False)


def test_transactions_come_from_receipts_old_ones_without_a_status(
    followed: tuple[Lake, dict[str, FollowResult]],
) -> None:
    from collections import Counter

    lake, _ = followed
    statuses = Counter(lake.table("raw.transactions").read()["status"].to_pylist())
    assert statuses == {1: 1371, 0: 26, None: 24}


def test_the_audit_finds_everything_still_true(followed: tuple[Lake, dict[str, FollowResult]], home: Settings) -> None:
    lake, results = followed
    rows = [row for name in results for row in audit(home, lake, name)]
    assert [failure for row in rows for failure in row.failures] == []
    counts = [sum(getattr(row, name) for row in rows) for name in ("blocks", "logs", "header_ok", "root_ok")]
    assert counts == [31, 2839, 14, 22]


def test_the_devnet_recorded_whole_is_proven(tmp_path: Path) -> None:
    chain = Devnet(genesis_time=1_793_491_200)
    for _ in range(5):
        chain.deploy("PaymentToken", "Test Dollar", "TUSD", 6, sender="0x" + "a1" * 20)
        chain.seal()
    write(chain, tmp_path / "devnet.jsonl", made_by={"seed": 1})
    recording = load(tmp_path / "devnet.jsonl")[1337]
    with serve(recording) as server:
        (result,) = follow(Settings(rpc={"devnet": (server.url,)}), Lake(tmp_path / "lake"))
    assert (result.source, result.level, result.blocks, result.finalized) == ("devnet", "P3", 6, 5)
    assert result.rows == len(chain.logs())


def test_a_recording_that_grows_below_its_end_is_refused(recordings: dict[int, Recording], tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    whole = recordings[1]
    numbers = list(whole.recorded or ())
    late = Recording(1, "ethereum", [whole.block(n) for n in numbers[2:]])  # type: ignore[misc]
    with serve(late) as server:
        follow(Settings(rpc={"ethereum": (server.url,)}), lake)
    with serve(whole) as server, pytest.raises(BadRecording, match="below block 21925176"):
        follow(Settings(rpc={"ethereum": (server.url,)}), lake)


def test_a_recording_may_grow_above_its_end(recordings: dict[int, Recording], tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    whole = recordings[1]
    numbers = list(whole.recorded or ())
    early = Recording(1, "ethereum", [whole.block(n) for n in numbers[:4]])  # type: ignore[misc]
    done: list[Any] = []
    for recording in (early, whole):
        with serve(recording) as server:
            done += [r.blocks for r in follow(Settings(rpc={"ethereum": (server.url,)}), lake)]
    assert (done, lake.table("raw.blocks").rows()) == ([4, 3], 7)
