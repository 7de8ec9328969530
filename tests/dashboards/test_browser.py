"""The pages as a browser shows them: both themes, nothing from outside, nothing broken, nothing wider than a phone."""

import hashlib
import json

import pytest

from dashboards import contents, server

pytestmark = pytest.mark.browser
PAGES = {one.path.stem: one for one in contents.pages()}
# Streamlit asks for its own endpoints below the page's path before it asks below the root: a 404 each, and its own.
OWN_PROBES = ("/_stcore/health", "/_stcore/host-config")


@pytest.fixture(scope="module")
def url(demo_home, tmp_path_factory):
    with server.serving(demo_home, 0, tmp_path_factory.mktemp("served") / "streamlit.log") as (address, _):
        yield address


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


def settled(page):
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=60_000)
    page.wait_for_selector("h1", timeout=30_000)
    page.wait_for_timeout(400)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=60_000)


@pytest.fixture
def look(browser, url):
    """Open a page in a theme and width; what went wrong stands in the second value."""
    contexts = []

    def opened(name, theme="light", width=1440):
        context = browser.new_context(
            viewport={"width": width, "height": 1000},
            color_scheme=theme,
            reduced_motion="reduce",
            accept_downloads=True,
        )
        contexts.append(context)
        page, wrong = context.new_page(), []
        page.on(
            "console", lambda said: wrong.append(said.text) if said.type == "error" and "404" not in said.text else None
        )
        page.on("request", lambda asked: wrong.append(asked.url) if not at_home(asked.url) else None)
        page.on(
            "response",
            lambda got: wrong.append(got.url) if got.status >= 400 and not got.url.endswith(OWN_PROBES) else None,
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{url}/{name}")
        settled(page)
        return page, wrong

    def at_home(address):
        return address.startswith((url, url.replace("http", "ws"), "data:", "blob:"))

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("stem", list(PAGES))
def test_a_page_is_whole_in_both_themes(look, stem, theme):
    page, wrong = look(contents.address(PAGES[stem]), theme)
    page.wait_for_timeout(800)
    assert wrong == []
    assert page.locator("h1").inner_text() == PAGES[stem].question
    assert page.locator('[data-testid="stException"], [data-testid="stAlert"]').count() == 0
    assert page.get_by_text("DEMO DATA").first.is_visible()
    cut = page.locator('[data-testid="stMetricValue"]').evaluate_all(
        "all => all.filter(one => one.innerText.includes('…')).length"
    )
    assert cut == 0


@pytest.mark.parametrize("stem", list(PAGES))
def test_a_page_fits_a_phone(look, stem):
    page, wrong = look(contents.address(PAGES[stem]), width=390)
    main = '[data-testid="stMain"]'
    wide = page.evaluate(f"[document.documentElement.scrollWidth, document.querySelector('{main}').scrollWidth]")
    assert (max(wide) <= 390, wrong) == (True, [])


def test_an_export_is_what_its_note_says(look, tmp_path):
    page, _ = look("")
    page.get_by_role("button", name="Export").click()
    got = {}
    for label in ("CSV", "XLSX", "meta"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=label, exact=True).first.click()
        file = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(file)
        got[label] = file
    note = json.loads(got["meta"].read_text())
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (got["CSV"], got["XLSX"])}
    assert {name: note["files"][name]["sha256"] for name in hashes} == hashes


def test_a_copied_url_shows_the_same_numbers(look):
    page, _ = look("")
    page.get_by_role("button", name="TAI").or_(page.get_by_role("radio", name="TAI")).first.click()
    page.wait_for_timeout(500)
    settled(page)
    numbers = page.locator('[data-testid="stMetricValue"]').all_inner_texts()
    assert "token=TAI" in page.url
    again, _ = look(page.url.rsplit("/", 1)[-1])
    assert again.locator('[data-testid="stMetricValue"]').all_inner_texts() == numbers
