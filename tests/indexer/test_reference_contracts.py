"""The reference economy on the embedded chain: topics, addresses, the golden settlement, and what never breaks."""

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import eth_abi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import indexer
from indexer.devnet.chain import Devnet
from indexer.devnet.contracts import Contract, events
from indexer.devnet.deploy import deploy_reference
from indexer.devnet.evm import Reverted

pytest.importorskip("pyrevm", reason="no pyrevm wheel for this machine")

FOLDER = Path(indexer.__file__).parent / "protocols/reference"
TREASURY, OPERATOR, PAYER = ("0x" + byte * 20 for byte in ("7e", "09", "aa"))
ACCOUNTS = ["0x" + f"{i:02x}" * 20 for i in range(0xB1, 0xB6)]
Economy = tuple[Devnet, dict[str, Contract]]


def an_economy(fee_bps: int = 250) -> Economy:
    chain = Devnet(genesis_time=1_785_542_400)
    return chain, deploy_reference(chain, TREASURY, fee_bps, OPERATOR)


def an_economy_with_money(fee_bps: int = 250) -> Economy:
    chain, contracts = an_economy(fee_bps)
    for key in ("payment_token_tusd", "payment_token_tai"):
        contracts[key].send(OPERATOR, "mint", PAYER, 10**30)
        contracts[key].send(PAYER, "approve", contracts["earnings_vault"].address, 2**256 - 1)
    chain.seal()
    return chain, contracts


def decoded(log: dict[str, Any]) -> tuple[str, ...] | None:
    """(event, assetId, account, amount) of an accrual, the name alone of anything else."""
    names = {topic: name for contract in ("PaymentToken", "EarningsVault") for name, topic in events(contract).items()}
    name = names[log["topics"][0]]
    if name != "EarningAccrued":
        return (name,)
    _, amount = eth_abi.decode(["address", "uint256"], bytes.fromhex(log["data"][2:]))
    return name, int(log["topics"][2], 16), "0x" + log["topics"][3][-40:], amount


def test_topics_are_those_the_design_names() -> None:
    assert events("AssetRegistry") | events("EarningsVault") | events("Staking") == {
        "AssetRegistered": "0x80dca7772ce885f5cbb11565714972c7332b9f3166ab4b4aefe83c3914dc2f34",
        "TermsSet": "0xd6126e3e7d40a8f5bdc6fda1800990f6ba60c603f82448fe616ac264d330903f",
        "EdgeAdded": "0x115a2dd967a75c9ca8c84d565316ace575cd3bc6b1d93a1f83dccd1da4031f4b",
        "ContributionRecorded": "0xcda40d67c39e590123eca1aa5ca95886da9f7525ca49e4b3a164f668cad6f2da",
        "CallsSettled": "0xd72ccf26f3a7b3aae0c9baa79504be59531fe339c3d43f75f131e01e7f26067f",
        "EarningAccrued": "0xfbc106c5b1900f6c99908501b738359b290ea671e83f761287427b436bfbf8de",
        "EarningClaimed": "0x368f6be09986d8ae5ab15b904815a80093e6dd9c3724e1ad6df2f440e4d95651",
        "PayoutSent": "0xe50d87119ceb02f3aa30a83e96b007c343e37d38e4f720be35f408d0477995fb",
        "FeeSet": "0xf44a98f6bd595f05497307ab9a14e5c8d21ea01435dd5f4fe8357ff75227fe70",
        "Burst": "0x9aea96cfadfb109a1170bf0e79ee0626cae3be17d8a3e84e23c2a07bc31d0609",
        "Staked": "0x9e71bc8eea02a63969f509818f2dafb9254532904319f9dbda79b67bd34a5f3d",
        "Withdrawn": "0x7084f5476618d8e60b11ef0d7d3f06914655adb8793e28ff7f018d4c76d505d5",
        "RewardAdded": "0xde88a922e0d3b88b24e9623efeb464919c6bf9f66857a65e2bfcf2ce87a9433d",
        "RewardPaid": "0xe2403640ba68fed3a2f88b7557551d1993f84b99bb10ff833f0cf8db0c5e0486",
        "Slashed": "0x4ed05e9673c26d2ed44f7ef6a7f2942df0ee3b5e1e17db4b99f9dcd261a339cd",
        "OwnershipTransferred": "0x8be0079c531659141344cd1fd0a4f28419497f9722a3daafe3b4186f6b6457e0",
    }


def test_addresses_are_those_of_the_protocol_folder() -> None:
    _, contracts = an_economy()
    declared = tomllib.loads((FOLDER / "protocol.toml").read_text())["contracts"]
    assert {key: contract.address for key, contract in contracts.items()} == {
        key: table["deployments"]["devnet"]["address"] for key, table in declared.items()
    }
    tokens = {key: contracts[key] for key, table in declared.items() if "symbol" in table}
    assert {key: (t.read("name"), t.read("symbol"), t.read("decimals")) for key, t in tokens.items()} == {
        key: (table["name"], table["symbol"], table["decimals"]) for key, table in declared.items() if "symbol" in table
    }


def test_the_code_on_chain_is_the_compiled_one() -> None:
    chain, contracts = an_economy()
    bytecode = json.loads((FOLDER / "contracts/artifacts.json").read_text())["contracts"]["AssetRegistry"]["bytecode"]
    code = chain.code(contracts["asset_registry"].address).hex()
    assert bytecode.partition("fe60806040")[2] == code.removeprefix("60806040")  # what follows the constructor


def test_the_golden_settlement() -> None:
    chain, contracts = an_economy_with_money()
    registry, vault, token = (contracts[key] for key in ("asset_registry", "earnings_vault", "payment_token_tai"))
    a1, a2, a3, a4, a5 = ACCOUNTS
    registry.send(a1, "register", 0, b"\x01" * 32, "ipfs://dataset", [a1, a2, a3], [5_000, 3_000, 2_000])
    registry.send(a3, "register", 1, b"\x02" * 32, "ipfs://model", [a3, a4], [7_000, 3_000])
    registry.send(a3, "addEdge", 2, 1, 1, 2_000)
    registry.send(a5, "register", 2, b"\x03" * 32, "ipfs://agent", [a5], [10_000])
    registry.send(a5, "addEdge", 3, 2, 2, 3_000)
    chain.seal()

    vault.send(PAYER, "settle", 3, token.address, 10**18 + 7, 41, b"\xcc" * 32)
    block = chain.seal()

    (receipt,) = chain.receipts(block.number)
    assert [decoded(log) for log in receipt["logs"]] == [
        ("Transfer",),
        ("CallsSettled",),
        ("Transfer",),
        ("EarningAccrued", 1, a1, 29_250_000_000_000_000),
        ("EarningAccrued", 1, a2, 17_550_000_000_000_000),
        ("EarningAccrued", 1, a3, 11_700_000_000_000_000),
        ("EarningAccrued", 2, a3, 163_800_000_000_000_001),
        ("EarningAccrued", 2, a4, 70_200_000_000_000_001),
        ("EarningAccrued", 3, a5, 682_500_000_000_000_005),
    ]
    settled = eth_abi.decode(["uint256", "uint256", "uint64", "bytes32"], bytes.fromhex(receipt["logs"][1]["data"][2:]))
    assert settled == (10**18 + 7, 25_000_000_000_000_000, 41, b"\xcc" * 32)
    assert token.read("balanceOf", TREASURY) == 25_000_000_000_000_000

    vault.send(a3, "claim", token.address)
    vault.send(OPERATOR, "payBatch", b"\x05" * 32, token.address, [a4, a5], [70_200_000_000_000_001, 5])
    vault.send(OPERATOR, "payBatch", b"\x06" * 32, token.address, [a4], [1])  # nothing owed any more: fails
    chain.seal()
    statuses = [receipt["status"] for receipt in chain.receipts(chain.head.number)]
    owed = [vault.read("owed", account, token.address) for account in ACCOUNTS]
    held = [token.read("balanceOf", account) for account in ACCOUNTS]
    assert (statuses, owed, held) == (
        ["0x1", "0x1", "0x0"],
        [29_250_000_000_000_000, 17_550_000_000_000_000, 0, 0, 682_500_000_000_000_000],
        [0, 0, 175_500_000_000_000_001, 70_200_000_000_000_001, 5],
    )
    assert token.read("balanceOf", vault.address) == sum(owed)


shares = st.lists(st.integers(1, 9_999), max_size=4, unique=True).map(
    lambda cuts: [b - a for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 10_000], strict=True)]
)


@settings(max_examples=25, deadline=None)
@given(
    terms=st.lists(shares, min_size=1, max_size=6),
    edges=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 3_000)), max_size=10),
    payments=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 10**24)), min_size=1, max_size=5),
    fee_bps=st.integers(0, 10_000),
)
def test_every_settlement_gives_out_exactly_what_was_paid(
    terms: list[list[int]], edges: list[tuple[int, int, int]], payments: list[tuple[int, int]], fee_bps: int
) -> None:
    chain, contracts = an_economy_with_money(fee_bps)
    registry, vault, token = (contracts[key] for key in ("asset_registry", "earnings_vault", "payment_token_tusd"))
    for bps in terms:
        registry.send(ACCOUNTS[0], "register", 0, b"", "", ACCOUNTS[: len(bps)], bps)
    for child, parent, bps in edges:  # some are refused: unknown, backwards, or above nine tenths
        registry.send(ACCOUNTS[0], "addEdge", child + 1, parent + 1, 0, bps)
    for asset, amount in payments:
        vault.send(PAYER, "settle", asset % len(terms) + 1, token.address, amount, 1, b"")
    block = chain.seal()

    settled = list(chain.receipts(block.number)[-len(payments) :])
    for receipt, (_, amount) in zip(settled, payments, strict=True):
        assert receipt["status"] == "0x1"
        words = bytes.fromhex(receipt["logs"][1]["data"][2:])
        fee = int.from_bytes(words[32:64], "big")
        accrued = sum(event[3] for log in receipt["logs"] if len(event := decoded(log)) == 4)
        assert (fee, accrued + fee) == (amount * fee_bps // 10_000, amount)
    assert token.read("balanceOf", vault.address) == sum(vault.read("owed", a, token.address) for a in ACCOUNTS)


def test_what_the_contracts_refuse() -> None:
    chain, contracts = an_economy_with_money()
    registry, vault, token = (contracts[key] for key in ("asset_registry", "earnings_vault", "payment_token_tusd"))
    a1, a2 = ACCOUNTS[:2]
    for _ in range(9):
        registry.send(a1, "register", 0, b"", "", [a1], [10_000])
    for child in range(2, 10):
        registry.send(a1, "addEdge", child, child - 1, 0, 9_000)
    chain.seal()

    def refused(contract: Contract, sender: str, function: str, *args: Any) -> bool:
        with pytest.raises(Reverted):
            chain.call(contract.address, contract.encode(function, *args), sender)
        return True

    assert refused(registry, a1, "register", 4, b"", "", [a1], [10_000])  # no such kind
    assert refused(registry, a1, "register", 0, b"", "", [a1], [9_999])  # terms do not sum
    assert refused(registry, a1, "register", 0, b"", "", [a1, a2], [10_000])
    assert refused(registry, a2, "setTerms", 1, [a2], [10_000])  # not the owner
    assert refused(registry, a1, "addEdge", 1, 1, 0, 1)  # a cycle
    assert refused(registry, a1, "addEdge", 9, 1, 0, 1)  # above nine tenths
    assert refused(registry, a1, "addEdge", 9, 1, 4, 0)  # no such relation
    assert refused(registry, a1, "contribute", 99, b"", 0, 1, 1)
    assert refused(vault, PAYER, "settle", 9, token.address, 100, 1, b"")  # nine deep
    assert refused(vault, PAYER, "settle", 99, token.address, 100, 1, b"")
    assert refused(vault, PAYER, "settle", 1, token.address, 0, 1, b"")
    assert refused(vault, a1, "claim", token.address)
    assert refused(vault, a1, "setFee", 1, a1)
    assert refused(token, a1, "mint", a1, 1)
    vault.send(PAYER, "settle", 8, token.address, 100, 1, b"")  # eight deep is the limit
    assert chain.receipts(chain.seal().number)[0]["status"] == "0x1"


def test_stakes_rewards_and_slashes() -> None:
    chain, contracts = an_economy()
    staking, token = contracts["staking"], contracts["payment_token_tai"]
    a1, a2 = ACCOUNTS[:2]
    for account in (a1, a2, OPERATOR):
        token.send(OPERATOR, "mint", account, 1_000)
        token.send(account, "approve", staking.address, 2**256 - 1)
    staking.send(a1, "stake", 300)
    staking.send(a2, "stake", 100)
    staking.send(OPERATOR, "addReward", 40)
    staking.send(OPERATOR, "slash", a2, 60)
    staking.send(a1, "getReward")
    staking.send(a2, "getReward")
    staking.send(a1, "withdraw", 300)
    chain.seal()
    names = {topic: name for name, topic in events("Staking").items()}
    seen = [
        (names[log["topics"][0]], int(log["data"], 16))
        for log in chain.logs(chain.head.number)
        if log["address"] == staking.address
    ]
    assert seen == [
        ("Staked", 300),
        ("Staked", 100),
        ("RewardAdded", 40),
        ("Slashed", 60),
        ("RewardPaid", 30),
        ("RewardPaid", 10),
        ("Withdrawn", 300),
    ]
    assert [token.read("balanceOf", account) for account in (a1, a2, TREASURY, staking.address)] == [1_030, 910, 60, 40]


def test_the_committed_artifacts_name_their_sources() -> None:
    import hashlib

    artifacts = json.loads((FOLDER / "contracts/artifacts.json").read_text())
    assert artifacts["sources"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (FOLDER / "contracts").glob("*.sol")
    }


@pytest.mark.slow
def test_the_compiler_gives_the_committed_artifacts(tmp_path: Path) -> None:
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("npm is not installed: the committed artifacts are not compared with their sources")
    install = ["npm", "i", "--no-save", "--no-audit", "--no-fund", "--prefix", str(tmp_path)]
    try:
        subprocess.run(
            [*install, "solc@0.8.37", "@openzeppelin/contracts@5.7.0"],
            check=True, capture_output=True, timeout=300, cwd=tmp_path, env=dict(os.environ),
        )  # fmt: skip
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"npm could not install solc and OpenZeppelin: {error}")
    check = ["node", str(FOLDER / "contracts/build.mjs"), "--check", "--modules", str(tmp_path / "node_modules")]
    done = subprocess.run(check, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
