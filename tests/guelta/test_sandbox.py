"""Attacks on the SQL sandbox (50-surface §5): each is refused, stopped or harmless, and the machine stays as it was."""

import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from guelta.errors import BadSetting, Fatal
from guelta.lake import Lake
from guelta.lake.sandbox import copy, query
from guelta.lake.schema import Amount, Text, spec

SECONDS = 1.0
PEAK: dict[str, int] = {}
host_frame = pa.table({"secret": ["host-frame"]})

REFUSED = [
    # files and the network
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/proc/self/environ')",
    "select * from glob('/*')",
    "select * from sniff_csv('/etc/passwd')",
    "from '/etc/passwd'",
    "from 'marts.csv'",
    "select * from parquet_metadata('{lake}/core/secret/*.parquet')",
    "select * from read_parquet('{lake}/core/secret/*.parquet')",
    "select * from read_json('{lake}/_guelta.json')",
    "select * from 'https://example.org/x.parquet'",
    "select * from delta_scan('{lake}/core/secret')",
    "select * from read_duckdb('{lake}/x.duckdb')",
    "copy (select 1) to '{lake}/out.csv'",
    "copy marts.payouts to '/dev/stdout'",
    "export database '{lake}/dump'",
    "import database '{lake}/dump'",
    "attach '{lake}/other.db'",
    "attach ':memory:' as m",
    # code and configuration
    "install httpfs",
    "load httpfs",
    "update extensions",
    "create secret (type s3, key_id 'x', secret 'y')",
    "set memory_limit = '64GB'",
    "set lock_configuration = false",
    "reset memory_limit",
    "pragma temp_directory = '{lake}'",
    "set variable a = 1",
    "select * from host_frame",
    "call pragma_database_size()",
    "prepare p as select 1",
    "execute p",
    # writing, and statements dressed as a SELECT
    "insert into marts.payouts values ('x', 1)",
    "delete from marts.payouts",
    "update marts.payouts set amount = 0",
    "drop table marts.payouts",
    "create temp table t as select 1",
    "create function f() as 1",
    "with x as (insert into marts.payouts values ('x', 1) returning *) select * from x",
    "with x as (delete from marts.payouts returning *) select * from x",
    "with x as (copy (select 1) to '{lake}/out.csv') select * from x",
    "explain analyze copy (select 1) to '{lake}/out.csv'",
    "explain analyze select 1",
    "explain /* x */ analyze select 1",
    "explain (analyze) select 1",
    "explain copy (select 1) to '{lake}/out.csv'",
    "begin",
    "checkpoint",
    "vacuum",
    "select 1; select 2",
    "select 1; copy (select 1) to '{lake}/out.csv'",
    "select 1) union all (select 2",
    "select 1) t; copy (select 1) to '{lake}/out.csv'; select * from (select 1",
    "pivot marts.payouts on party using sum(amount)",
    "select * from core.secret",
    "select * from query_table('core.secret')",
    "select getenv('HOME')",
    "select count(*) from duckdb_secrets()",
    "",
    "-- nothing",
]
STOPPED = [
    "with recursive r(n) as (select 1 union all select n + 1 from r) select max(n) from r",
    "select count(*) from range(100000000000) a",
    "select count(*) from range(1000000) a, range(1000000) b where hash(a.range + b.range) = 1",
    "select sum(h) from (select hash(x) as h from range(2000000000) t(x) order by h limit 100000000)",
    "select length(repeat('x', 3000000000))",
    "select len(range(2000000000))",
    "select list(range) from range(400000000)",
    "select repeat('x', 100000) from range(10000)",
]
HARMLESS = {
    "select current_setting('temp_directory') like '%{lake}%' as found": [{"found": False}],
    "select count(*) as found from duckdb_databases() where path like '%{lake}%'": [{"found": 0}],
    "select count(*) as found from duckdb_tables() where table_name = 'secret'": [{"found": 0}],
    "select * from json_execute_serialized_sql(json_serialize_sql('select party from marts.payouts order by 1'))": [
        {"party": "ann"},
        {"party": "ben"},
    ],
    "select party from query_table('marts.payouts') order by 1": [{"party": "ann"}, {"party": "ben"}],
    "select 1 as found -- )": [{"found": 1}],
    "select ';--' as found; -- done;": [{"found": ";--"}],
    "from (values (1)) t(found)": [{"found": 1}],
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two payouts of more than 2**63 base units in marts, and a table in core that is nobody's business."""
    lake = Lake(tmp_path_factory.mktemp("attacked") / "lake")
    payouts = lake.create(spec("marts.payouts", {"party": Text, "amount": Amount}, key=("party",)))
    payouts.append(pa.table({"party": ["ann", "ben"], "amount": pa.array([10**37 + 1, 7], Amount)}))
    lake.create(spec("core.secret", {"name": Text}, key=("name",))).append(pa.table({"name": ["hidden"]}))
    return lake


class Outcome:
    def __init__(self, lake: Lake, sql: str) -> None:
        began = time.monotonic()
        self.rows: list[dict[str, Any]] | None = None
        self.error: Exception | None = None
        try:
            self.rows = query(lake, sql.replace("{lake}", lake.root), seconds=SECONDS, log=None).table.to_pylist()
        except (BadSetting, Fatal) as error:
            self.error = error
        self.took = time.monotonic() - began


@pytest.fixture(scope="module")
def outcomes(lake: Lake) -> dict[str, Outcome]:
    """Every attack once, a few at a time: starting a process costs more than most of them."""
    copy(lake)
    PEAK["before"] = _peak_bytes()
    attacks = [*STOPPED, *REFUSED, *HARMLESS]
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(attacks, pool.map(lambda sql: Outcome(lake, sql), attacks), strict=True))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _children() -> list[str]:
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "ppid,pid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [line for line in listed if line.split()[0] == str(os.getpid())]


@pytest.mark.parametrize("attack", REFUSED)
def test_refused(attack: str, outcomes: dict[str, Outcome]) -> None:
    found = outcomes[attack]
    assert (type(found.error), found.rows) == (BadSetting, None), found.error
    assert "hidden" not in str(found.error)


@pytest.mark.parametrize("attack", STOPPED)
def test_stopped(attack: str, outcomes: dict[str, Outcome], lake: Lake) -> None:
    found = outcomes[attack]
    assert (type(found.error), found.rows) == (Fatal, None), found.error
    starting = max(one.took for sql, one in outcomes.items() if sql in REFUSED)  # nothing of it is the query's time
    assert found.took < SECONDS + 3 + starting


@pytest.mark.parametrize("attack", HARMLESS)
def test_harmless(attack: str, outcomes: dict[str, Outcome]) -> None:
    found = outcomes[attack]
    assert (found.rows, found.error) == (HARMLESS[attack], None)


def test_the_machine_is_as_it_was(outcomes: dict[str, Outcome], lake: Lake) -> None:
    root = Path(lake.root)
    assert sorted(path.name for path in root.iterdir()) == ["_guelta.json", "core", "marts"]
    assert lake.table("marts.payouts").read()["amount"].to_pylist() == [10**37 + 1, 7]
    assert [line for line in _children() if "sandbox.py" in line] == []
    assert _peak_bytes() - PEAK["before"] < 400 * 2**20  # the gigabytes stayed in the children


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_child_has_nothing_to_use(lake: Lake) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(Outcome, lake, STOPPED[0])
        found: dict[str, Any] = {}
        while not running.done():
            for line in _children():
                with contextlib.suppress(OSError):
                    child = Path("/proc", line.split()[1])
                    limits = (child / "limits").read_text()
                    if "sandbox.py" not in line or not re.search(r"Max file size +0 +0 ", limits):
                        continue  # somebody else, or not yet past its first lines
                    found |= {
                        "cwd": list((child / "cwd").iterdir()),
                        "environ": (child / "environ").read_bytes(),
                        "user": re.search(r"Uid:\s+(\d+)", (child / "status").read_text())[1],
                        "memory": re.search(r"Max address space +(\d+)", limits)[1],
                        "core": re.search(r"Max core file size +(\d+)", limits)[1],
                        "files": re.search(r"Max open files +(\d+)", limits)[1],
                    }
            time.sleep(0.02)
    user = "65534" if os.getuid() == 0 else str(os.getuid())
    limits = {"memory": str(3 * 2**30), "core": "0", "files": "32"}
    assert found == {"cwd": [], "environ": b"", "user": user} | limits


def test_rows_types_limits_and_the_log(lake: Lake, tmp_path: Path) -> None:
    log = tmp_path / "home" / "sql.jsonl"
    found = query(lake, "select party, sum(amount) as total from marts.payouts group by 1 order by 1", limit=1, log=log)
    assert (found.table.to_pylist(), found.truncated) == ([{"party": "ann", "total": 10**37 + 1}], True)
    with pytest.raises(BadSetting, match=r"expected one SELECT, found DROP"):
        query(lake, "drop table marts.payouts", log=log)
    with pytest.raises(BadSetting, match="syntax error"):
        query(lake, "selekt 1", log=log)
    with pytest.raises(Fatal, match="larger than 1,000 bytes"):
        query(lake, "select range from range(100000)", most_bytes=1_000, log=log)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["verdict"], line["rows"]) for line in lines] == [
        ("done", 1),
        ("refused", None),
        ("refused", None),
        ("stopped", None),
    ]


def test_the_copy_moves_with_the_marts(lake: Lake, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    payouts = lake.create(spec("marts.payouts", {"party": Text}, key=("party",)))
    payouts.append(pa.table({"party": ["ann"]}))
    first = copy(lake)
    assert copy(lake) == first
    payouts.append(pa.table({"party": ["ben"]}))
    assert copy(lake) != first
    assert query(lake, "select count(*) as n from marts.payouts", log=None).table.to_pylist() == [{"n": 2}]
    lake.drop("marts.payouts")
    payouts = lake.create(spec("marts.payouts", {"party": Text}, key=("party",)))
    payouts.append(pa.table({"party": ["eve"]}))  # the same version as the first copy, other rows
    assert query(lake, "from marts.payouts", log=None).table.to_pylist() == [{"party": "eve"}]


def test_the_door_prints_exact_rows(lake: Lake, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from guelta.cli import app

    env = {"GUELTA_HOME": str(tmp_path), "GUELTA_LAKE": lake.root}
    text = "select party, amount, 'a,b'::blob as bytes, [1, 2] as parts from marts.payouts order by 1"
    csv = CliRunner().invoke(app, ["sql", text, "--csv"], env=env)
    assert csv.output.splitlines() == [
        "party,amount,bytes,parts",
        'ann,10000000000000000000000000000000000001,0x612c62,"[1, 2]"',
        'ben,7,0x612c62,"[1, 2]"',
    ]
    rows = json.loads(CliRunner().invoke(app, ["sql", text, "--json", "--limit", "2"], env=env).output)
    assert [row["amount"] for row in rows] == ["10000000000000000000000000000000000001", "7"]
    cut = CliRunner().invoke(app, ["sql", text, "--csv", "--limit", "1"], env=env)
    assert (cut.stdout.count("\n"), cut.stderr) == (2, "cut at 1 rows; raise --limit, or aggregate\n")
    assert len((tmp_path / "sql.jsonl").read_text().splitlines()) == 3
