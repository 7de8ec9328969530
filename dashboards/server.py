"""The production entry: ``streamlit run dashboards/server.py`` serves pages and ``/healthz``; the CLI calls ``run``.

A route does not know who asks, so no data leaves by one: health says only that the server lives and which
version it is.
"""

import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from streamlit.runtime.pages_manager import PagesManager

from guelta.errors import BadSetting, Fatal
from guelta.settings import Settings

PORT = 8501
WAIT_S = 60.0
HERE = Path(__file__).parent


def run(settings: Settings, port: int | None = None, *, open_browser: bool = False) -> None:
    """Serve the pages on loopback until interrupted.

    Args:
        settings: whose lake is shown.
        port: None tries 8501 and takes a free one when it is taken; 0 takes a free one.
        open_browser: also open the first page.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # else a terminated parent leaves its child behind
    with serving(settings, port) as (url, process):
        print(f"Guelta's pages are at {url}  (Ctrl+C stops them)", flush=True)
        if open_browser:
            webbrowser.open(url)
        with suppress(KeyboardInterrupt):
            process.wait()


@contextmanager
def serving(
    settings: Settings, port: int | None = None, log: Path | None = None
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A child that serves the pages: its URL and process, healthy on entry, gone on exit.

    Raises:
        BadSetting: the port is taken.
        Fatal: the child ended or did not answer in time.
    """
    chosen = _port(port)
    url = f"http://127.0.0.1:{chosen}"
    command = [sys.executable, "-m", "streamlit", "run", str(HERE / "server.py")]
    command += ["--server.address", "127.0.0.1", "--server.port", str(chosen), "--server.headless", "true"]
    with log.open("wb") if log else nullcontext() as written:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and our own file
            command, env=_environment(settings), stdout=written or subprocess.DEVNULL, stderr=written or None
        )
        try:
            _wait(process, url)
            yield url, process
        finally:
            _stop(process)


def _port(wanted: int | None) -> int:
    for candidate in (PORT, 0) if wanted is None else (wanted,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", candidate))
                return int(probe.getsockname()[1])
    raise BadSetting(f"port {wanted} is taken on 127.0.0.1; name another one, or 0 for any that is free")


def _environment(settings: Settings) -> dict[str, str]:
    """The child reads its settings at its own door: the same ones, said in the environment."""
    said = {
        "GUELTA_HOME": settings.home.absolute(),
        "GUELTA_LAKE": settings.lake if "://" in settings.lake else Path(settings.lake).absolute(),
        "GUELTA_DECISIONS": settings.decisions,
        "GUELTA_MEMORY": settings.memory,
        "GUELTA_THREADS": settings.threads,
    }
    stored = {f"GUELTA_STORAGE_{name}": value for name, value in settings.storage.items()}
    return os.environ | {name: str(value) for name, value in said.items()} | stored


def _wait(process: "subprocess.Popen[bytes]", url: str) -> None:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        if (code := process.poll()) is not None:
            raise Fatal(f"the pages' server ended with code {code} before it answered; its words stand above")
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{url}/healthz", timeout=2) as answer:  # noqa: S310  # loopback
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise Fatal(f"the pages' server did not answer at {url}/healthz within {WAIT_S:.0f} s; is the machine overloaded?")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "version": version("guelta")})


@asynccontextmanager
async def _warm(_: Any) -> AsyncIterator[None]:
    """The first visitor should not pay for the imports and the first look at the lake."""

    def look() -> None:
        for heavy in ("altair", "duckdb", "pandas", "dashboards.frame"):
            importlib.import_module(heavy)

    threading.Thread(target=look, daemon=True).start()
    yield


# Our pages/ is walked by st.navigation. Until a first run has called it, Streamlit takes such a folder for its own old
# convention and answers the first deep link of a fresh process with "Page not found".
PagesManager.uses_pages_directory = False

# Streamlit finds the application by reading this file: the name and the call must stand on one line.
app = st.App(HERE / "app.py", routes=[Route("/healthz", _health)], lifespan=_warm)
