"""Pictures of every page in both themes, for the README: starts the pages over a lake, looks, and stops them.

uv run python bench/screenshots.py [--home guelta-data] [--to build/screenshots] [--width 1440] [PAGE…]
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from dashboards import contents, server
from guelta.settings import load

IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
TALLEST = 4000


@dataclass(frozen=True)
class Shot:
    page: str
    theme: str
    file: Path


def take(url: str, names: list[str], to: Path, width: int = 1440) -> list[Shot]:
    """One picture a page and theme, as tall as the page."""
    to.mkdir(parents=True, exist_ok=True)
    taken = []
    addresses = {one.path.stem: contents.address(one) for one in contents.pages()}
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=os.environ.get("GUELTA_CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--force-color-profile=srgb", "--font-render-hinting=none"],
        )
        for theme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": width, "height": 1000}, color_scheme=theme, reduced_motion="reduce"
            )
            page = context.new_page()
            for name in names:
                page.goto(f"{url}/{addresses[name]}")
                settle(page)
                tall = page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
                page.set_viewport_size({"width": width, "height": max(700, min(int(tall), TALLEST))})
                page.wait_for_timeout(1200)  # canvases redraw after a resize
                file = to / f"{name}-{theme}.png"
                page.screenshot(path=file)
                taken.append(Shot(name, theme, file))
                page.set_viewport_size({"width": width, "height": 1000})
            context.close()
        browser.close()
    return taken


def settle(page: Page) -> None:
    """Until the script is done and charts and tables have drawn."""
    page.wait_for_selector(IDLE, timeout=60_000)
    page.wait_for_selector("h1", timeout=30_000)
    page.wait_for_timeout(300)
    page.wait_for_selector(IDLE, timeout=60_000)
    page.wait_for_timeout(1500)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="folder of the lake to show; default: the settings'")
    parser.add_argument("--to", type=Path, default=Path("build/screenshots"))
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("pages", nargs="*", default=[one.path.stem for one in contents.pages()])
    asked = parser.parse_args()
    environment = os.environ | ({"GUELTA_HOME": str(asked.home)} if asked.home else {})
    with server.serving(load(environ=environment), 0) as (url, _):
        for shot in take(url, asked.pages, asked.to, asked.width):
            print(shot.file)


if __name__ == "__main__":
    main()
