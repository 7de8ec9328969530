"""A disk that fills up while committing: nothing half-written is ever seen, and the same command goes on afterwards."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guelta.lake import Cursor, Lake
from guelta.settings import Settings, resolved
from models.digest import digest

GUELTA = [sys.executable, "-c", "from guelta.cli import main; main()"]
CALLS = "raw.gateway_calls"
SENTENCE = "the disk is full; nothing was committed. Free space, then run the same command again"


class Disk:
    """A small filesystem of its own, and a ballast file that leaves as little room as a test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ballast = folder, folder / "ballast"

    def leave(self, free_bytes: int) -> None:
        room = os.statvfs(self.folder)
        self.ballast.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - free_bytes)))

    def make_space(self) -> None:
        self.ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, text=True
        )
    except FileNotFoundError as error:
        pytest.skip(f"no small filesystem can be made here: {error}")
    if made.returncode:
        pytest.skip(f"no small filesystem can be mounted here (it needs root): {made.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", folder], check=True)


def write_calls(folder: Path, day: int, calls: int = 12_000) -> None:
    """One day's call log; its ids do not compress, so its commit needs more than a megabyte."""
    folder.mkdir(exist_ok=True)
    names = [hashlib.sha256(f"{day}:{i}".encode()).hexdigest() for i in range(calls)]
    lines = [
        {
            "call_id": name, "parent_call_id": None, "root_call_id": name, "client_id": name[:40],
            "api_key_hash": "0x" + name, "origin": "web2", "chain_id": 1337, "asset_id": i % 50,
            "at": f"2026-08-{day:02}T{i % 24:02}:00:00Z", "latency_us": i, "status": "ok", "prompt_tokens": i,
            "completion_tokens": 1, "price": str(10**18 + i), "token": "0x" + "ab" * 20, "batch_root": None,
        }
        for i, name in enumerate(names)
    ]  # fmt: skip
    (folder / f"2026-08-{day:02}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def pull(settings: Settings) -> "subprocess.CompletedProcess[str]":
    named = {"GUELTA_HOME": str(settings.home), "GUELTA_LAKE": settings.lake, "GUELTA_CALLS": settings.calls}
    return subprocess.run([*GUELTA, "pull", "gateway"], env=os.environ | named, capture_output=True, text=True)


def elsewhere(settings: Settings) -> dict[str, str]:
    """The digests of the same pull where there is room."""
    from indexer import sources

    lake = Lake(settings.home / "elsewhere")
    sources.pull(settings, lake, ["gateway"])
    return digest(lake)


def stands(lake: Lake) -> tuple[int, int, Cursor | None, str]:
    table = lake.table(CALLS)
    return table.version(), table.rows(), table.cursor("pull:gateway:gateway_calls"), digest(lake, [CALLS])[CALLS]


@pytest.fixture
def settings(disk: Disk, tmp_path: Path) -> Settings:
    calls = tmp_path / "calls"
    write_calls(calls, 1)
    return resolved(Settings(home=tmp_path / "home", lake=str(disk.folder / "lake"), calls=str(calls)))


@pytest.mark.parametrize("free_bytes", [0, 16_384, 500_000], ids=["no lake", "no table", "no data"])
def test_a_first_pull_that_finds_no_room_is_a_sentence_and_goes_on_later(
    disk: Disk, settings: Settings, free_bytes: int
) -> None:
    disk.leave(free_bytes)
    refused = pull(settings)
    assert (refused.returncode, SENTENCE in refused.stderr, "Traceback" in refused.stderr) == (1, True, False)
    disk.make_space()
    held = Lake(settings.lake)
    assert not held.exists(CALLS) or stands(held)[1:3] == (0, None)
    assert pull(settings).returncode == 0
    assert digest(held) == elsewhere(settings)


def test_what_was_committed_stays_and_the_rest_follows(disk: Disk, settings: Settings) -> None:
    assert pull(settings).returncode == 0
    lake = Lake(settings.lake)
    before = stands(lake)
    assert before[1] == 12_000
    write_calls(Path(settings.calls), 2)
    disk.leave(100_000)
    for _ in range(2):
        refused = pull(settings)
        assert (refused.returncode, f"{CALLS}: {SENTENCE}" in refused.stderr) == (1, True)
        assert stands(lake) == before
    disk.make_space()
    assert pull(settings).returncode == 0
    assert stands(lake)[1] == 24_000
    assert digest(lake) == elsewhere(settings)
