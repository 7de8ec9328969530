"""Recordings: real blocks served as they are, and our own chain's, of which no byte may change."""

import gzip
import json
import os
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guelta.errors import BadRecording, BadSetting
from indexer import proof
from indexer.devnet.archive import write as write_again
from indexer.devnet.blocks import from_json
from indexer.devnet.chain import Devnet
from indexer.devnet.deploy import deploy_reference
from indexer.devnet.methods import Handler
from indexer.devnet.record import Recording, load, write

DATA = Path(os.environ.get("GUELTA_SHARED", "../shared"), "data")
recorded = pytest.mark.skipif(not DATA.is_dir(), reason=f"recorded data not found at {DATA}: set GUELTA_SHARED")
OPERATOR = "0x" + "09" * 20


def ask(handler: Handler, method: str, *params: Any) -> Any:
    reply = json.loads(handler.respond(json.dumps({"id": 1, "method": method, "params": params}).encode()))
    return reply["result"] if "result" in reply else (reply["error"]["code"], reply["error"]["message"])


def a_devnet(**options: Any) -> Devnet:
    pytest.importorskip("pyrevm", reason="no pyrevm wheel for this machine")
    chain = Devnet(genesis_time=1_785_542_400, **options)
    token = deploy_reference(chain, "0x" + "7e" * 20, 250, OPERATOR)["payment_token_tusd"]
    for i in range(5):
        token.send(OPERATOR, "mint", OPERATOR, i)
        chain.seal()
    return chain


# -- our own ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["devnet.jsonl", "devnet.jsonl.gz"])
@pytest.mark.parametrize("flavour", ["ethereum", "op"])
def test_a_recorded_devnet_answers_as_the_chain_did(tmp_path: Path, name: str, flavour: str) -> None:
    chain = a_devnet(flavour=flavour)
    head = write(chain, tmp_path / name, made_by={"seed": 1})
    again = write(chain, tmp_path / f"again-{name}", made_by={"seed": 1})
    recording = load(tmp_path / name)[1337]
    live, replayed = Handler(chain), Handler(recording)
    numbers = [hex(number) for number in range(chain.head.number + 1)]
    requests: list[tuple[Any, ...]] = [("eth_blockNumber",), ("eth_chainId",)]
    requests += [("eth_getBlockByNumber", number, full) for number in numbers for full in (True, False)]
    requests += [("eth_getBlockReceipts", number) for number in numbers]
    requests += [("debug_getRawReceipts", number) for number in numbers]
    requests += [("eth_getLogs", {"fromBlock": "0x0", "toBlock": number}) for number in numbers]
    assert [ask(replayed, *request) for request in requests] == [ask(live, *request) for request in requests]
    assert (head, again, ask(replayed, "guelta_recorded")) == (chain.head.hash, head, list(range(7)))
    assert (tmp_path / name).read_bytes() == (tmp_path / f"again-{name}").read_bytes()
    assert ask(replayed, "eth_call", {"to": OPERATOR}, "latest")[0] == -32601
    assert ask(replayed, "eth_sendTransaction", {"from": OPERATOR})[0] == -32601


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "devnet.jsonl"
    write(a_devnet(), path, made_by={"seed": 1})
    return path


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_byte_of_an_archive_may_change(archive: Path, data: st.DataObject) -> None:
    text = bytearray(archive.read_bytes())
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] ^= data.draw(st.integers(1, 255))
    broken = archive.with_name("broken.jsonl")
    broken.write_bytes(text)
    with pytest.raises(BadRecording):
        load(broken)


def changed(archive: Path, change: Any) -> Path:
    """The archive after a change to its lines, its digest made right again: the roots have to notice."""
    lines = [json.loads(line) for line in archive.read_bytes().splitlines()]
    change(lines)
    rest = b"".join(json.dumps(line).encode() + b"\n" for line in lines[1:])
    path = archive.with_name("changed.jsonl")
    write_again(path, lines[0]["recording"], rest)
    return path


def test_a_forged_archive_is_refused_by_its_roots(archive: Path) -> None:
    def amount(lines: list[Any]) -> None:
        lines[4]["receipts"][0]["logs"][0]["data"] = "0x" + "00" * 31 + "63"

    def sender(lines: list[Any]) -> None:
        lines[4]["block"]["transactions"][0]["value"] = "0x1"

    def time(lines: list[Any]) -> None:
        lines[4]["block"]["timestamp"] = "0x1"

    def gone(lines: list[Any]) -> None:
        del lines[4]
        lines[0]["recording"]["blocks"] -= 1

    def no_receipts(lines: list[Any]) -> None:
        lines[4]["receipts"] = None

    def other_head(lines: list[Any]) -> None:
        lines[0]["recording"]["head"] = lines[1]["block"]["hash"]

    said = {}
    assert load(changed(archive, lambda _: None))[1337].head.number == 6
    for change in (amount, sender, time, gone, no_receipts, other_head):
        with pytest.raises(BadRecording) as refusal:
            load(changed(archive, change))
        said[change.__name__] = str(refusal.value).partition("does not verify: ")[2].partition(";")[0]
    head, first = load(archive)[1337].head.hash, load(archive)[1337].blocks(0, 0)[0].hash  # type: ignore[index]
    assert said == {
        "amount": "block 3: receipts root",
        "sender": "block 3: transactions root",
        "time": "block 3: header hash",
        "gone": "block 4 stands where block 3 should",
        "no_receipts": "block 3: receipts missing",
        "other_head": f"the head is {head}, the first line says {first}",
    }


def test_what_cannot_be_recorded_or_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="block 0: header hash"):
        write(a_devnet(flavour="cosmos"), tmp_path / "x", made_by={})
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "list").write_bytes(b"[]\n")
    (tmp_path / "text").write_bytes(b"nothing\n")
    (tmp_path / "shape").write_bytes(b'{"chain": "x", "chain_id": 1, "block": {}, "receipts": []}\n')
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"x" * 1000)[:-20])
    for name, said in {
        "empty": "holds no blocks",
        "list": "expected an object",
        "text": "line 1: not JSON",
        "shape": "line 1: expected chain, chain_id, block and receipts",
        "cut.gz": "cannot be read",
        "missing": "cannot be read",
    }.items():
        with pytest.raises(BadRecording, match=said):
            load(tmp_path / name)


# -- real blocks -----------------------------------------------------------------------------------------------------


@recorded
def test_the_31_real_blocks_are_served_as_recorded() -> None:
    path = DATA / "evm_blocks/blocks.jsonl.gz"
    with gzip.open(path, "rt") as file:
        records = [json.loads(line) for line in file]
    chains = load(path)
    handlers = {chain_id: Handler(chain) for chain_id, chain in chains.items()}
    assert Counter(
        {chain_id: len(ask(handler, "guelta_recorded")) for chain_id, handler in handlers.items()}
    ) == Counter(record["chain_id"] for record in records)
    logs = 0
    for record in records:
        handler, block, receipts = handlers[record["chain_id"]], record["block"], record["receipts"]
        number = block["number"]
        assert ask(handler, "eth_getBlockByNumber", number, True) == block
        assert ask(handler, "eth_getBlockByHash", block["hash"], True) == block
        assert ask(handler, "eth_getBlockReceipts", block["hash"]) == receipts
        hashes = [item if isinstance(item, str) else item["hash"] for item in block["transactions"]]
        assert ask(handler, "eth_getBlockByNumber", number, False)["transactions"] == hashes
        answer = ask(handler, "eth_getLogs", {"fromBlock": number, "toBlock": number})
        if receipts is None:
            assert answer == (-32000, f"the logs of block {int(number, 16)} were not recorded")
        else:
            assert answer == [log for receipt in receipts for log in receipt["logs"]]
            logs += len(answer)
    assert logs == 2_839
    ethereum = handlers[1]
    assert ask(ethereum, "guelta_recorded") == [
        1_000_000,
        4_369_999,
        8_000_000,
        14_000_000,
        18_000_000,
        18_500_000,
        21_925_176,
    ]
    assert ask(ethereum, "eth_getBlockByNumber", "0xf4241", True) is None  # a gap
    assert [ask(ethereum, "eth_getBlockByNumber", tag)["number"] for tag in ("earliest", "finalized", "latest")] == [
        hex(1_000_000),
        hex(21_925_176),
        hex(21_925_176),
    ]


@recorded
def test_a_recording_with_a_broken_link_is_refused(tmp_path: Path) -> None:
    with gzip.open(DATA / "evm_blocks/blocks.jsonl.gz", "rt") as file:
        pair = [
            record
            for line in file
            if (record := json.loads(line))["chain_id"] == 25 and record["number"] in (6541, 6542)
        ]
    pair[1]["block"]["parentHash"] = "0x" + "00" * 32
    (tmp_path / "pair.jsonl").write_text("".join(json.dumps(record) + "\n" for record in pair))
    with pytest.raises(BadRecording, match="chain 25: block 6542 names the parent 0x0000"):
        load(tmp_path / "pair.jsonl")


Exchange = tuple[str, dict[str, Any], dict[str, Any]]


def exchanges_of_the_specification() -> list[Exchange]:
    """(name, request, answer) of the 67 recorded by execution-apis."""
    found = []
    with tarfile.open(DATA / "rpc_conformance/execution-apis-tests.tar.gz") as archive:
        for member in archive:
            if member.name.endswith(".io") and (file := archive.extractfile(member)):
                lines = {line[:2]: line[3:] for line in file.read().decode().splitlines()}
                found.append((member.name.split("/", 1)[1], json.loads(lines[">>"]), json.loads(lines["<<"])))
    return found


@recorded
def test_recorded_requests_of_the_specification_get_their_answers() -> None:
    """The specification's chain, rebuilt from its own answers; what they do not contain is not asked."""
    exchanges = exchanges_of_the_specification()
    blocks: dict[str, Any] = {}
    receipts: dict[str, Any] = {}
    for _, request, answer in exchanges:
        result = answer.get("result")
        if request["method"].startswith("eth_getBlockBy") and result and request["params"][1]:
            blocks[result["hash"]] = result
        if request["method"] == "eth_getBlockReceipts" and result:
            receipts[result[0]["blockHash"]] = result
    source = Recording(
        0xC72DD9D5E883E,
        "execution-apis",
        [from_json(block, receipts.get(key, None if block["transactions"] else [])) for key, block in blocks.items()],
    )
    handler = Handler(source)
    held = {block.hash for block in source.blocks(0, 0x36)}

    def answerable(exchange: Exchange) -> bool:
        _, request, answer = exchange
        result = answer.get("result")
        match request["method"]:
            case "eth_call" | "debug_getRawBlock":  # no EVM behind a recording; raw blocks are not served
                return False
            case "eth_getBlockByNumber" | "eth_getBlockByHash":
                return result is None or result["hash"] in held
            case "eth_getBlockReceipts":
                return not result or result[0]["blockHash"] in held
            case "eth_getTransactionByHash" | "eth_getTransactionReceipt":
                return result is None or result["blockHash"] in held
            case "debug_getRawHeader" | "debug_getRawReceipts":
                return "error" in answer or request["params"] == ["0x0"]
            case "eth_getLogs":
                return "error" in answer
        return True

    asked = [exchange for exchange in exchanges if answerable(exchange)]
    replies = {name: json.loads(handler.respond(json.dumps(request).encode())) for name, request, _ in asked}
    assert replies == {name: answer for name, _, answer in asked}
    assert (len(exchanges), len(asked), sum("error" in answer for _, _, answer in asked)) == (67, 35, 5)


@recorded
def test_headers_of_the_specification_hash_from_genesis_to_prague() -> None:
    headers, raw = {}, []
    for name, _, answer in exchanges_of_the_specification():
        result = answer.get("result")
        if name.startswith("eth_getBlockBy") and result:
            headers[int(result["number"], 16)] = result
        if name.startswith("debug_getRawHeader") and result:
            raw.append(bytes.fromhex(result[2:]))
    hashes = {number: "0x" + (proof.header_hash(header) or b"").hex() for number, header in headers.items()}
    assert hashes == {number: header["hash"] for number, header in headers.items()}
    assert sorted(hashes) == [0, 1, 0x1B, 0x24, 0x27, 0x2A, 0x2D, 0x36]
    assert [proof.read_header(encoded)["number"] for encoded in raw] == [3, 0]
