"""The built wheel in an empty environment and an empty folder: everything the product needs travels in it."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

from guelta.lake import Lake

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ROOMS = ("guelta", "indexer", "models", "quality", "pipelines", "dashboards")
SERVE = """
import json, urllib.request
from dashboards.server import serving
from guelta.settings import load
with serving(load(), 0) as (url, process):
    with urllib.request.urlopen(url + "/healthz") as answer:
        health = json.load(answer)
    with urllib.request.urlopen(url + "/ecosystem") as answer:
        page = answer.read().decode()
print(json.dumps({"url": url, "health": health, "page": page, "gone": process.poll() is not None}))
"""
LOOK = """
import json
from pathlib import Path
import dashboards
from streamlit.testing.v1 import AppTest
page = AppTest.from_file(str(Path(dashboards.__file__).parent / "app.py"), default_timeout=120).run()
print(json.dumps({"title": [one.value for one in page.title], "wrong": len(page.exception) + len(page.error),
                  "said": " ".join(one.value for one in page.markdown)}))
"""


class Installed(NamedTuple):
    """The wheel in an environment of its own, run from an empty folder."""

    wheel: Path
    bin: Path
    folder: Path

    def run(self, command: str, *words: str, ends: int = 0) -> str:
        done = subprocess.run(
            [self.bin / command, *words], cwd=self.folder, env=clean(), capture_output=True, text=True
        )
        assert done.returncode == ends, f"{command} {words} ended with {done.returncode}: {done.stderr[-3000:]}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def guelta(self, *words: str, ends: int = 0) -> str:
        return self.run("guelta", *words, ends=ends)

    def python(self, code: str) -> str:
        return self.run("python", "-c", code)


def clean() -> dict[str, str]:
    """The environment without anything that points at this repository."""
    ours = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"}
    return {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("GUELTA_")}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    beside = ROOT / ".uv/bin/uv"
    uv = os.environ.get("UV") or shutil.which("uv") or (str(beside) if beside.is_file() else None)
    if uv is None:
        pytest.skip("no uv: it builds and installs the wheel; make setup brings it")
    place = tmp_path_factory.mktemp("wheel")
    python = place / "env" / ("Scripts" if os.name == "nt" else "bin")
    for words in (
        ("build", "--wheel", "--quiet", "--out-dir", place / "dist", ROOT),
        ("venv", "--quiet", "--python", sys.executable, place / "env"),
        (
            "export",
            "--quiet",
            "--frozen",
            "--no-dev",
            "--no-emit-project",
            "--no-hashes",
            "--output-file",
            place / "locked.txt",
        ),
    ):
        subprocess.run([uv, *words], cwd=ROOT, env=clean(), check=True, stdout=subprocess.DEVNULL)
    (wheel,) = (place / "dist").glob("*.whl")
    install = ("pip", "install", "--quiet", "--python", python / "python", wheel, "--constraint", place / "locked.txt")
    subprocess.run([uv, *install], cwd=place, env=clean(), check=True)
    (place / "empty").mkdir()
    return Installed(wheel, python, place / "empty")


@pytest.fixture(scope="module")
def told(installed: Installed) -> Path:
    """The demo, told by the installed command; its home is the default one."""
    assert "planted breaks found, 0 false" in installed.guelta("demo", "--no-serve", "--seed", "7", "--scale", "0.05")
    return installed.folder / "guelta-data"


def test_what_is_no_code_travels_too(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        packed = set(wheel.namelist())
    kinds = (".sql", ".toml", ".yaml", ".json", ".svg", ".png", ".gz", ".sol")
    here = {p.relative_to(ROOT).as_posix() for room in ROOMS for p in (ROOT / room).rglob("*") if p.suffix in kinds}
    assert here - packed == set()
    assert {Path(name).parts[0] for name in packed if ".dist-info/" not in name} == set(ROOMS)
    where = installed.python("import guelta, dashboards; print(guelta.__file__, dashboards.__file__)")
    assert str(ROOT) not in where


def test_the_main_job_from_the_wheel(installed: Installed, told: Path) -> None:
    state = json.loads(installed.guelta("status", "--json"))
    assert (state["last_closed_period"], state["demo"]) == ("2026-10", True)
    assert "the hash chain holds" in installed.guelta("check")
    found = json.loads(installed.guelta("reconcile", "--period", "all", "--json", ends=1))
    planted = json.loads((told / "answers.json").read_text())["breaks"]
    assert sorted((b["recon_key"], b["status"], b["code"]) for b in found["breaks"]) == sorted(
        (b["recon_key"], b["status"], b["code"]) for b in planted
    )
    with Lake(told / "lake").duck(["core.earnings"]) as con:
        usage = "select earning_id from core.earnings where kind = 'usage' order by amount desc limit 1"
        ((earning,),) = con.sql(usage).fetchall()
    assert "log" in installed.guelta("explain", earning)


def test_the_report_built_twice_has_the_same_bytes(installed: Installed, told: Path) -> None:
    built = []
    for folder in ("one", "two"):
        installed.guelta("report", "payout-reconciliation", "--period", "2026-10", "--to", folder)
        files = sorted(path for path in (installed.folder / folder).rglob("*") if path.is_file())
        built.append({path.name: sha256(path.read_bytes()).hexdigest() for path in files})
    assert built[0] == built[1]
    assert {Path(name).suffix for name in built[0]} == {".pdf", ".xlsx", ".csv", ".json"}


def test_dagster_finds_its_definitions(installed: Installed) -> None:
    code = "from pipelines.definitions import defs; print(len(defs.resolve_asset_graph().get_all_asset_keys()))"
    assert int(installed.python(code)) > 50


def test_the_dashboards_serve_a_page(installed: Installed, told: Path) -> None:
    answered = json.loads(installed.python(SERVE))
    assert (answered["health"]["status"], answered["gone"]) == ("ok", True)
    assert answered["url"].startswith("http://127.0.0.1:")
    assert '<div id="root"' in answered["page"]
    looked = json.loads(installed.python(LOOK))
    assert (len(looked["title"]), looked["wrong"], "DEMO DATA" in looked["said"]) == (1, 0, True)
