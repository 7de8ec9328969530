"""A node we did not write: what anvil's chain says through web3 equals, row by row, what the lake holds of it."""

import json
import shutil
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from guelta.lake import Lake
from guelta.settings import Settings, resolved
from indexer import protocols
from indexer.derive import derive
from indexer.follow import FollowResult, follow
from models.digest import digest

pytestmark = pytest.mark.anvil

FOLDER = Path(protocols.__file__).parent
ARTIFACTS = json.loads((FOLDER / "reference/contracts/artifacts.json").read_text())["contracts"]
COORDINATES = ("block_number", "block_hash", "tx_hash", "tx_index", "log_index", "address")
GAS = 100_000_000
WEI = 10**18


class World:
    """The reference contracts on anvil, deployed, called and read through web3."""

    def __init__(self, url: str, folder: Path) -> None:
        from web3 import HTTPProvider, Web3

        self.url, self.folder = url, folder
        self.w3 = Web3(HTTPProvider(url))
        self.owner, self.alice, self.bob, self.treasury = self.w3.eth.accounts[:4]
        self.token = self.deploy("PaymentToken", "Test Dollar", "TUSD", 6)
        self.stray = self.deploy("PaymentToken", "Nobody described it", "STRAY", 18)
        self.registry = self.deploy("AssetRegistry")
        self.vault = self.deploy("EarningsVault", self.registry.address, self.treasury, 250)
        self.protocols = self._described()

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.w3.provider.make_request("evm_mine", [])

    def ask(self, method: str, *params: Any) -> Any:
        answer = self.w3.provider.make_request(method, list(params))
        assert "error" not in answer, answer
        return answer["result"]

    def send(self, function: Any, sender: str, *, gas: int = GAS) -> bytes:
        return bytes(function.transact({"from": sender, "gas": gas}))

    def deploy(self, name: str, *arguments: Any) -> Any:
        made = self.w3.eth.contract(abi=ARTIFACTS[name]["abi"], bytecode=ARTIFACTS[name]["bytecode"])
        sent = made.constructor(*arguments).transact({"from": self.owner, "gas": GAS})
        self.mine()
        address = self.w3.eth.get_transaction_receipt(sent)["contractAddress"]
        return self.w3.eth.contract(address=address, abi=ARTIFACTS[name]["abi"])

    def live(self, rounds: int, burst: int = 0) -> None:
        """Mint, register, link, contribute, settle, pay and claim; one transaction fails and is seen to fail."""
        token, vault, registry = self.token.functions, self.vault.functions, self.registry.functions
        self.send(token.mint(self.alice, 10**12 * rounds), self.owner)
        self.send(token.approve(self.vault.address, 2**255), self.alice)
        self.send(self.stray.functions.mint(self.bob, 2**200), self.owner)  # above what DECIMAL(38,0) holds
        self.send(
            registry.register(0, b"\1" * 32, "ipfs://dataset/é", [self.bob, self.alice], [3333, 6667]), self.owner
        )
        self.send(registry.register(1, b"\2" * 32, "", [self.owner], [10_000]), self.owner)
        self.mine()
        model = self.registry.functions.count().call()
        self.send(registry.addEdge(model, model - 1, 1, 2_500), self.owner)
        self.send(registry.contribute(model - 1, b"\3" * 32, 1, 2**100, 9_876), self.bob)
        self.send(vault.claim(self.token.address), self.treasury)  # nothing is owed to it: reverts
        self.mine()
        for i in range(rounds):
            self.send(vault.settle(model, self.token.address, 10**6 + i, i + 1, bytes([i % 256]) * 32), self.alice)
            if i % 4 == 3:
                self.mine()
        if burst:
            self.send(vault.burst(burst), self.bob)
        self.mine()
        self.send(vault.payBatch(b"\4" * 32, self.token.address, [self.bob], [7]), self.owner)
        self.send(vault.claim(self.token.address), self.bob)
        self.mine(2)

    def index(self, lake: Lake) -> FollowResult:
        """Follow to the head and decode."""
        settings = resolved(Settings(home=self.folder, rpc={"anvil": (self.url,)}))
        (result,) = follow(settings, lake, ["anvil"], once=True)
        derive(lake, protocols=self.protocols)
        return result

    def from_zero(self, name: str) -> dict[str, str]:
        lake = Lake(self.folder / name)
        self.index(lake)
        return said(lake)

    def _described(self) -> tuple[protocols.Protocol, ...]:
        """The ERC-20 standard, and the reference contracts at their addresses on this chain."""
        root = self.folder / "protocols"
        for name in ("erc20", "reference"):
            shutil.copytree(FOLDER / name, root / name, ignore=shutil.ignore_patterns("contracts"))
        lines = ['title = "Reference contracts on anvil"']
        for key, name, contract, more in (
            ("payment_token", "PaymentToken", self.token, 'also = "erc20"'),
            ("asset_registry", "AssetRegistry", self.registry, ""),
            ("earnings_vault", "EarningsVault", self.vault, ""),
        ):
            lines += [f"[contracts.{key}]", f'abi = "{name}.json"', more]
            lines += [f"[contracts.{key}.deployments.anvil]", f'address = "{contract.address}"', "start = 0"]
        (root / "reference/protocol.toml").write_text("\n".join(lines))
        return protocols.load(root)


@pytest.fixture
def world(anvil: str, tmp_path: Path) -> World:
    return World(anvil, tmp_path)


def said(lake: Lake) -> dict[str, str]:
    """The digest of every table that does not tell when or in which steps it was written."""
    return digest(lake, [name for name in lake.tables() if name not in {"raw.audit_ranges", "raw.heads"}])


def plain(value: Any) -> Any:
    """A value of web3 as a lake row has it."""
    if isinstance(value, str) and value.startswith("0x"):
        return bytes.fromhex(value[2:])
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def exact(value: Any) -> Any:
    return int(value) if isinstance(value, Decimal) else value


def place(log: Any) -> tuple[Any, ...]:
    names = ("blockNumber", "blockHash", "transactionHash", "transactionIndex", "logIndex", "address")
    return tuple(plain(log[name]) for name in names)


def values(row: dict[str, Any]) -> list[Any]:
    """The ABI columns of an event row in their order; of a money pair its exact 32 bytes, and both must agree."""
    names = list(row)
    found = []
    for name in names[names.index("address") + 1 : names.index("abi_digest")]:
        if f"{name}_raw" in row:
            whole = int.from_bytes(row[f"{name}_raw"], "big")
            assert row[name] == (whole if whole < 10**38 else None)
            continue
        value = row[name]
        found.append(int.from_bytes(value, "big") if name.endswith("_raw") else exact(value))
    return found


def oracle(world: World) -> tuple[list[Any], dict[str, set[Any]]]:
    """Every log by eth_getLogs, and each of ours decoded by web3, by our table's name."""
    from indexer.decode.shapes import snake_case

    logs = world.w3.eth.get_logs({"fromBlock": 0, "toBlock": "latest"})
    contracts = {c.address: c for c in (world.token, world.stray, world.registry, world.vault)}
    decoded = defaultdict(set)
    for log in logs:
        contract = contracts[log["address"]]
        (event,) = [e for e in contract.events if e.abi and bytes(log["topics"][0]) == bytes.fromhex(e.topic[2:])]
        name = event.abi["name"]
        standard = name in {"Transfer", "Approval"}
        if contract is world.stray and not standard:
            continue  # an address nobody described speaks only standards
        read = event.process_log(log)
        arguments = [plain(read["args"][one["name"]]) for one in event.abi["inputs"]]
        decoded[f"raw.{'erc20' if standard else 'reference'}_{snake_case(name)}"].add((place(log), repr(arguments)))
    return logs, dict(decoded)


def equal(lake: Lake, world: World) -> int:
    """Hold every block, transaction, log and decoded event against web3; answers the number of logs."""
    w3 = world.w3
    logs, decoded = oracle(world)
    blocks = [w3.eth.get_block(n) for n in range(w3.eth.block_number + 1)]
    rows = {name: lake.table(f"raw.{name}").read().to_pylist() for name in ("blocks", "logs", "transactions")}
    assert sorted((r["block_number"], r["block_hash"], r["tx_count"]) for r in rows["blocks"]) == [
        (b["number"], bytes(b["hash"]), len(b["transactions"])) for b in blocks
    ]
    receipts = [w3.eth.get_transaction_receipt(hashed) for block in blocks for hashed in block["transactions"]]
    ours = ("tx_hash", "status", "gas_used", "effective_gas_price", "from_address", "to_address")
    theirs = ("transactionHash", "status", "gasUsed", "effectiveGasPrice", "from", "to")
    sent = [[exact(row[name]) for name in ours] for row in rows["transactions"]]
    assert sorted(sent) == sorted([plain(receipt[name]) for name in theirs] for receipt in receipts)
    kept = [
        (*(r[c] for c in COORDINATES), [t for t in (r[f"topic{i}"] for i in range(4)) if t is not None], r["data"])
        for r in rows["logs"]
    ]
    assert sorted(map(repr, kept)) == sorted(
        repr((*place(log), [bytes(t) for t in log["topics"]], bytes(log["data"]))) for log in logs
    )
    events = {
        name: {(tuple(r[c] for c in COORDINATES), repr(values(r))) for r in lake.table(name).read().to_pylist()}
        for name in lake.tables()
        if name.startswith(("raw.reference_", "raw.erc20_"))
    }
    assert {name: found for name, found in events.items() if found} == decoded
    assert lake.table("raw.quarantine").rows() == 0
    return len(logs)


def test_every_row_equals_what_web3_reads(world: World, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    world.live(12)
    first = world.index(lake)
    world.live(24, burst=300)
    second = world.index(lake)
    assert equal(lake, world) > 400
    assert (first.source, first.level, second.level, second.reorgs) == ("live", "P3", "P3", 0)
    assert first.rows + second.rows == lake.table("raw.logs").rows()
    statuses = lake.table("raw.transactions").read()["status"].to_pylist()
    assert statuses.count(0) == 2
    assert said(lake) == world.from_zero("zero")


def test_a_reorg_of_anvil_equals_indexing_from_zero(world: World, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    world.live(8)
    world.index(lake)
    height, before = world.w3.eth.block_number, said(lake)
    # On empty blocks anvil mines the same hashes again: a transaction makes the branch another one.
    mint = world.token.encode_abi("mint", [world.bob, 5 * 10**9])
    sent = {"from": world.owner, "to": world.token.address, "data": mint, "gas": hex(GAS)}
    world.ask("anvil_reorg", 3, [[sent, 0]])
    result = world.index(lake)
    assert (world.w3.eth.block_number, result.reorgs, result.deepest_reorg) == (height, 1, 3)
    assert equal(lake, world) > 50
    assert said(lake) == world.from_zero("zero") != before
    assert world.index(lake).rows == 0


def test_a_head_that_goes_backwards_is_followed_back(world: World, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    world.live(4)
    world.index(lake)
    shorter = said(lake)
    snapshot = world.ask("evm_snapshot")
    world.live(8, burst=20)
    longer = world.index(lake)
    assert world.ask("evm_revert", snapshot)
    back = world.index(lake)
    assert back.to_block == world.w3.eth.block_number < longer.to_block
    assert equal(lake, world) > 0
    assert said(lake) == shorter == world.from_zero("zero")
    world.live(2)
    world.index(lake)
    assert equal(lake, world) > 0
