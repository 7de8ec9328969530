"""The embedded chain: the same calls give the same hashes, reorgs undo exactly, and blocks prove themselves."""

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guelta.errors import BadSetting, Fatal
from indexer import proof
from indexer.devnet.chain import Devnet, Flavour
from indexer.devnet.contracts import Contract
from indexer.devnet.deploy import deploy_reference
from indexer.devnet.evm import Reverted

pytest.importorskip("pyrevm", reason="no pyrevm wheel for this machine")

TREASURY, OPERATOR = "0x" + "7e" * 20, "0x" + "09" * 20
PEOPLE = ["0x" + f"{i:02x}" * 20 for i in range(0xA0, 0xA6)]
GENESIS = 1_785_542_400


def a_chain_with_a_token(**options: Any) -> tuple[Devnet, Contract]:
    chain = Devnet(genesis_time=GENESIS, **options)
    return chain, deploy_reference(chain, TREASURY, 250, OPERATOR)["payment_token_tusd"]


def mint(token: Contract, who: int, amount: int) -> None:
    token.send(OPERATOR, "mint", PEOPLE[who], amount)


def balances(token: Contract) -> list[int]:
    return [token.read("balanceOf", person) for person in PEOPLE]


def test_the_head_hash_is_the_same_on_every_machine() -> None:
    chain, token = a_chain_with_a_token()
    for i in range(20):
        mint(token, i % 6, 10**i)
        token.send(PEOPLE[i % 6], "transfer", PEOPLE[(i + 1) % 6], 10**i + i % 2)  # every second one fails
        chain.seal()
    assert chain.head.hash == "0x8a47ee3349c2510adec3e7315735fab27a99ee06fd0a161df07845f63d196229"


def test_blocks_prove_themselves() -> None:
    chain, token = a_chain_with_a_token()
    for i in range(130):
        mint(token, i % 6, i)
    token.send(PEOPLE[0], "transfer", PEOPLE[1], 10**9)  # fails
    block = chain.seal(salt=b"salt")
    assert block.receipts is not None
    roots = (
        proof.header_hash(block.body),
        proof.receipts_root(block.receipts),
        proof.transactions_root(block.transactions),
    )
    assert ["0x" + root.hex() for root in roots if root] == [
        block.hash,
        block.body["receiptsRoot"],
        block.body["transactionsRoot"],
    ]
    logs = chain.logs(block.number)
    assert [int(log["logIndex"], 16) for log in logs] == list(range(130))
    assert "0x" + proof.logs_bloom(logs).hex() == block.body["logsBloom"]
    assert [receipt["status"] for receipt in block.receipts] == ["0x1"] * 130 + ["0x0"]
    assert len(set(block.transaction_hashes)) == 131


# -- what survives a history of seals and reorgs is what a chain without detours has ---------------------------------

Moves = list[tuple[str, int, int]]
moves = st.lists(st.tuples(st.sampled_from(["mint", "move"]), st.integers(0, 5), st.integers(0, 99)), max_size=4)
salts = st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.just("block"), moves, salts),
    st.tuples(st.just("reorg"), st.integers(0, 8), st.sampled_from(["again", "again in reverse", "gone"])),
    st.tuples(st.just("look"), st.integers(0, 5), st.just(0)),
)


def queue(token: Contract, wanted: Moves) -> None:
    for kind, who, amount in wanted:
        if kind == "mint":
            mint(token, who, amount)
        else:  # fails where the balance is too small
            token.send(PEOPLE[who], "transfer", PEOPLE[who - 1], amount)


@settings(max_examples=60, deadline=None)
@given(moves, st.lists(steps, min_size=4, max_size=25))
def test_a_reorganised_chain_equals_one_that_never_was(opening: Moves, history: list[tuple[str, Any, Any]]) -> None:
    chain, token = a_chain_with_a_token()
    start = chain.head.number
    kept: list[tuple[Moves, int]] = []

    def seal(wanted: Moves, salt: int) -> None:
        chain.seal(salt=bytes([salt]))
        kept.append((wanted, salt))

    for step in [("block", [("mint", 0, 50), *opening], 0), *history]:
        match step:
            case ("block", wanted, salt):
                queue(token, wanted)
                seal(wanted, salt)
            case ("reorg", draw, fate):
                depth = 1 + draw % len(kept) if kept else 0
                if not depth:
                    continue
                dropped = chain.reorg(depth)
                lost = kept[-depth:]
                del kept[-depth:]
                branch = list(zip(dropped, lost, strict=True))
                for transactions, (wanted, salt) in {"again": branch, "gone": []}.get(fate, branch[::-1]):
                    for transaction in transactions:
                        assert (chain.again(transaction) == transaction.hash) or fate == "again in reverse"
                    seal(wanted, salt)
            case _:  # reading leaves no trace, not even in gas
                token.read("balanceOf", PEOPLE[step[1]])

    straight, same_token = a_chain_with_a_token()
    for wanted, salt in kept:
        queue(same_token, wanted)
        straight.seal(salt=bytes([salt]))
    assert (chain.head.hash, balances(token)) == (straight.head.hash, balances(same_token))
    numbers = range(start, chain.head.number + 1)
    assert all(chain.block(n - 1).hash == chain.block(n).parent_hash for n in numbers)  # type: ignore[union-attr]


def test_thousands_of_blocks_and_a_deep_reorg() -> None:
    chain, token = a_chain_with_a_token(finality_depth=128)
    after_first = None
    for i in range(3_000):  # 1,024 open checkpoints would stop every call
        mint(token, i % 6, 1)
        chain.seal()
        if i == 499:
            after_first = (chain.head.hash, balances(token))
    dropped = chain.reorg(2_500)
    assert ((chain.head.hash, balances(token)), len(dropped)) == (after_first, 2_500)


def test_finality_stays_while_the_head_moves_back() -> None:
    chain, _ = a_chain_with_a_token(finality_depth=10)
    for _ in range(49):
        chain.seal()
    seen = [chain.finalized.number]
    chain.reorg(8)
    seen.append(chain.finalized.number)
    chain.reorg(5)  # deeper than what was final
    seen.append(chain.finalized.number)
    assert (chain.head.number, seen) == (37, [40, 40, 37])


def test_a_fork_mines_the_same_none_or_others() -> None:
    def story(mode: Any) -> tuple[int, list[int], bool]:
        chain, token = a_chain_with_a_token()
        for i in range(6):
            mint(token, i, 100 + i)
            chain.seal()
        before = chain.head.hash
        chain.fork(4, mode)
        return chain.head.number, balances(token), chain.head.hash == before

    assert {mode: story(mode) for mode in ("same", "drop", "reverse")} == {
        "same": (7, [100, 101, 102, 103, 104, 105], False),
        "drop": (7, [100, 101, 0, 0, 0, 0], False),
        "reverse": (7, [100, 101, 102, 103, 104, 105], False),
    }


def test_native_coin_moves_and_comes_back_on_a_reorg() -> None:
    chain = Devnet(genesis_time=GENESIS, balances={PEOPLE[0]: 100})
    chain.submit(PEOPLE[0], PEOPLE[1], b"", 60)
    chain.submit(PEOPLE[0], PEOPLE[1], b"", 60)  # more than is left
    chain.seal()
    after = [chain.balance(person) for person in PEOPLE[:2]]
    statuses = [receipt["status"] for receipt in chain.receipts(1)]
    chain.reorg(1)
    assert (statuses, after, [chain.balance(person) for person in PEOPLE[:2]]) == (["0x1", "0x0"], [40, 60], [100, 0])


@pytest.mark.parametrize(
    ("flavour", "facts"),
    # header hash, receipts root, bloom exact, pushed header keeps its bloom, final at once, first type
    [
        ("ethereum", (True, True, True, True, False, "0x0")),
        ("cosmos", (False, True, True, False, True, "0x0")),
        ("ethermint", (False, False, True, False, True, "0x0")),
        ("op", (True, True, True, True, False, "0x7e")),
        ("zk", (True, True, False, True, False, "0x0")),
    ],
)
def test_flavours_differ_where_real_chains_do(flavour: Flavour, facts: tuple[Any, ...]) -> None:
    chain, token = a_chain_with_a_token(flavour=flavour)
    mint(token, 0, 5)
    block = chain.seal()
    computed = proof.header_hash(block.body)
    assert computed is not None
    assert block.receipts is not None
    assert (
        "0x" + computed.hex() == block.hash,
        "0x" + proof.receipts_root(block.receipts).hex() == block.body["receiptsRoot"],
        "0x" + proof.logs_bloom(chain.logs(block.number)).hex() == block.body["logsBloom"],
        chain.pushed(block)["logsBloom"] == block.body["logsBloom"],
        chain.finalized is chain.head,
        block.receipts[0]["type"],
    ) == facts


def test_without_pyrevm_it_says_what_serves_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrevm", None)
    with pytest.raises(Fatal, match="guelta replay FILE"):
        Devnet(genesis_time=GENESIS)


def test_what_it_refuses_it_names() -> None:
    chain, token = a_chain_with_a_token()
    with pytest.raises(BadSetting, match="timestamp above"):
        chain.seal(timestamp=GENESIS)
    with pytest.raises(BadSetting, match="drops 1 to 1 blocks"):
        chain.reorg(2)
    with pytest.raises(BadSetting, match="40 hex digits"):
        chain.submit("0x12", token.address)
    with pytest.raises(BadSetting, match="base units"):
        chain.submit(PEOPLE[0], token.address, value=-1)
    with pytest.raises(BadSetting, match=r"it has .*transferFrom"):
        token.encode("mintt", PEOPLE[0], 1)
    with pytest.raises(BadSetting, match="there are AssetRegistry"):
        chain.deploy("Vault", sender=OPERATOR)
    with pytest.raises(Reverted) as refused:
        chain.call(token.address, token.encode("transfer", PEOPLE[1], 1), PEOPLE[0])
    assert refused.value.output[:4].hex() == "e450d38c"  # ERC20InsufficientBalance(address,uint256,uint256)
    mint(token, 0, 1)
    with pytest.raises(BadSetting, match="seal the 1 queued"):
        chain.reorg(1)
