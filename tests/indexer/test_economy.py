"""The demo's world: the same for the same seed, true to its contracts, and honest about what it planted."""

import json
import sqlite3
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path

import eth_abi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guelta.errors import BadSetting
from indexer.devnet.contracts import events
from indexer.devnet.economy import CHAIN_ID, FEE_BPS, Economy
from indexer.devnet.story.calls import batch_root
from indexer.devnet.story.clock import FINAL, FORK, HEAD, REORG_DEPTH
from indexer.devnet.story.faults_planted import transposed

pytest.importorskip("pyrevm", reason="no pyrevm wheel for this machine")

VAULT, TOKEN = events("EarningsVault"), events("PaymentToken")


@pytest.fixture(scope="module")
def world() -> Economy:
    world = Economy(seed=7, scale=0.05)
    world.play()
    return world


def digest(world: Economy, folder: Path) -> dict[str, object]:
    url = f"sqlite:///{folder / 'p.db'}"
    folder.mkdir()
    world.play()
    tables = {}
    for as_of in ("first", "final"):
        world.write_platform(url, as_of)
        with sqlite3.connect(folder / "p.db") as db:
            tables[as_of] = sha256("\n".join(db.iterdump()).encode()).hexdigest()
        db.close()
    world.write_calls(folder / "calls")
    files = {p.name: sha256(p.read_bytes()).hexdigest() for p in sorted((folder / "calls").iterdir())}
    return {"head": world.chain.head.hash, "tables": tables, "files": files, "answers": world.answers()}


def test_one_seed_is_one_world_and_another_seed_is_another(tmp_path):
    first = digest(Economy(seed=3, scale=0.05), tmp_path / "a")
    assert digest(Economy(seed=3, scale=0.05), tmp_path / "b") == first
    assert Economy(seed=4, scale=0.05).play().head.hash != first["head"]


def test_with_and_without_the_reorg_the_chain_ends_at_the_same_hash(world):
    other = Economy(seed=7, scale=0.05)
    chain = other.play("before_reorg")
    branch = {n: chain.block(n).hash for n in range(FORK, FORK + REORG_DEPTH + 1)}
    lost = {t["hash"]: n for n in branch for t in chain.block(n).transactions if n > FORK}
    payouts = {other._mined[leg.tag] for leg in other.payouts.legs if leg.tag and other._mined.get(leg.tag) in lost}
    assert chain.head.number == FORK + REORG_DEPTH
    assert payouts

    other.play("end")
    assert chain.head.hash == world.chain.head.hash
    assert chain.block(FORK).hash == branch[FORK]
    assert all(chain.block(n).hash != branch[n] for n in branch if n > FORK)
    # Every dropped transaction is mined again with the same effect, some in another block.
    again = {tx: chain.transaction(tx) for tx in lost}
    assert all(again.values())
    assert any(found[0].number != lost[tx] for tx, found in again.items() if found)


def test_transactions_fail_exactly_where_the_story_says(world):
    failed = {(n, i) for n in range(HEAD + 1) for i, r in enumerate(world.chain.receipts(n)) if r["status"] == "0x0"}
    planned = {(n, i) for n, ops in enumerate(world.plan.hours) for i, op in enumerate(ops) if op.fails}
    assert failed == planned
    assert len(failed) >= 6


def test_the_vault_in_python_credits_what_the_contract_credits(world):
    accrued, conserved = [], []
    for number in range(HEAD + 1):
        for receipt in world.chain.receipts(number):
            given_out = 0
            for log in receipt["logs"]:
                data = bytes.fromhex(log["data"][2:])
                if log["topics"][0] == VAULT["EarningAccrued"]:
                    token, amount = eth_abi.decode(["address", "uint256"], data)
                    accrued.append((number, int(log["topics"][2], 16), "0x" + log["topics"][3][26:], token, amount))
                    given_out += amount
                if log["topics"][0] == VAULT["CallsSettled"]:
                    amount, fee, _, _ = eth_abi.decode(["uint256", "uint256", "uint64", "bytes32"], data)
                    assert fee == amount * FEE_BPS // 10_000
                    conserved.append(amount - fee)
            if given_out:
                assert given_out == conserved[-1]
    tokens = {f"@{name}": address for name, address in world.tokens.items()}
    planned = [(c.hour, c.asset, c.account, tokens[c.token], c.amount) for c in world.payouts.vault.credits]
    assert accrued == planned
    owed = {key: amount for key, amount in world.payouts.vault.owed.items() if amount}
    vault = world.contracts["vault"]
    assert owed == {(who, token): vault.read("owed", who, tokens[token]) for who, token in owed}


def test_every_answered_call_is_settled_exactly_once(world):
    batches = defaultdict(list)
    for call in world.calls:
        assert (call.price is None) == (call.status != "ok") == (call.batch_root is None)
        if call.batch_root:
            batches[call.batch_root].append(call)
    expected = {root: (len(calls), sum(c.price for c in calls)) for root, calls in batches.items()}
    assert all(batch_root(c.call_id for c in calls) == root for root, calls in batches.items())
    settled = {}
    for log in world.chain.logs():
        if log["topics"][0] == VAULT["CallsSettled"]:
            amount, _, calls, root = eth_abi.decode(
                ["uint256", "uint256", "uint64", "bytes32"], bytes.fromhex(log["data"][2:])
            )
            assert root not in settled
            assert int(log["blockNumber"], 16) <= FINAL
            settled[root] = (calls, amount)
    assert settled == expected


def test_calls_made_by_agents_form_trees(world):
    by_id = {call.call_id: call for call in world.calls}
    children = [call for call in world.calls if call.parent]
    assert children
    assert {c.origin for c in children} == {"agent"}
    for call in children:
        assert by_id[call.parent].root == call.root
        assert by_id[call.parent].at < call.at


def test_answers_name_what_was_planted(world, tmp_path):
    answers = world.answers()
    assert Counter(line["status"] for line in answers["breaks"]) == {
        "paid_late": 3,
        "partial": 2,
        "duplicate_payment": 2,
        "wrong_recipient": 2,
        "missing_on_chain": 4,
        "wrong_token_or_chain": 1,
        "unexpected_on_chain": 2,
        "reverted_or_failed": 1,
        "amount_mismatch": 1,
    }
    explained = Counter(line["status"] for line in answers["explained"])
    assert explained["on_hold"] == 1
    assert all(explained[status] for status in ("not_due", "in_flight", "below_threshold_carried"))
    keys = [line["recon_key"] for kind in ("breaks", "explained") for line in answers[kind]]
    assert len(keys) == len(set(keys))
    assert json.loads(json.dumps(answers)) == answers


def test_what_the_platform_says_of_each_leg_can_be_seen_on_chain(world, tmp_path):
    """Ordinary legs: the transaction named moves exactly that amount of that token to that wallet; planted ones differ."""
    world.write_platform(f"sqlite:///{tmp_path / 'p.db'}")
    with sqlite3.connect(tmp_path / "p.db") as db:
        legs = db.execute(
            "select l.run_id || ':' || l.leg_no, wallet, l.token, l.amount, sent_tx, state, due_at, b.amount"
            " from payout_legs l left join ledger b on b.run_id = l.run_id and b.leg_no = l.leg_no"
        ).fetchall()
    db.close()
    faults = {leg.key: leg.fault for leg in world.payouts.legs}
    assert {key for key, *_ in legs} == set(faults)
    seen: dict[str, set[str]] = defaultdict(set)
    for key, wallet, token, amount, sent_tx, state, due_at, booked in legs:
        moved, late, status = 0, False, None
        if sent_tx:
            block, position = world.chain.transaction(sent_tx)
            receipt = block.receipts[position]
            status, late = receipt["status"], block.timestamp > _seconds(due_at)
            moved = sum(
                int(log["data"], 16)
                for log in receipt["logs"]
                if log["topics"][0] == TOKEN["Transfer"]
                and (log["address"], "0x" + log["topics"][2][26:]) == (token, wallet)
            )
        facts = (
            "failed" if status == "0x0" else "late" if late else state,
            "full" if moved == int(amount) else "part" if moved else "nothing",
            "unbooked" if booked is None else "booked" if booked == str(moved or amount) else "booked otherwise",
        )
        seen[faults[key]].add(facts)
    assert seen == {
        "": {("sent", "full", "booked")},
        "duplicate_payment": {("sent", "full", "booked")},
        "paid_late": {("late", "full", "booked")},
        "partial": {("sent", "part", "booked")},
        "amount_mismatch": {("sent", "full", "booked otherwise")},
        "wrong_recipient": {("sent", "nothing", "booked")},
        "wrong_token_or_chain": {("sent", "nothing", "booked")},
        "reverted_or_failed": {("failed", "nothing", "unbooked")},
        "missing_on_chain": {("instructed", "nothing", "unbooked")},
        "not_due": {("instructed", "nothing", "unbooked")},
        "on_hold": {("held", "nothing", "unbooked")},
        "in_flight": {("sent", "full", "unbooked")},
    }


def test_nothing_else_leaves_the_treasury(world):
    treasury = world.people.treasury.address
    ours = {leg.tag for leg in world.payouts.legs} | {stray.tag for stray in world.payouts.strays}
    hashes = {world._mined[tag] for tag in ours if tag}
    out = [
        log["transactionHash"]
        for log in world.chain.logs()
        if log["topics"][0] == TOKEN["Transfer"] and "0x" + log["topics"][1][26:] == treasury
    ]
    assert out
    assert set(out) <= hashes
    assert len(out) == len(set(out))


def test_late_and_corrected_rows_come_between_the_first_and_the_last_visit(world, tmp_path):
    url = f"sqlite:///{tmp_path / 'p.db'}"
    visits = []
    for as_of in ("first", "final", "final"):
        world.write_platform(url, as_of)
        with sqlite3.connect(tmp_path / "p.db") as db:
            rows = db.execute("select submission_id, submitted_at, seconds, status, updated_at from submissions")
            visits.append({row[0]: row[1:] for row in rows})
        db.close()
    first, final, again = visits
    assert final == again
    last_seen = max(row[3] for row in first.values())
    late = [key for key, row in final.items() if key not in first and row[0] < "2026-11" and key.startswith("s-")]
    corrected = [k for k in first if first[k][2] == final[k][2] and first[k][1] != final[k][1]]
    assert all(final[key][3] > last_seen for key in (*late, *corrected))
    planted = world.answers()["platform"]["submissions"]
    assert (len(late), len(corrected)) == (planted["late"], planted["corrected"])


def test_prepaid_credits_never_run_dry_and_money_is_digits(world, tmp_path):
    world.write_platform(f"sqlite:///{tmp_path / 'p.db'}")
    with sqlite3.connect(tmp_path / "p.db") as db:
        entries = db.execute(
            "select client_id, kind, amount from credits where entry_id not like 'bad%' order by at, kind != 'topup'"
        ).fetchall()
        money = [row[0] for row in db.execute("select amount from payout_legs union all select amount from ledger")]
    db.close()
    balance: Counter[str] = Counter()
    for client, kind, amount in entries:
        balance[client] += int(amount) if kind in {"topup", "coupon"} else -int(amount)
        assert balance[client] >= 0
    assert all(text.isdigit() for text in money)


@pytest.mark.parametrize("scale", [0.02, 0.1])
@pytest.mark.parametrize("seed", [1, 7, 16, 17])
def test_every_seed_has_room_for_its_faults(seed, scale):
    world = Economy(seed, scale)
    assert Counter(leg.fault for leg in world.payouts.legs if leg.fault)["missing_on_chain"] == 4
    assert max(asset.depth for asset in world.assets) == 6


def test_the_whole_world_has_the_promised_size():
    world = Economy(seed=7)
    chain = world.play()
    totals = world.answers()["totals"]
    assert totals["logs"] >= 30_000
    assert totals["contributors"] >= 200
    assert (totals["assets"] >= 50, totals["deepest"]) == (True, 6)
    assert totals["calls"] == 100_000
    assert 2_300 <= totals["settlements"] <= 2_700
    assert int(totals["gross_value"]["tai"]) > 2**63
    assert (chain.head.number, chain.chain_id) == (HEAD, CHAIN_ID)
    diamonds = [a for a in world.assets if len(_ancestors(world, a.asset_id)) < _paths(world, a.asset_id)]
    assert diamonds


def test_a_world_too_small_or_unfinished_says_so(world):
    with pytest.raises(BadSetting, match=r"0\.02 or more"):
        Economy(scale=0.001)
    with pytest.raises(BadSetting, match="play"):
        Economy(scale=0.05).answers()


@given(st.integers(10, 10**30))
def test_a_transposed_amount_is_another_amount_of_the_same_length(amount):
    assert transposed(amount) != amount
    assert abs(len(str(transposed(amount))) - len(str(amount))) <= 1


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), min_size=1, unique=True), st.randoms())
def test_a_batch_root_knows_no_order(call_ids, random):
    shuffled = list(call_ids)
    random.shuffle(shuffled)
    assert batch_root(shuffled) == batch_root(call_ids)
    assert batch_root([*call_ids, "one more"]) != batch_root(call_ids)


def _ancestors(world: Economy, asset_id: int) -> set[int]:
    parents = [edge.parent for edge in world.assets[asset_id - 1].edges]
    return set(parents).union(*(_ancestors(world, parent) for parent in parents))


def _paths(world: Economy, asset_id: int) -> int:
    return sum(1 + _paths(world, edge.parent) for edge in world.assets[asset_id - 1].edges)


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
