"""The house's own rules: who may import whom, where SQL may stand, how money may be touched, what is documented."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("guelta", "indexer", "models", "quality", "pipelines", "dashboards")
FLOOR = {"__init__", "cli", "decisions", "demo", "errors", "money", "settings", "show"}
LAKE = {"__init__", "commit", "maintain", "ops", "read", "sandbox", "schema", "where"}
ROOM_NAMES_TO_AVOID = {"utils", "common", "helpers", "manager", "misc", "docs"}


def sources(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.bans
def test_the_floor_is_closed():
    assert {p.stem for p in (ROOT / "guelta").glob("*.py")} == FLOOR
    assert {p.stem for p in (ROOT / "guelta/lake").glob("*.py")} == LAKE


@pytest.mark.bans
def test_no_room_is_a_box_of_odds_and_ends():
    found = [named(p) for p in sources(*ROOMS) if ROOM_NAMES_TO_AVOID & {p.stem, *p.relative_to(ROOT).parts}]
    assert found == []


@pytest.mark.bans
def test_every_module_says_what_it_is_for():
    silent = [named(p) for p in sources(*ROOMS) if p.read_text() and not ast.get_docstring(ast.parse(p.read_text()))]
    assert silent == []


@pytest.mark.bans
def test_only_the_lake_opens_tables():
    found = [named(p) for p in sources(*ROOMS) if re.search(r"\b(from|import) deltalake\b", p.read_text())]
    assert [p for p in found if not p.startswith("guelta/lake/")] == []


@pytest.mark.bans
def test_pages_and_reports_hold_no_sql():
    sql = re.compile(r"\bselect\b.+\bfrom\b", re.IGNORECASE | re.DOTALL)
    found = []
    for path in sources("dashboards", "pipelines/reports"):
        texts = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)]
        found += [f"{named(path)}:{n.lineno}" for n in texts if sql.match(str(n.value).strip())]
    assert found == []


@pytest.mark.bans
def test_below_the_door_nobody_reads_the_environment():
    door = {"guelta/settings.py", "dashboards/server.py", "pipelines/server.py"}
    found = [named(p) for p in sources(*ROOMS) if re.search(r"os\.environ|os\.getenv", p.read_text())]
    assert set(found) - door == set()


# Names of money columns as they stand in contracts; a division or a bare sum of one of these is a bug.
MONEY = r"(amount|gross|fee|net|gross_value|supply_side|protocol_revenue|earned|settled|paid|debit|credit|price)(_raw)?"


@pytest.mark.bans
def test_no_float_division_or_bare_sum_touches_money():
    patterns = {
        "division": re.compile(rf"""pl\.col\(["']{MONEY}["']\)\s*/(?!/)"""),
        "float": re.compile(rf"""pl\.col\(["']{MONEY}["']\)\.cast\(pl\.Float"""),
        "bare sum": re.compile(rf"""pl\.(sum\(["']{MONEY}["']\)|col\(["']{MONEY}["']\)\.sum\()"""),
        "pyarrow sum": re.compile(r"\bpc\.sum\("),
    }
    found = [
        f"{named(path)}: {what}"
        for path in sources(*ROOMS)
        for what, pattern in patterns.items()
        if named(path) != "guelta/money.py" and pattern.search(path.read_text())
    ]
    assert found == []


def test_documented_columns_equal_materialised_columns(demo_home):
    import quality
    from guelta.lake import Lake

    lake = Lake(demo_home.lake)
    wrong = {}
    for model in quality.tables():
        built = [c for c in lake.table(model.name).spec.schema.names if c != "month"]
        if list(model.columns) != built:
            wrong[model.name] = (list(model.columns), built)
    assert wrong == {}


def test_the_graph_is_the_one_in_the_snapshot():
    """Key, upstreams and grain of every table; `make snapshot` rewrites the file after its diff was read."""
    now = subprocess.run([sys.executable, "tests/graph.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (ROOT / "tests/graph.txt").read_text().splitlines() == now.stdout.splitlines()


def test_dagster_loads_the_same_graph():
    import quality
    from pipelines.definitions import defs

    graph = defs.resolve_asset_graph()
    keys = {key.to_user_string().replace("/", ".") for key in graph.get_all_asset_keys()}
    assert {model.name for model in quality.tables()} <= keys


def test_the_readmes_commands_exist():
    """Every `guelta …` line of the README names a command and options that the door knows."""
    import typer.main

    from guelta.cli import app

    commands = typer.main.get_command(app).commands
    lines = re.findall(r"^(?:GUELTA_\w+=\S+ )*guelta (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert lines
    for line in lines:
        words = shlex.split(line.split("#")[0].split("&&")[0].split("|")[0])
        known = {option for p in commands[words[0]].params for option in (*p.opts, *p.secondary_opts)}
        unknown = [word for word in words[1:] if word.startswith("--") and word.split("=")[0] not in known]
        assert (line, unknown) == (line, [])


def test_the_readmes_test_command_is_what_ci_runs():
    assert "make test" in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci/run").read_text().splitlines()[-2:] == ["make check", "make test"]


def test_every_setting_is_in_the_readme():
    from guelta.settings import Settings

    readme = (ROOT / "README.md").read_text()
    assert [name for name in Settings.__struct_fields__ if f"`{name}`" not in readme] == []


def test_help_answers_without_heavy_imports():
    heavy = ("polars", "duckdb", "deltalake", "dagster", "streamlit", "web3", "numba", "pyarrow", "sqlalchemy")
    code = f"import sys, guelta.cli; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
