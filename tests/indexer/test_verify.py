"""What can be proven depends on the chain; what was not proven is never called so."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guelta.errors import GateRefused
from guelta.lake import Lake
from guelta.settings import Settings
from indexer import chains, verify
from indexer.devnet.chain import Devnet, Flavour
from indexer.devnet.server import serve
from indexer.follow import FollowResult, Stream, follow
from indexer.rpc.pool import Policy
from indexer.rpc.wire import LogFilter

OWNER, ALICE = "0x" + "a1" * 20, "0x" + "b2" * 20
SOURCE = {"devnet": "devnet"}
HASTY = Policy(attempts=4, first_delay_s=0.001, longest_delay_s=0.01)


def a_chain(flavour: Flavour = "ethereum", chain_id: int = 1337) -> Devnet:
    chain = Devnet(genesis_time=1_793_491_200, chain_id=chain_id, flavour=flavour)
    token = chain.deploy("PaymentToken", "Test Dollar", "TUSD", 6, sender=OWNER)
    chain.seal()
    for amount in (5, 6):
        chain.contract("PaymentToken", token).send(OWNER, "mint", ALICE, amount)
        chain.contract("PaymentToken", token).send(OWNER, "mint", OWNER, amount)
        chain.seal()
    return chain


def answered(chain: Devnet, number: int | None = None) -> dict[str, Any]:
    """A header as eth_getBlockByNumber gives it."""
    block = chain.block(chain.head.number if number is None else number)
    assert block is not None
    return dict(block.body) | {"transactions": block.transaction_hashes}


def followed(chain: Devnet, name: str, folder: Path) -> FollowResult:
    with serve(chain) as server:
        (result,) = follow(Settings(rpc={name: (server.url,)}), Lake(folder / name), [name], policy=HASTY)
    return result


@pytest.mark.parametrize(
    ("flavour", "name", "level"),
    [
        ("ethereum", "devnet", "P3"),
        ("op", "optimism", "P3"),
        ("cosmos", "stable", "P2c"),
        ("ethermint", "cronos", "P1"),
    ],
)
def test_each_kind_of_chain_reaches_its_level(flavour: Flavour, name: str, level: str, tmp_path: Path) -> None:
    chain = a_chain(flavour, chains.chain(name).id)
    with serve(chain) as server:
        (result,) = follow(
            Settings(rpc={name: (server.url,)}), Lake(tmp_path), [name], policy=HASTY, streams={name: Stream(start=1)}
        )
    assert (result.level, result.rows, result.source) == (level, len(chain.logs()), SOURCE.get(name, "live"))


@pytest.mark.parametrize(
    ("flavour", "rule"), [("ethermint", "header_hash"), ("cosmos", "header_hash"), ("zk", "bloom_exact")]
)
def test_a_chain_that_proves_less_than_it_should_is_refused(flavour: Flavour, rule: str, tmp_path: Path) -> None:
    with pytest.raises(GateRefused) as caught:
        followed(a_chain(flavour), "devnet", tmp_path)
    assert caught.value.rule_ids == (rule,)


Change = Callable[[list[dict[str, Any]]], Any]
TAMPERS: dict[str, Change] = {
    "drop a log": lambda rs: rs[0]["logs"].pop(),
    "double a log": lambda rs: rs[0]["logs"].append(rs[0]["logs"][0]),
    "drop a receipt": lambda rs: rs.pop(),
    "one digit of an amount": lambda rs: rs[0]["logs"][0].update(data="0x" + "f" + rs[0]["logs"][0]["data"][3:]),
    "swap two receipts": lambda rs: (rs[0].update(transactionIndex="0x1"), rs[1].update(transactionIndex="0x0")),
    "a failed one": lambda rs: rs[0].update(status="0x0"),
}


@pytest.mark.parametrize("change", TAMPERS.values(), ids=TAMPERS)
def test_whatever_is_changed_in_the_receipts_is_seen(change: Change) -> None:
    chain, known = a_chain(), chains.chain("devnet")
    header, receipts = answered(chain), copy.deepcopy([dict(r) for r in chain.receipts(chain.head.number)])
    honest = verify.examine(known, header, receipts)
    assert (honest.proof_level, honest.header_ok, honest.root_ok, honest.bloom_ok) == ("P3", True, True, True)
    assert verify.failures(known, header, receipts, honest) == []
    change(receipts)
    facts = verify.examine(known, header, receipts)
    assert facts.root_ok is False
    assert "receipts_root" in [check for check, _ in verify.failures(known, header, receipts, facts)]


def test_missing_receipts_are_no_proof_and_gaps_hang_on_no_anchor() -> None:
    chain, known = a_chain(), chains.chain("devnet")
    header, receipts = answered(chain), [dict(r) for r in chain.receipts(chain.head.number)]
    missing = verify.examine(known, header, None)
    assert (missing.proof_level, missing.complete, missing.log_count, missing.header_ok) == ("P0", False, None, True)
    assert verify.examine(known, header, receipts, gaps=True).proof_level == "P2c"


def test_a_filter_asks_for_receipts_only_where_the_bloom_allows() -> None:
    chain = a_chain()
    token = chain.logs()[0]["address"]
    header, genesis = answered(chain), answered(chain, 0)
    asked = [
        verify.wants_receipts(one, LogFilter(addresses=(address,)))
        for one, address in ((header, token), (genesis, token), (header, "0x" + "77" * 20))
    ]
    assert asked == [True, False, False]
    assert [verify.wants_receipts(one, LogFilter()) for one in (header, genesis)] == [True, False]


def test_levels_are_ordered_and_the_lowest_speaks_for_a_range() -> None:
    assert verify.lowest(["P3", "P1", "P2c"]) == "P1"
    assert verify.lowest([]) == "P0"
