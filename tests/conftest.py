"""Small worlds every room's tests may use."""

import os
import shutil
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
