"""The pages over a lake, in this process and in a browser."""

from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboards import contents
from guelta.settings import Settings

APP = str(contents.HERE / "app.py")
TIMEOUT_S = 60


@pytest.fixture
def pages_over(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Open the pages over an installation; what another test cached is forgotten."""

    def opened(settings: Settings, **asked: str) -> AppTest:
        monkeypatch.setenv("GUELTA_HOME", str(settings.home))
        monkeypatch.setenv("GUELTA_LAKE", settings.lake)
        st.cache_data.clear()
        st.cache_resource.clear()
        page = AppTest.from_file(APP, default_timeout=TIMEOUT_S)
        for name, value in asked.items():
            page.query_params[name] = value
        return page.run()

    return opened


@pytest.fixture(params=[one.path.relative_to(contents.HERE) for one in contents.pages()], ids=lambda path: path.stem)
def page_file(request: pytest.FixtureRequest) -> str:
    """Each page, by its path below dashboards/."""
    return str(request.param)
