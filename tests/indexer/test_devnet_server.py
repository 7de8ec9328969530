"""The devnet's JSON-RPC as a client meets it: over HTTP and WebSocket, with web3 as the second opinion."""

import asyncio
import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from guelta.errors import BadSetting
from indexer import proof
from indexer.devnet.chain import Devnet
from indexer.devnet.contracts import Contract, events
from indexer.devnet.deploy import deploy_reference
from indexer.devnet.methods import Handler
from indexer.devnet.server import serve

pytest.importorskip("pyrevm", reason="no pyrevm wheel for this machine")

TREASURY, OPERATOR = "0x" + "7e" * 20, "0x" + "09" * 20
PEOPLE = ["0x" + f"{i:02x}" * 20 for i in range(0xA0, 0xA6)]
TRANSFER = events("PaymentToken")["Transfer"]


class Client:
    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, body: Any) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url, data)) as answer:
            return json.loads(answer.read() or b"null")

    def __call__(self, method: str, *params: Any) -> Any:
        """The result, or the error as (code, message)."""
        reply = self.post({"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)})
        assert reply["id"] == 7
        return reply["result"] if "result" in reply else (reply["error"]["code"], reply["error"]["message"])


def a_busy_chain() -> tuple[Devnet, dict[str, Contract]]:
    """Twelve blocks after the deployment, each with two mints in TUSD and one in TAI."""
    chain = Devnet(genesis_time=1_785_542_400, finality_depth=4)
    contracts = deploy_reference(chain, TREASURY, 250, OPERATOR)
    for i in range(12):
        contracts["payment_token_tusd"].send(OPERATOR, "mint", PEOPLE[i % 6], 100 + i)
        contracts["payment_token_tusd"].send(OPERATOR, "mint", PEOPLE[(i + 1) % 6], 1)
        contracts["payment_token_tai"].send(OPERATOR, "mint", PEOPLE[i % 6], 10**18)
        chain.seal()
    return chain, contracts


@pytest.fixture(scope="module")
def quiet() -> Iterator[tuple[Devnet, dict[str, Contract], Client]]:
    """A chain that nobody changes."""
    chain, contracts = a_busy_chain()
    with serve(chain) as server:
        yield chain, contracts, Client(server.url)


World = tuple[Devnet, dict[str, Contract], Client]


def test_blocks_and_receipts_verify_after_the_wire(quiet: World) -> None:
    chain, _, client = quiet
    for number in range(chain.head.number + 1):
        block = client("eth_getBlockByNumber", hex(number), True)
        receipts = client("eth_getBlockReceipts", hex(number))
        assert receipts == client("eth_getBlockReceipts", block["hash"])
        assert block == client("eth_getBlockByHash", block["hash"], True)
        raw_header = bytes.fromhex(client("debug_getRawHeader", hex(number))[2:])
        raw_receipts = [bytes.fromhex(raw[2:]) for raw in client("debug_getRawReceipts", hex(number))]
        computed = [
            proof.header_hash(block),
            proof.receipts_root(receipts),
            proof.transactions_root(block["transactions"]),
            proof.keccak(raw_header),
            proof.trie_root(raw_receipts),
        ]
        expected = [
            block["hash"],
            block["receiptsRoot"],
            block["transactionsRoot"],
            block["hash"],
            block["receiptsRoot"],
        ]
        assert ["0x" + root.hex() for root in computed if root] == expected
        logs = client("eth_getLogs", {"blockHash": block["hash"]})
        assert logs == [log for receipt in receipts for log in receipt["logs"]]
        for transaction, receipt in zip(block["transactions"], receipts, strict=True):
            assert client("eth_getTransactionByHash", transaction["hash"]) == transaction
            assert client("eth_getTransactionReceipt", transaction["hash"]) == receipt


def test_tags(quiet: World) -> None:
    chain, _, client = quiet
    tags = ("earliest", "finalized", "safe", "latest", "pending")
    assert {tag: int(client("eth_getBlockByNumber", tag, False)["number"], 16) for tag in tags} == {
        "earliest": 0,
        "finalized": 9,
        "safe": 11,
        "latest": 13,
        "pending": 13,
    }
    assert client("eth_blockNumber") == "0xd"
    assert client("eth_getBlockByNumber", "latest")["transactions"] == chain.head.transaction_hashes


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"address": "TUSD"},
        {"address": ["TUSD", "TAI"]},
        {"topics": [TRANSFER]},
        {"topics": [None, None, ["0x" + "00" * 12 + PEOPLE[0][2:], "0x" + "00" * 12 + PEOPLE[1][2:].upper()]]},
        {"topics": [[], [], [], []]},
        {"address": [], "topics": [[TRANSFER, "0x" + "11" * 32], None]},
        {"address": "TAI", "topics": [TRANSFER, "0x" + "00" * 32]},
    ],
)
def test_filters_answer_what_a_plain_scan_does(quiet: World, query: dict[str, Any]) -> None:
    chain, contracts, client = quiet
    names = {"TUSD": contracts["payment_token_tusd"].address, "TAI": contracts["payment_token_tai"].address}
    if "address" in query:
        asked = query["address"]
        query = query | {"address": names[asked] if isinstance(asked, str) else [names[name] for name in asked]}

    def passes(log: dict[str, Any]) -> bool:
        addresses = query.get("address") or [log["address"]]
        if log["address"] not in addresses or len(query.get("topics", [])) > len(log["topics"]):
            return False
        for topic, wanted in zip(log["topics"], query.get("topics", []), strict=False):
            if wanted and topic.lower() not in str(wanted).lower():
                return False
        return True

    expected = [log for log in chain.logs(2, 9) if passes(log)]
    assert client("eth_getLogs", {"fromBlock": "0x2", "toBlock": "0x9", **query}) == expected


UNKNOWN = "0x" + "de" * 32
BEYOND = (-32602, "block range extends beyond current head block")
BOTH = (-32602, "invalid argument 0: cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other")


@pytest.mark.parametrize(
    ("method", "params", "answer"),
    [
        ("eth_getLogs", [{"fromBlock": "0x2", "toBlock": "0xe"}], BEYOND),
        ("eth_getLogs", [{"fromBlock": "0x3", "toBlock": "0x2"}], (-32602, "invalid block range params")),
        ("eth_getLogs", [{"blockHash": UNKNOWN}], (-32000, "unknown block")),
        ("eth_getLogs", [{"blockHash": UNKNOWN, "fromBlock": "0x1"}], BOTH),
        ("eth_getBlockByNumber", ["0xe", False], None),
        ("eth_getBlockByNumber", ["2", False], (-32602, "invalid argument 0: hex string without 0x prefix")),
        ("eth_getBlockByNumber", [], (-32602, "missing value for required argument 0")),
        ("eth_getBlockByHash", [UNKNOWN, False], None),
        ("eth_getBlockReceipts", ["0xe"], None),
        ("eth_getBlockReceipts", [UNKNOWN], None),
        ("eth_getTransactionByHash", [UNKNOWN], None),
        ("eth_getTransactionReceipt", [UNKNOWN], None),
        ("eth_call", [{"to": PEOPLE[0]}, "0x1"], (-32000, "historical state is not kept")),
        ("guelta_recorded", [], (-32601, "the method guelta_recorded does not exist/is not available")),
        ("eth_mining", [], (-32601, "the method eth_mining does not exist/is not available")),
        ("eth_chainId", [], "0x539"),
        ("net_version", [], "1337"),
        ("eth_syncing", [], False),
        ("eth_gasPrice", [], "0x0"),
    ],
)  # fmt: skip
def test_edges_answer_as_real_nodes_do(quiet: World, method: str, params: list[Any], answer: Any) -> None:
    assert quiet[2](method, *params) == answer


def test_batches_and_what_is_not_a_request(quiet: World) -> None:
    _, _, client = quiet
    ask = {"jsonrpc": "2.0", "method": "eth_chainId"}
    assert client.post([ask | {"id": 1}, ask, {"id": "b", "method": "nope"}, 5]) == [
        {"jsonrpc": "2.0", "id": 1, "result": "0x539"},
        {
            "jsonrpc": "2.0",
            "id": "b",
            "error": {"code": -32601, "message": "the method nope does not exist/is not available"},
        },
        {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "invalid request"}},
    ]
    assert [client.post(body)["error"]["code"] for body in (b"{", b'{"\xf2":1}', b"[]")] == [-32700, -32700, -32600]


def test_a_lenient_provider_says_nothing_beyond_its_head(quiet: World) -> None:
    query = {"id": 1, "method": "eth_getLogs", "params": [{"fromBlock": "0xe", "toBlock": "0xff"}]}
    reply = Handler(quiet[0], beyond_head="empty").respond(json.dumps(query).encode())
    assert json.loads(reply)["result"] == []


def test_web3_reads_the_same() -> None:
    web3 = pytest.importorskip("web3")
    chain, contracts = a_busy_chain()
    with serve(chain) as server:
        w3 = web3.Web3(web3.HTTPProvider(server.url))
        block = w3.eth.get_block("latest", full_transactions=True)
        assert (block["hash"].to_0x_hex(), len(block["transactions"])) == (chain.head.hash, 3)
        logs = w3.eth.get_logs({"fromBlock": 0, "toBlock": "latest"})
        assert [(log["address"].lower(), log["logIndex"], log["data"].to_0x_hex()) for log in logs] == [
            (log["address"], int(log["logIndex"], 16), log["data"]) for log in chain.logs()
        ]
        abi = [{"type": "function", "name": "balanceOf", "stateMutability": "view", "inputs": [{"type": "address", "name": "a"}], "outputs": [{"type": "uint256", "name": ""}]}]  # fmt: skip
        token = w3.eth.contract(web3.Web3.to_checksum_address(contracts["payment_token_tusd"].address), abi=abi)
        person = web3.Web3.to_checksum_address(PEOPLE[0])
        assert token.functions.balanceOf(person).call() == contracts["payment_token_tusd"].read("balanceOf", PEOPLE[0])
        sent = w3.eth.send_transaction({
            "from": web3.Web3.to_checksum_address(PEOPLE[0]),
            "to": token.address,
            "data": contracts["payment_token_tusd"].encode("transfer", PEOPLE[5], 3),
        })  # fmt: skip
        receipt = w3.eth.wait_for_transaction_receipt(sent)
        assert (receipt["status"], receipt["blockNumber"], receipt["gasUsed"] > 21_000) == (1, 14, True)


def test_development_methods() -> None:
    chain, contracts = a_busy_chain()
    token = contracts["payment_token_tusd"]
    before = [chain.block(n).hash for n in range(14)]  # type: ignore[union-attr]
    with serve(chain) as server:
        client = Client(server.url)
        refused = {"from": PEOPLE[5], "to": token.address, "data": "0x" + token.encode("mint", PEOPLE[5], 1).hex()}
        assert client("eth_call", refused, "latest") == (3, "execution reverted")
        assert int(client("eth_estimateGas", refused), 16) > 21_000
        assert client("eth_getTransactionCount", OPERATOR, "latest") == hex(36)
        assert len(client("eth_getCode", token.address, "latest")) > 2_000
        assert client("eth_getBalance", OPERATOR, "latest") == "0x0"

        snapshot = client("evm_snapshot")
        client("evm_mine")
        assert client("eth_blockNumber") == "0xe"
        assert client("evm_revert", snapshot) is True
        assert client("eth_blockNumber") == "0xd"

        first = client("guelta_reorg", 5)
        second = client("guelta_reorg", 5, "drop")
        after = [client("eth_getBlockByNumber", hex(n), False)["hash"] for n in range(14)]
        assert (after[:9], after[-1]) == (before[:9], second)
        assert len({*before, first, *after[9:]}) == 14 + 1 + 5
        assert client("eth_getBlockByHash", before[-1], False) is None
        assert client("eth_getLogs", {"blockHash": before[-1]}) == (-32000, "unknown block")
        assert client("eth_getBlockReceipts", before[-1]) is None
        assert client("guelta_reorg", 1, "sideways")[0] == -32602
        assert client("guelta_reorg", 999)[0] == -32000


def test_subscribers_hear_heads_and_removed_logs() -> None:
    chain, contracts = a_busy_chain()
    token = contracts["payment_token_tai"]

    async def listen(url: str) -> tuple[list[Any], list[Any]]:
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
            await ws.send_json({"id": 1, "method": "eth_subscribe", "params": ["newHeads"]})
            heads_key = (await ws.receive_json())["result"]
            await ws.send_json({"id": 2, "method": "eth_subscribe", "params": ["logs", {"address": token.address}]})
            await ws.receive_json()
            await ws.send_json({"id": 3, "method": "eth_blockNumber"})
            assert (await ws.receive_json())["result"] == "0xd"
            worker = threading.Thread(target=chain.fork, args=(2,))
            worker.start()
            heads, logs = [], []
            while len(heads) < 2 or len(logs) < 4:
                told = (await asyncio.wait_for(ws.receive_json(), 5))["params"]
                if told["subscription"] == heads_key:
                    heads.append((told["result"]["number"], told["result"]["hash"]))
                else:
                    logs.append((told["result"]["blockHash"], told["result"]["removed"]))
            worker.join()
            return heads, logs

    old = [chain.block(n).hash for n in (12, 13)]  # type: ignore[union-attr]
    with serve(chain) as server:
        heads, logs = asyncio.run(listen(server.ws_url))
    new = [chain.block(n).hash for n in (12, 13)]  # type: ignore[union-attr]
    assert heads == [("0xc", new[0]), ("0xd", new[1])]
    assert logs == [(old[1], True), (old[0], True), (new[0], False), (new[1], False)]


def test_readers_and_the_sealer_do_not_meet() -> None:
    """Every answer is of one moment, while another thread seals and reorganises."""
    chain, contracts = a_busy_chain()

    def work() -> None:
        for i in range(60):
            contracts["payment_token_tusd"].send(OPERATOR, "mint", PEOPLE[i % 6], i)
            chain.seal()
            if i % 10 == 9:
                chain.fork(5)

    with serve(chain) as server:
        client = Client(server.url)
        worker = threading.Thread(target=work)
        worker.start()
        wrong = 0
        while worker.is_alive():
            block = client("eth_getBlockByNumber", "latest", False)
            logs = client("eth_getLogs", {"blockHash": block["hash"]})
            if logs != (-32000, "unknown block"):
                wrong += "0x" + proof.logs_bloom(logs).hex() != block["logsBloom"]
        worker.join()
    assert wrong == 0


def test_a_taken_port_is_said_so() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BadSetting, match=f"port {port} on 127.0.0.1 is not free"), serve(a_busy_chain()[0], port):
            pass


def test_the_server_leaves_nothing_behind() -> None:
    before = set(threading.enumerate())
    with serve(a_busy_chain()[0]) as server:
        Client(server.url)("eth_chainId")
    assert set(threading.enumerate()) == before
