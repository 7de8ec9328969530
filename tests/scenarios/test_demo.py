"""The main job from outside: the demo's lake conserves money, finds what was planted, and survives kills and reorgs."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guelta.lake import Lake
from guelta.settings import Settings, resolved

WALL_CLOCK = {"raw.heads", "raw.audit_ranges", "ops.gate_results"}  # these say when something was looked at
GUELTA = [sys.executable, "-c", "from guelta.cli import main; main()"]


def guelta(*words, home, check=True):
    env = os.environ | {"GUELTA_HOME": str(home)}
    done = subprocess.run([*GUELTA, *words], env=env, capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(f"guelta {' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return done


def sums(lake, sql):
    with lake.duck() as con:
        return con.execute(sql).fetchall()


def test_every_unit_of_every_fee_is_earned_or_carried(demo_home):
    lake = Lake(demo_home.lake)
    rows = sums(
        lake,
        """
        with fees as (select '0x' || lower(hex(token)) as token, sum(gross) as gross, sum(fee) as fee, sum(net) as net from core.value_events group by 1),
             earned as (select '0x' || lower(hex(token)) as token, sum(amount) as earned from core.earnings where kind = 'usage' group by 1),
             carry as (select token, sum(carry) as carry from marts.ecosystem_daily group by token)
        select token, gross - fee - net, net - earned - carry, net > 0
        from fees join earned using (token) join carry using (token)
        """,
    )
    assert len(rows) == 2
    assert [(int(a), int(b), c) for _, a, b, c in rows] == [(0, 0, True)] * 2


def test_computed_accruals_equal_the_contracts_own_logs(demo_home):
    lake = Lake(demo_home.lake)
    (computed,) = sums(lake, "select count(*), cast(sum(amount) as varchar) from core.accruals")
    (emitted,) = sums(lake, "select count(*), cast(sum(amount) as varchar) from raw.reference_earning_accrued")
    assert computed == emitted
    per_row = """
        select count(*) from
          (select chain_id, token, account, amount, count(*) as n from core.accruals group by all) as a
          full join (select chain_id, token, account, amount, count(*) as n from raw.reference_earning_accrued group by all) as b
          using (chain_id, token, account, amount, n) where a.n is null or b.n is null
    """
    assert sums(lake, per_row) == [(0,)]


def test_debits_equal_credits(demo_home):
    lake = Lake(demo_home.lake)
    unbalanced = "select count(*) from (select entry_id from core.journal group by entry_id, chain_id, token having sum(debit) <> sum(credit))"
    assert sums(lake, unbalanced) == [(0,)]
    assert sums(lake, "select count(*) > 100 from core.journal") == [(True,)]


def test_reconcile_lists_exactly_the_planted_breaks(demo_home):
    answers = json.loads((demo_home.home / "answers.json").read_text())
    done = guelta("reconcile", "--period", "all", "--json", home=demo_home.home, check=False)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    planted = {(b["recon_key"], b["status"], b["code"]) for b in answers["breaks"]}
    assert {(b["recon_key"], b["status"], b["code"]) for b in found["breaks"]} == planted
    assert found["control_difference"] == "0"


def test_every_line_that_was_planted_as_explained_is_explained(demo_home):
    answers = json.loads((demo_home.home / "answers.json").read_text())
    lines = Lake(demo_home.lake).table("core.reconciliation_lines").read().to_pylist()
    status = {line["recon_key"]: line["status"] for line in lines}
    wrong = [(e, status.get(e["recon_key"])) for e in answers["explained"] if status.get(e["recon_key"]) != e["status"]]
    assert wrong == []


def test_status_check_and_explain_speak(demo_home):
    state = json.loads(guelta("status", "--json", home=demo_home.home).stdout)
    assert (state["last_closed_period"], state["demo"]) == ("2026-10", True)
    assert guelta("check", home=demo_home.home).returncode == 0
    with Lake(demo_home.lake).duck(["core.earnings"]) as con:
        usage, task = (
            con.execute(
                "select earning_id from core.earnings where kind = ? order by amount desc limit 1", [kind]
            ).fetchone()[0]
            for kind in ("usage", "task")
        )
    told = guelta("explain", usage, home=demo_home.home).stdout
    assert "0x" in told
    assert "log" in told
    assert guelta("explain", task, home=demo_home.home).stdout


def digests(home):
    found = json.loads(guelta("digest", "--json", home=home).stdout)
    return {name: value for name, value in found.items() if name not in WALL_CLOCK}


def test_killed_ten_times_ends_with_the_same_tables(tmp_path):
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    words = ["demo", "--no-serve", "--seed", "11", "--scale", "0.02"]
    guelta(*words, home=calm)
    moments = random.Random(11)
    told = []
    for _ in range(10):
        env = os.environ | {"GUELTA_HOME": str(rough), "PYTHONUNBUFFERED": "1"}
        child = subprocess.Popen(
            [*GUELTA, *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        # A step prints a line when it is done: so many steps in, and then somewhere in the next one.
        steps = moments.randrange(2, 12)
        lines = [line for line in (child.stdout.readline() for _ in range(steps)) if line]
        time.sleep(moments.uniform(0, 1.5))
        child.kill()
        told.append((len(lines), child.wait()))
        child.stdout.close()
    assert sum(code == -9 for _, code in told) >= 8
    guelta(*words, home=rough)
    assert digests(rough) == digests(calm)


def test_a_reorg_on_the_way_equals_indexing_the_final_chain_from_zero(demo_home, tmp_path):
    from indexer.derive import derive
    from indexer.devnet.economy import Economy
    from indexer.devnet.server import serve
    from indexer.follow import follow
    from models.digest import digest

    world = Economy(7, 0.1)
    world.play("end")
    lake = Lake(tmp_path / "lake", world="demo")
    with serve(world.chain) as server:
        settings = resolved(Settings(home=tmp_path, rpc={"devnet": (server.url,)}))
        follow(settings, lake, ["devnet"], once=True)
    derive(lake)
    once = [name for name in lake.tables() if name.startswith("raw.") and name not in {"raw.audit_ranges", "raw.heads"}]
    told = Lake(demo_home.lake)
    assert digest(lake, once) == digest(told, once)


@pytest.mark.parametrize(
    "words",
    [["demo", "--seed", "8"], ["ask", "no_such_metric"], ["build", "no.table"], ["report", "x", "--period", "2026-09"]],
)
def test_a_wrong_word_is_a_sentence_and_exit_code_2(demo_home, words):
    done = guelta(*words, home=demo_home.home, check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) <= 12
    assert "Traceback" not in done.stderr


def test_a_lake_folder_that_is_not_ours_is_refused(tmp_path):
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "holiday.jpg").write_bytes(b"not a table")
    done = guelta("demo", "--no-serve", home=tmp_path, check=False)
    assert (done.returncode, Path(tmp_path / "lake/holiday.jpg").exists()) == (2, True)
    assert "did not make" in done.stderr


def test_an_unreachable_chain_is_exit_code_3(tmp_path):
    env = os.environ | {"GUELTA_HOME": str(tmp_path), "GUELTA_RPC_DEVNET": "http://127.0.0.1:9/secret-key"}
    done = subprocess.run([*GUELTA, "follow", "devnet", "--once"], env=env, capture_output=True, text=True)
    assert done.returncode == 3
    assert "devnet" in done.stderr
    assert "secret-key" not in done.stderr
