"""Golden roots, real blocks, blocks that must be refused, and every way to tamper with a receipt."""

import copy
import gzip
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer import proof

DATA = Path(os.environ.get("GUELTA_SHARED", "../shared"), "data")
recorded = pytest.mark.skipif(not DATA.is_dir(), reason=f"recorded data not found at {DATA}: set GUELTA_SHARED")


@pytest.mark.parametrize(
    ("values", "root"),
    [
        ([], "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"),
        ([b"\x01"], "ac92bc8d02906a87a573c32c72bb427036f0e43d7a7375c5c491ebba064add15"),
        ([b"\x01", b"\x02" * 40], "40ddf6cf0dc48c195e48940c574c33b1cdec087b68927aac3efd27efb3bed5f9"),
        (
            [bytes([i]) * 40 for i in range(129)],
            "5ac99c0b49117972e0c4dfdce3a2f186766f106b33c631ba5aa61e94bddcbd92",
        ),
        (
            [i.to_bytes(2, "big") * 20 for i in range(300)],
            "c10e1fc473d48b8f115fbb97ed7e1c463a61d605714a49c2f5304ead99b6002f",
        ),
    ],
)
def test_golden_trie_roots(values: list[bytes], root: str) -> None:
    assert proof.trie_root(values).hex() == root


def test_a_transfer_topic_sets_its_three_bits() -> None:
    transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    assert int.from_bytes(proof.bloom(transfer), "big") == 1 << 1443 | 1 << 481 | 1 << 1060


# -- against a trie written the naive way: insert one key after the other, hash at the end ---------------------------


def naive_root(values: list[bytes]) -> bytes:
    trie: dict[str, Any] = {}
    for i, value in enumerate(values):
        node = trie
        for nibble in proof.rlp(proof.integer(i)).hex():
            node = node.setdefault(nibble, {})
        node["value"] = value
    return proof.keccak(proof.rlp(naive_node(trie)))


def naive_node(node: dict[str, Any]) -> proof.Rlp:
    path = ""
    while len(node) == 1 and "value" not in node:
        (nibble, node) = next(iter(node.items()))
        path += nibble
    if list(node) == ["value"]:
        return [naive_path(path, leaf=True), node["value"]]
    branch: proof.Rlp = [naive_reference(node[c]) if c in node else b"" for c in "0123456789abcdef"] + [
        node.get("value", b"")
    ]
    if not path:
        return branch
    return [naive_path(path, leaf=False), shortened(branch)]


def naive_reference(node: dict[str, Any]) -> proof.Rlp:
    return shortened(naive_node(node))


def shortened(node: proof.Rlp) -> proof.Rlp:
    encoded = proof.rlp(node)
    return node if len(encoded) < 32 else proof.keccak(encoded)


def naive_path(nibbles: str, *, leaf: bool) -> bytes:
    odd = len(nibbles) % 2
    return bytes.fromhex(f"{2 * leaf + odd}" + ("" if odd else "0") + nibbles)


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=300))
@example([b"\x05"] * 200)
@example([b"\x05"] * 130)  # an extension whose branch is short enough to be embedded
def test_the_root_equals_the_naive_trie(values: list[bytes]) -> None:
    assert proof.trie_root(values) == naive_root(values)


nested = st.recursive(st.binary(max_size=80), lambda inner: st.lists(inner, max_size=6), max_leaves=30)


@given(nested)
def test_rlp_reads_back_what_it_wrote(item: Any) -> None:
    assert proof.unrlp(proof.rlp(item)) == item


@given(nested, st.data())
def test_cut_rlp_is_refused(item: Any, data: st.DataObject) -> None:
    encoded = proof.rlp(item)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(ValueError, match="RLP"):
        proof.unrlp(encoded[:cut])


# -- receipts --------------------------------------------------------------------------------------------------------


def a_receipt(index: int, **more: Any) -> dict[str, Any]:
    log = {"address": "0x" + "ab" * 20, "topics": ["0x" + "01" * 32, "0x" + f"{index:064x}"], "data": "0x" + "07" * 32}
    second = {"address": "0x" + "cd" * 20, "topics": [], "data": "0x05"}
    return {
        "type": "0x2",
        "status": "0x1",
        "cumulativeGasUsed": hex(21_000 * (index + 1)),
        "transactionIndex": hex(index),
        "logs": [log, second],
        **more,
    }


def encoded_plainly(receipt: dict[str, Any]) -> bytes:
    """The receipt by the book: nested lists through RLP, no hex text."""
    head = bytes.fromhex(receipt["root"][2:]) if "root" in receipt else proof.integer(int(receipt["status"], 16))
    logs = [
        [bytes.fromhex(x["address"][2:]), [bytes.fromhex(t[2:]) for t in x["topics"]], bytes.fromhex(x["data"][2:])]
        for x in receipt["logs"]
    ]
    fields: list[Any] = [
        head,
        proof.integer(int(receipt["cumulativeGasUsed"], 16)),
        proof.logs_bloom(receipt["logs"]),
        logs,
    ]
    if receipt.get("depositReceiptVersion"):
        fields += [proof.integer(int(receipt[k], 16)) for k in ("depositNonce", "depositReceiptVersion")]
    kind = int(receipt["type"], 16)
    return (bytes([kind]) if kind else b"") + proof.rlp(fields)


topics = st.lists(st.binary(min_size=32, max_size=32), max_size=4)


@given(
    kind=st.sampled_from(["0x0", "0x2", "0x7E", "0x7e"]),
    status=st.sampled_from(["0x0", "0x1"]),
    gas=st.integers(0, 2**40),
    logs=st.lists(st.tuples(st.binary(min_size=20, max_size=20), topics, st.binary(max_size=90)), max_size=4),
    root=st.none() | st.binary(min_size=32, max_size=32),
    deposit=st.sampled_from(["none", "nonce only", "both"]),
)
def test_receipts_encode_by_the_book(
    kind: str, status: str, gas: int, logs: list[Any], root: bytes | None, deposit: str
) -> None:
    receipt: dict[str, Any] = {
        "type": kind,
        "cumulativeGasUsed": hex(gas),
        "logs": [
            {
                "address": "0x" + address.hex(),
                "topics": ["0x" + topic.hex() for topic in topics],
                "data": "0x" + data.hex(),
            }
            for address, topics, data in logs
        ],
    }
    receipt |= {"root": "0x" + root.hex()} if root else {"status": status}
    if kind.lower() == "0x7e" and deposit != "none":
        receipt["depositNonce"] = "0x81"
        if deposit == "both":
            receipt["depositReceiptVersion"] = "0x1"
    assert proof.encode_receipt(receipt) == encoded_plainly(receipt)


def test_the_order_of_the_answer_does_not_matter() -> None:
    receipts = [a_receipt(i) for i in range(20)]
    assert proof.receipts_root(receipts[::-1]) == proof.receipts_root(receipts)


def test_every_tampering_changes_the_root() -> None:
    receipts = [a_receipt(i) for i in range(5)]
    clean = proof.receipts_root(receipts)

    def tampered(change: Any) -> bytes:
        mine = copy.deepcopy(receipts)
        change(mine)
        return proof.receipts_root(mine)

    def swap(mine: list[Any]) -> None:
        mine[1]["transactionIndex"], mine[2]["transactionIndex"] = mine[2]["transactionIndex"], "0x1"

    roots = {
        "drop a log": tampered(lambda mine: mine[2]["logs"].pop()),
        "duplicate a log": tampered(lambda mine: mine[2]["logs"].append(mine[2]["logs"][0])),
        "drop a receipt": tampered(lambda mine: mine.pop()),
        "flip a nibble": tampered(lambda mine: mine[3]["logs"][0].update(data="0x" + "07" * 31 + "08")),
        "swap two receipts": tampered(swap),
    }
    assert len({clean, *roots.values()}) == 1 + len(roots)


# -- blooms ----------------------------------------------------------------------------------------------------------

words = st.binary(min_size=20, max_size=32).map(lambda b: "0x" + b.hex())


@given(st.lists(st.tuples(words, words), min_size=1, max_size=30))
def test_a_bloom_never_denies_what_it_holds(logs: list[tuple[str, str]]) -> None:
    whole = proof.union(proof.bloom(*log) for log in logs)
    assert all(proof.may_hold(whole, *log) for log in logs)
    assert not any(proof.may_hold(proof.EMPTY_BLOOM, *log) for log in logs)
    assert proof.is_subset(proof.bloom(*logs[0]), whole)


# -- real blocks -----------------------------------------------------------------------------------------------------


@recorded
def test_the_31_recorded_blocks_verify_as_the_table_says() -> None:
    passed: dict[str, list[int]] = {}
    with gzip.open(DATA / "evm_blocks/blocks.jsonl.gz", "rt") as lines:
        for line in lines:
            record = json.loads(line)
            block, receipts = record["block"], record["receipts"]
            computed = proof.header_hash(block)
            row = passed.setdefault(record["chain"], [0, 0, 0, 0])
            row[0] += computed is not None and "0x" + computed.hex() == block["hash"]
            if receipts is not None:
                row[1] += "0x" + proof.receipts_root(receipts).hex() == block["receiptsRoot"]
                made = proof.union(proof.logs_bloom(receipt["logs"]) for receipt in receipts)
                header = bytes.fromhex(block["logsBloom"][2:])
                row[2] += made == header
                row[3] += made != header and proof.is_subset(made, header)
    # header hash, receipts root, bloom exact, bloom a proper subset (21-chain §4.4)
    assert passed == {
        "ethereum": [7, 7, 7, 0],
        "arbitrum": [1, 1, 1, 0],
        "base": [1, 1, 1, 0],
        "base-goerli": [1, 1, 1, 0],
        "optimism": [2, 2, 2, 0],
        "polygon": [1, 1, 1, 0],
        "hyperliquid": [1, 1, 1, 0],
        "bittensor-testnet": [0, 1, 1, 0],
        "tempo-mainnet": [0, 2, 2, 0],
        "tempoModerato": [0, 2, 2, 0],
        "stable-testnet": [0, 2, 2, 0],
        "cronos": [0, 1, 5, 2],
        "stable": [0, 0, 0, 0],
    }


@recorded
def test_of_twelve_recorded_blocks_ten_are_refused() -> None:
    with tarfile.open(DATA / "evm_negative/op-service-bad-blocks.tar.gz") as archive:
        cases = {m.name.rsplit("/", 1)[-1]: json.load(f) for m in archive if (f := archive.extractfile(m))}

    def accepted(block: dict[str, Any]) -> bool:
        roots = [
            (proof.header_hash(block), "hash"),
            (proof.transactions_root(block["transactions"]), "transactionsRoot"),
        ]
        if "withdrawalsRoot" in block:
            roots.append((proof.withdrawals_root(block["withdrawals"]), "withdrawalsRoot"))
        return all(root is not None and "0x" + root.hex() == block[key] for root, key in roots)

    blocks = {name: case for name, case in cases.items() if name.endswith("_data.json")}
    assert len(blocks) == 12
    assert sorted(name for name, block in blocks.items() if accepted(block)) == [
        "post-shanghai-success_data.json",
        "pre-shanghai-success_data.json",
    ]


@recorded
def test_8192_recorded_headers_link_and_read_back() -> None:
    cramjam = pytest.importorskip("cramjam")
    raw = (DATA / "era1/sepolia-00021-b8814b14.era1").read_bytes()
    at, headers = 0, []
    while at < len(raw):
        size = int.from_bytes(raw[at + 2 : at + 6], "little")
        if int.from_bytes(raw[at : at + 2], "little") == 3:
            headers.append(bytes(cramjam.snappy.decompress(raw[at + 8 : at + 8 + size])))
        at += 8 + size
    fields = [proof.read_header(header) for header in headers]
    assert [header["number"] for header in fields] == list(range(172_032, 180_224))
    parents = [header["parentHash"] for header in fields[1:]]
    assert parents == [proof.keccak(header) for header in headers[:-1]]


def test_an_unsupported_header_is_an_outcome() -> None:
    names = ["parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom"]
    names += ["difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce"]
    header = dict.fromkeys(names, "0x01") | {"l1BlockNumber": "0x5"}
    tail = {"baseFeePerGas": "0x1", "withdrawalsRoot": "0x02", "blobGasUsed": "0x0"}
    without_mix = {k: v for k, v in header.items() if k != "mixHash"}
    hole = {**header, **tail, "withdrawalsRoot": None}
    garbage = header | {"number": "latest"}
    headers = (header, header | tail, without_mix, hole, garbage)
    assert [proof.header_hash(h) is None for h in headers] == [False, False, True, True, True]
