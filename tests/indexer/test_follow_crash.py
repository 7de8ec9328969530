"""Killed anywhere and started again, a follower ends with the rows of one that was never disturbed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import guelta.lake
from guelta.lake import Lake
from guelta.settings import Settings
from indexer.devnet.chain import Devnet
from indexer.devnet.server import serve
from indexer.follow import follow
from indexer.rpc.pool import Policy

OWNER, ALICE = "0x" + "a1" * 20, "0x" + "b2" * 20
ROWS = ("raw.blocks", "raw.transactions", "raw.logs")
KILLS = 4
HASTY = Policy(first_delay_s=0.001, longest_delay_s=0.01)

# What a killed process does: the same call as any user's, again and again.
CHILD = """
import sys
from guelta.lake import Lake
from guelta.settings import Settings
from indexer.follow import follow
settings, lake = Settings(rpc={"devnet": (sys.argv[2],)}), Lake(sys.argv[1])
print("ready", flush=True)
while True:
    follow(settings, lake, ["devnet"])
    print("done", flush=True)
"""


class Killed(BaseException):
    """Ends the follower at once, as SIGKILL does: nothing of ours catches it."""


def grow(chain: Devnet, blocks: int, salt: bytes = b"") -> None:
    for i in range(blocks):
        chain.contract("PaymentToken", chain.token).send(OWNER, "mint", ALICE, i + 1)  # type: ignore[attr-defined]
        chain.seal(salt=salt)


@pytest.fixture
def chain() -> Devnet:
    chain = Devnet(genesis_time=1_793_491_200, block_time=3600)
    chain.token = chain.deploy("PaymentToken", "Test Dollar", "TUSD", 6, sender=OWNER)  # type: ignore[attr-defined]
    chain.seal()
    return chain


def index(lake: Lake, url: str) -> None:
    follow(Settings(rpc={"devnet": (url,)}), lake, ["devnet"], policy=HASTY)


def held(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    return {name: lake.table(name).read().to_pylist() for name in ROWS}


def from_zero(folder: Path, url: str) -> dict[str, list[dict[str, Any]]]:
    lake = Lake(folder)
    index(lake, url)
    return held(lake)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", range(1, 6))
def test_killed_around_any_commit_of_a_reorg(
    write: int, after: bool, chain: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commits of a tick are blocks, transactions, proof record, logs, head; then the chain turns once more."""
    lake = Lake(tmp_path / "lake")
    grow(chain, 25)
    with serve(chain) as server:
        index(lake, server.url)
        dropped = chain.reorg(6)
        grow(chain, 8, salt=b"b")
        kill_at(write, after, monkeypatch)
        with pytest.raises(Killed):
            index(lake, server.url)
        monkeypatch.undo()
        chain.reorg(8)
        for block in dropped:  # back to the first branch, which the logs may still hold
            for transaction in block:
                chain.again(transaction)
            chain.seal()
        grow(chain, 1)
        index(lake, server.url)
        assert held(lake) == from_zero(tmp_path / "zero", server.url)


@pytest.mark.parametrize("write", [2, 3, 5, 7, 8, 10])
def test_killed_in_the_middle_of_the_backfill(
    write: int, chain: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path / "lake")
    grow(chain, 25)
    with serve(chain) as server:
        kill_at(write, write % 2 == 0, monkeypatch)
        with pytest.raises(Killed):
            index(lake, server.url)
        monkeypatch.undo()
        chain.reorg(3)
        grow(chain, 5, salt=b"b")
        index(lake, server.url)
        assert held(lake) == from_zero(tmp_path / "zero", server.url)


@pytest.mark.parametrize("write", [1, 2, 3])
def test_killed_far_ahead_then_the_chain_comes_back_shorter(
    write: int, chain: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks above the logs' cursor bind nobody, not even where their own commit took them for final."""
    lake = Lake(tmp_path / "lake")
    grow(chain, 25)
    with serve(chain) as server:
        index(lake, server.url)
        grow(chain, 150)
        kill_at(write, True, monkeypatch)
        with pytest.raises(Killed):
            index(lake, server.url)
        monkeypatch.undo()
        chain.reorg(152)
        grow(chain, 4, salt=b"b")
        index(lake, server.url)
        assert held(lake) == from_zero(tmp_path / "zero", server.url)


def kill_at(n: int, after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    truly, seen = guelta.lake.write, iter(range(1, 1000))

    def write(*args: Any) -> Any:
        hit = next(seen) == n
        if hit and not after:
            raise Killed
        commit = truly(*args)
        if hit:
            raise Killed
        return commit

    monkeypatch.setattr(guelta.lake, "write", write)


def test_sigkill_at_random_moments(chain: Devnet, tmp_path: Path) -> None:
    """A real process, really killed, while the chain grows and forks under it."""
    moments = random.Random(20261105)
    lake = tmp_path / "lake"
    Lake(lake)
    grow(chain, 40)
    with serve(chain) as server:
        kills = 0
        for round_ in range(KILLS):
            command = [sys.executable, "-c", CHILD, str(lake), server.url]
            child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            deadline = time.monotonic() + moments.uniform(0.05, 1.2)
            while time.monotonic() < deadline:
                chain.reorg(depth := moments.randint(1, 6))
                grow(chain, depth + moments.randint(0, 2), salt=bytes([round_ + 1]))
                time.sleep(0.1)
            os.kill(child.pid, signal.SIGKILL)
            kills += child.wait() == -signal.SIGKILL
            child.stdout.close()
        index(Lake(lake), server.url)
        assert kills == KILLS
        assert held(Lake(lake)) == from_zero(tmp_path / "zero", server.url)
