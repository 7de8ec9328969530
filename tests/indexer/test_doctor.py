"""What the doctor finds: nothing made by looking, each fault with its exit code, and no secret in what it says."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from guelta.cli import app
from guelta.decisions import Decisions
from guelta.errors import ChainMismatch, SourceUnreachable
from guelta.lake import Lake
from guelta.lake.schema import Amount, Text, spec
from guelta.settings import Settings
from indexer import chains
from indexer.devnet.chain import Devnet
from indexer.devnet.server import serve
from indexer.doctor import Probe, probe
from indexer.rpc.pool import Policy
from quality.doctor import doctor

HASTY = Policy(attempts=2, greeting_attempts=2, first_delay_s=0.001, longest_delay_s=0.01, timeout_s=5)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOWHERE = "http://127.0.0.1:1/v2/SECRETKEY?key=SECRETKEY"


@pytest.fixture(scope="module")
def chain() -> Devnet:
    chain = Devnet(genesis_time=1_793_491_200, finality_depth=2)
    chain.deploy("PaymentToken", "Test Dollar", "TUSD", 6, sender="0x" + "a1" * 20)
    for _ in range(6):
        chain.seal()
    return chain


def found(settings: Settings) -> dict[tuple[str, str], Any]:
    return {(f.area, f.what): f for f in doctor(settings).findings}


def with_rpc(settings: Settings, **rpc: tuple[str, ...]) -> Settings:
    return msgspec.structs.replace(settings, rpc=rpc)


def test_an_endpoint_says_what_it_can(chain: Devnet) -> None:
    with serve(chain) as server:
        (one,) = probe(Settings(rpc={"devnet": (server.url,)}), policy=HASTY)
    ceiling = chains.chain("devnet").proof_ceiling()
    assert one == Probe(
        "devnet",
        one.url,
        version=one.version,
        head=chain.head.number,
        finalized=chain.head.number - 2,
        batches=True,
        block_receipts=True,
        level=ceiling,
        ceiling=ceiling,
    )
    assert (one.version != "", one.warning()) == (True, None)


def test_another_chain_a_dead_one_and_no_chain_at_all(chain: Devnet) -> None:
    with serve(chain) as server:
        settings = Settings(rpc={"sahara": (server.url,), "devnet": (NOWHERE, "SECRETKEY"), "atlantis": (NOWHERE,)})
        seen = probe(settings, policy=HASTY)
    assert [type(one.error).__name__ for one in seen] == [
        ChainMismatch.__name__,
        SourceUnreachable.__name__,
        "BadSetting",
        "BadSetting",
    ]
    assert "serves chain 1337, but sahara is chain" in seen[0].said()
    assert not any("SECRETKEY" in one.said() + one.url for one in seen)


def test_looking_makes_nothing(home: Settings) -> None:
    diagnosis = doctor(home)
    assert diagnosis.exit_code == 0
    assert not home.home.exists()
    hints = {f.what for f in diagnosis.findings if f.state == "hint" and f.area in {"lake", "decisions", "chains"}}
    assert hints == {home.lake, home.decisions, "none configured"}


def test_silence_is_3_and_a_wrong_setting_outweighs_it(home: Settings) -> None:
    assert doctor(with_rpc(home, devnet=(NOWHERE,))).exit_code == 3
    assert doctor(with_rpc(home, devnet=(NOWHERE,), atlantis=(NOWHERE,))).exit_code == 2
    down = msgspec.structs.replace(home, decisions="sqlite:////proc/nowhere/decisions.db")
    Path(home.home).mkdir()
    Path(home.home, "notes.txt").write_text("mine")
    foreign = msgspec.structs.replace(home, lake=str(home.home))
    assert doctor(foreign).exit_code == 2
    assert "did not make" in found(foreign)["lake", str(home.home)].said
    assert doctor(down).exit_code == 0  # not made yet: nobody has decided anything


def test_decimal_bounds_and_foreign_tables_are_found(home: Settings) -> None:
    lake = Lake(home.lake)
    amounts = {"party": ["ann"], "amount": pa.array([10**19], Amount)}
    kept = lake.create(spec("marts.kept", {"party": Text, "amount": Amount}, key=("party",)))
    kept.append(pa.table(amounts))
    assert found(home)["lake", "statistics"].state == "ok"
    # What another writer does that does not honour the whitelist: bounds of 2**63 - 1 for an amount above it.
    handle = DeltaTable(kept.uri)
    handle.alter.set_table_properties({"delta.dataSkippingStatsColumns": "party,amount"})
    write_deltalake(
        DeltaTable(kept.uri), pa.table({"party": ["ben"], "amount": pa.array([10**19], Amount)}), mode="append"
    )
    write_deltalake(str(Path(home.lake, "marts/foreign")), pa.table({"party": ["eve"]}))
    seen = found(home)
    assert (seen["lake", "marts.kept"].state, seen["lake", "marts.foreign"].state) == ("data", "setting")
    assert "amount" in seen["lake", "marts.kept"].said
    assert doctor(home).exit_code == 2


def test_a_broken_chain_of_decisions_is_1(home: Settings) -> None:
    book = Decisions(home.decisions)
    for number in range(2):
        book.append("review", f"leg:1:{number}", "note", {"text": "seen"}, actor="ann", at=NOON, idem_key=str(number))
    book.close()
    assert found(home)["decisions", home.decisions].state == "ok"
    with closing(sqlite3.connect(home.decisions.removeprefix("sqlite:///"))) as db, db:
        db.execute("drop trigger decisions_no_update")
        db.execute("update decision_events set payload = '{}' where seq = 1")
    assert found(home)["decisions", home.decisions].state == "data"
    assert doctor(home).exit_code == 1


def test_the_command_answers_machines(home: Settings) -> None:
    env = {"GUELTA_HOME": str(home.home), "GUELTA_RPC_DEVNET": NOWHERE}
    answer = CliRunner().invoke(app, ["doctor", "--json"], env=env)
    assert (answer.exit_code, json.loads(answer.output)["exit_code"]) == (3, 3)
    assert "SECRETKEY" not in answer.output
    assert re.search(r"1 of \d+ need your hand$", CliRunner().invoke(app, ["doctor"], env=env).output.strip())
