"""Dagster on loopback for a laptop: the webserver and its daemon as one child, stopped by id."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from guelta.errors import BadSetting, Fatal
from guelta.settings import Settings

PORT = 3000
_WAIT_S = 120.0  # a loaded machine takes half a minute to import everything twice
_PATIENCE_S = 5.0  # a commit is whole or absent, so a hard end loses nothing


@contextmanager
def serving(settings: Settings, port: int | None = None) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """``dagster dev`` with its state in HOME/dagster: its URL and process, answering on entry, gone on exit.

    Raises:
        BadSetting: the port is taken.
        Fatal: the child ended or did not answer in time; its log says why.
    """
    chosen = _free(port)
    home = settings.home.absolute() / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(__file__).parent / "dagster.yaml", home / "dagster.yaml")
    command = [
        sys.executable,
        "-m",
        "dagster",
        "dev",
        "-m",
        "pipelines.definitions",
        "-h",
        "127.0.0.1",
        "-p",
        str(chosen),
    ]
    log = home / "dagster.log"
    with log.open("wb") as out:
        # A group of its own: `dagster dev` starts children and has ignored a lone SIGTERM for minutes.
        process = subprocess.Popen(  # noqa: S603  # our own interpreter
            command,
            env=os.environ | {"DAGSTER_HOME": str(home)},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{chosen}"
            _wait(process, url, log)
            yield url, process
        finally:
            _stop(process)


def _free(wanted: int | None) -> int:
    import socket

    for port in (PORT, 0) if wanted is None else (wanted,):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise BadSetting(f"port {wanted} on 127.0.0.1 is taken; name another with --dagster-port, or none for a free one")


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Fatal(f"Dagster ended with {process.returncode} before it answered; its log is {log}")
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{url}/server_info", timeout=2):  # noqa: S310  # loopback
            return
        time.sleep(0.5)
    raise Fatal(f"Dagster did not answer at {url} within {_WAIT_S:.0f} s; its log is {log}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)
            break
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its children, where it left some
