"""Settings are read once, a wrong key is an error, and secrets are never shown."""

from pathlib import Path

import pytest

from guelta.errors import BadSetting
from guelta.settings import load, masked


def test_file_then_environment_and_defaults_below_home(tmp_path):
    file = tmp_path / "guelta.toml"
    file.write_text('home = "here"\nthreads = 1\n[rpc]\nbase = ["https://one.example/v1/key"]\n')
    found = load(file, {"GUELTA_THREADS": "3", "GUELTA_RPC_DEVNET": "http://127.0.0.1:1 http://127.0.0.1:2"})
    assert (found.home, found.threads, found.lake) == (Path("here"), 3, "here/lake")
    assert found.rpc == {
        "base": ("https://one.example/v1/key",),
        "devnet": ("http://127.0.0.1:1", "http://127.0.0.1:2"),
    }


@pytest.mark.parametrize("text", ['hoem = "x"', "threads = 'two'", "[storage]\nkey = 'x'", "= broken"])
def test_a_setting_that_means_nothing_is_refused(tmp_path, text):
    file = tmp_path / "guelta.toml"
    file.write_text(text)
    with pytest.raises(BadSetting):
        load(file, {})


def test_a_named_file_that_is_absent_is_refused(tmp_path):
    with pytest.raises(BadSetting, match="does not exist"):
        load(None, {"GUELTA_CONFIG": str(tmp_path / "no.toml")})


def test_secrets_are_masked(tmp_path):
    env = {
        "GUELTA_PLATFORM": "postgresql://reader:hunter2@db/platform",
        "GUELTA_RPC_BASE": "https://rpc.example/v2/hunter2",
        "GUELTA_STORAGE_AWS_SECRET_ACCESS_KEY": "hunter2",
    }
    for url in (
        "postgresql://h/db?password=hunter2",
        "postgresql://u:hun/ter2@h/db",
        "postgresql://:hunter2@h/db",
        "postgresql://u:a@hunter2@h/db",
        "https://hunter2@rpc.example",
        "wss://rpc.example/?key=hunter2",
    ):
        assert "ter2" not in masked(url)
        assert "h/db" in masked(url) or "rpc.example" in masked(url)
    settings = load(None, env)
    assert settings.storage == {"AWS_SECRET_ACCESS_KEY": "hunter2"}
    assert "hunter2" not in str(settings.shown())


def test_what_names_a_tool_for_the_tests_is_no_setting():
    assert load(None, {"GUELTA_ANVIL": "/opt/anvil", "GUELTA_CHROMIUM": "/opt/chromium"}) == load(None, {})
