"""Without an EVM the demo's story plays from its recording: the same blocks, rows and tables, or a refusal."""

import gzip
import json
import sqlite3
import subprocess
import sys
from hashlib import sha256

import pytest

from guelta import demo
from guelta.errors import BadRecording, BadSetting, Fatal
from guelta.lake import Lake
from guelta.settings import Settings, resolved
from indexer.devnet import archive, evm, recorded
from indexer.devnet.contracts import events
from indexer.devnet.economy import Economy, RecordedEconomy, economy, playable
from indexer.devnet.methods import Handler
from indexer.devnet.recorded.make import STAGES, make
from indexer.devnet.story.clock import FORK
from indexer.devnet.story.faults_planted import CODES
from models.digest import digest

needs_an_evm = pytest.mark.skipif(not evm.available(), reason="no pyrevm wheel for this machine")
SEED, SCALE = recorded.load().facts.seed, recorded.load().facts.scale
WITHOUT_AN_EVM = """
import sys
sys.modules["pyrevm"] = None
from pathlib import Path
from guelta import demo
from guelta.settings import Settings, resolved
demo._platform = demo._build = demo._summary = lambda *_: None
demo.tell(resolved(Settings(home=Path(sys.argv[1]))), seed=7, scale=1.0, serve=False, fresh=False)
"""


@pytest.fixture
def without_an_evm(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrevm", None)


def everything(world, folder):
    """What a world shows of itself at both stages: blocks and receipts, platform rows, call logs, answers."""
    shown = {}
    for stage in STAGES:
        chain = world.play(stage)
        blocks = [(b.body, b.transactions, b.receipts) for b in chain.blocks(FORK - 1, chain.head.number)]
        ends = [block.hash for block in (chain.head, chain.safe, chain.finalized)]
        shown[stage] = sha256(json.dumps([ends, blocks, chain.logs()]).encode()).hexdigest()
    for known in ("first", "final"):
        world.write_platform(f"sqlite:///{folder / known}.db", as_of=known)
        db = sqlite3.connect(folder / f"{known}.db")
        shown[known] = sha256("\n".join(db.iterdump()).encode()).hexdigest()
        db.close()
    world.write_calls(folder / "calls")
    shown["calls"] = {p.name: sha256(p.read_bytes()).hexdigest() for p in (folder / "calls").iterdir()}
    return shown | {"answers": world.answers()}


@needs_an_evm
def test_the_committed_recording_is_what_the_story_does_today(tmp_path):
    heads = make(tmp_path / "again.jsonl.gz")
    kept, again = recorded.load(), recorded.load(tmp_path / "again.jsonl.gz")
    assert heads == kept.facts.heads, f"the story has changed: run {recorded.MAKE} and commit its file"
    assert list(again.outcomes.items()) == list(kept.outcomes.items())
    assert recorded.PATH.stat().st_size < 1_500_000


@needs_an_evm
def test_a_recorded_world_is_the_live_world(tmp_path):
    for name in ("live", "kept"):
        (tmp_path / name).mkdir()
    kept = everything(RecordedEconomy(recorded.load()), tmp_path / "kept")
    assert kept == everything(Economy(SEED, SCALE), tmp_path / "live")
    assert {line["status"] for line in kept["answers"]["breaks"]} == set(CODES)


def test_on_any_machine_the_recording_plays_to_the_heads_it_names():
    world = RecordedEconomy(recorded.load())
    assert {stage: world.play(stage).head.hash for stage in STAGES} == recorded.load().facts.heads
    assert RecordedEconomy(recorded.load()).play("end").head.hash == world.chain.head.hash  # without the dropped branch


def test_every_event_but_the_load_tests_own_is_recorded():
    topics = {log.topics[0] for outcome in recorded.load().outcomes.values() for log in outcome.logs}
    contracts = ("PaymentToken", "AssetRegistry", "EarningsVault", "Staking")
    silent = {name for contract in contracts for name, topic in events(contract).items() if topic not in topics}
    assert silent == {"Burst"}


@needs_an_evm
def test_without_an_evm_the_demo_fills_the_same_tables(tmp_path, monkeypatch):
    there, here = tmp_path / "recorded", tmp_path / "live"
    child = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_AN_EVM, str(there)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for later in ("_platform", "_build", "_summary"):  # what they read is compared above
        monkeypatch.setattr(demo, later, lambda *_: None)
    demo.tell(resolved(Settings(home=here)), seed=SEED, scale=SCALE, serve=False, fresh=False)
    told, wrong = child.communicate()
    assert (child.returncode, wrong) == (0, "")
    assert f"plays from its recording, seed {SEED} at scale {SCALE:g} instead of 1." in told
    lakes = [Lake(home / "lake") for home in (there, here)]
    names = [n for n in lakes[1].tables() if n.startswith("raw.") and n not in {"raw.audit_ranges", "raw.heads"}]
    tables, expected = (digest(lake, names) for lake in lakes)
    assert {"raw.logs", "raw.blocks", "raw.reference_earning_accrued"} <= set(names)
    assert tables == expected
    # What is claimed for the home is what was played: the next run goes on, with or without an EVM.
    assert json.loads((there / "demo.json").read_text()) == {"seed": SEED, "scale": SCALE}


def test_without_an_evm_another_seed_is_refused_and_the_recorded_one_is_said(without_an_evm):
    assert isinstance(economy(SEED, 1.0), RecordedEconomy)
    assert playable(SEED, 1.0)[0] == SCALE
    with pytest.raises(BadSetting, match=f"seed {SEED}, asked for 8; say --seed {SEED}"):
        economy(8, SCALE)


def test_a_recorded_chain_takes_no_calls_and_no_transactions():
    world = RecordedEconomy(recorded.load())
    handler = Handler(world.chain)
    for method in ("eth_call", "eth_sendTransaction", "eth_getBalance", "guelta_reorg", "evm_mine", "guelta_recorded"):
        reply = json.loads(handler.respond(json.dumps({"id": 1, "method": method, "params": []}).encode()))
        assert reply["error"]["code"] == -32601, method
    with pytest.raises(Fatal, match="was not recorded"):
        world.contracts["tusd"].read("symbol")


def test_a_damaged_recording_is_refused_at_load(tmp_path):
    path, packed = tmp_path / "x.jsonl.gz", recorded.PATH.read_bytes()
    text = gzip.decompress(packed)
    middle = len(packed) // 2
    for damaged in (
        packed[:middle],
        packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :],
        b"",
        text[: len(text) // 2],
        text.replace(b'"seed":7', b'"seed":8', 1),
        text.replace(b"[true,", b"[false,", 1),
        text.partition(b"\n")[2],
        b'{"recording":7}\n',
        b'{"recording":{"sha256":"00"}}\n',
        b"\xff\n",
    ):
        path.write_bytes(damaged)
        with pytest.raises(BadRecording, match=r"x\.jsonl\.gz .*python -m indexer\.devnet\.recorded\.make|gzip"):
            recorded.load(path)
    with pytest.raises(BadRecording, match="nowhere"):
        recorded.load(tmp_path / "nowhere")


@pytest.mark.parametrize("place", ["middle", "last"])
def test_a_forged_recording_with_a_right_digest_is_refused_by_its_hashes(tmp_path, place):
    first, _, rest = gzip.decompress(recorded.PATH.read_bytes()).partition(b"\n")
    lines = rest.splitlines(keepends=True)
    at = len(lines) - 1 if place == "last" else len(lines) // 2
    key, outcome = json.loads(lines[at])
    outcome[1] += 1  # gas: one unit
    lines[at] = json.dumps([key, outcome]).encode() + b"\n"
    archive.write(tmp_path / "forged.jsonl", json.loads(first)["recording"], b"".join(lines))
    world = RecordedEconomy(recorded.load(tmp_path / "forged.jsonl"))
    with pytest.raises(BadRecording, match=recorded.MAKE):
        world.play("end")
