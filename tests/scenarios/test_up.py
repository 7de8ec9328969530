"""``guelta up``: both servers answer on loopback together, and stopping leaves no process behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from guelta.settings import Settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc to find left processes in"),
]

GUELTA = [sys.executable, "-c", "from guelta.cli import main; main()"]
PATIENCE_S = 240.0  # two servers that import everything, on a loaded machine


def belonging(home: Path) -> set[int]:
    """Every living process that was started for this home, whoever its parent is now."""
    mark, found = f"GUELTA_HOME={home}".encode(), set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.add(int(process.name))
        except OSError:
            continue  # gone meanwhile, or not ours
    return found


def until(what: Any, seconds: float = PATIENCE_S) -> bool:
    end = time.monotonic() + seconds
    while not (done := what()) and time.monotonic() < end:
        time.sleep(0.2)
    return bool(done)


def asked(url: str, data: bytes | None = None) -> Any:
    question = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(question, timeout=60) as answer:
        return json.load(answer)


@contextmanager
def up(home: Path, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The command as a shell starts it: leader of its own group. Whatever it leaves is ended here."""
    env = os.environ | {"GUELTA_HOME": str(home)}
    with (home / "out").open("wb") as out, (home / "err").open("wb") as err:
        child = subprocess.Popen([*GUELTA, "up", *words], env=env, stdout=out, stderr=err, start_new_session=True)
        try:
            yield child
        finally:
            for pid in belonging(home):
                os.kill(pid, signal.SIGKILL)
            child.wait()


@pytest.fixture
def home(demo_home: Settings, tmp_path: Path) -> Path:
    """A copy of the demo: Dagster keeps its state in it."""
    return Path(shutil.copytree(demo_home.home, tmp_path / "home"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_both_answer_and_ctrl_c_leaves_no_process(home: Path) -> None:
    port = free_port()
    with up(home, "--port", "0", "--dagster-port", str(port)) as child:
        assert until(lambda: "Ctrl-C stops both" in (home / "out").read_text() or child.poll() is not None)
        said = (home / "out").read_text()
        assert child.poll() is None, (said, (home / "err").read_text())
        urls = dict(line.split() for line in said.splitlines() if "http" in line)
        assert urls["dagster"] == f"http://127.0.0.1:{port}"
        assert urls["dashboards"].startswith("http://127.0.0.1:")
        assert asked(urls["dashboards"] + "/healthz")["status"] == "ok"
        question = json.dumps({"query": "{ assetNodes { id } }"}).encode()
        assert len(asked(urls["dagster"] + "/graphql", question)["data"]["assetNodes"]) > 50
        assert len(belonging(home)) >= 3
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does: the whole group hears it
        assert child.wait(PATIENCE_S) == 130
        assert until(lambda: not belonging(home), 30), belonging(home)
        assert "Traceback" not in (home / "err").read_text()


def test_terminated_while_starting_it_leaves_no_process(tmp_path: Path) -> None:
    with up(tmp_path, "--port", "0", "--dagster-port", "0") as child:
        assert until(lambda: len(belonging(tmp_path)) >= 4)  # itself, the dashboards, Dagster and a child of that
        child.terminate()
        assert child.wait(PATIENCE_S) == 0
        assert until(lambda: not belonging(tmp_path), 30), belonging(tmp_path)
        assert "Traceback" not in (tmp_path / "err").read_text()


@pytest.mark.parametrize("option", ["--port", "--dagster-port"])
def test_a_taken_port_is_a_sentence_and_exit_code_2(tmp_path: Path, option: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        other = "--dagster-port" if option == "--port" else "--port"
        with up(tmp_path, option, port, other, str(free_port())) as child:
            assert child.wait(PATIENCE_S) == 2
            assert f"port {port}" in (tmp_path / "err").read_text()
            assert "Traceback" not in (tmp_path / "err").read_text()
            assert until(lambda: not belonging(tmp_path), 30), belonging(tmp_path)
    assert not (tmp_path / "dagster").exists()  # known before Dagster is started
