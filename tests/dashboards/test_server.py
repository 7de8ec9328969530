"""The server behind the pages: healthy, on loopback, and gone when its owner is."""

import json
import socket
import urllib.request

import pytest

from dashboards import server
from guelta.errors import BadSetting
from guelta.settings import Settings, resolved


def test_it_is_healthy_on_loopback_and_gone_afterwards(tmp_path):
    with server.serving(resolved(Settings(home=tmp_path)), 0, tmp_path / "log") as (url, process):
        with urllib.request.urlopen(f"{url}/healthz") as answer:
            assert json.load(answer)["status"] == "ok"
        assert url.startswith("http://127.0.0.1:")
        assert process.poll() is None
    assert process.poll() is not None


def test_a_taken_port_is_named(tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with (
            pytest.raises(BadSetting, match=f"port {port} is taken on 127.0.0.1; name another one"),
            server.serving(resolved(Settings(home=tmp_path)), port),
        ):
            pass
