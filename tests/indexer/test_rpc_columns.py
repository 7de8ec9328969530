"""Columns cut by stride equal a plain reading of the same logs, however a node writes them."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.rpc.columns import Stamp, log_rows
from indexer.rpc.pool import Suspicious
from indexer.rpc.wire import WireLog

HASHES = [bytes([i]) * 32 for i in (0x0A, 0xBC)]
BLOCKS = {"0x" + h.hex(): Stamp(number, "0x" + h.hex(), 1_700_000_000 + number) for number, h in enumerate(HASHES)}


@st.composite
def spelling(draw: st.DrawFn, value: bytes) -> str:
    """Hex as JSON text, with upper case, escapes or neither."""
    digits = value.hex()
    text = draw(st.sampled_from([f"0x{digits}", f"0x{digits.upper()}", f"0X{digits}"]))
    escaped = text.replace("a", "\\u0061")
    return '"' + draw(st.sampled_from([text, escaped])) + '"'


@st.composite
def a_log(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    word = st.binary(min_size=32, max_size=32)
    block = draw(st.integers(0, 1))
    said = {
        "block_number": block,
        "block_hash": HASHES[block],
        "tx_hash": draw(word),
        "tx_index": draw(st.integers(0, 400)),
        "log_index": draw(st.integers(0, 5000)),
        "address": draw(st.binary(min_size=20, max_size=20)),
        "topics": draw(st.lists(word, max_size=4)),
        "data": draw(st.binary(max_size=70)),
    }
    comma = draw(st.sampled_from([",", ", ", " ,\n"]))
    zeros = draw(st.sampled_from(["", "0"]))
    fields = {
        "address": draw(spelling(said["address"])),
        "topics": "[" + comma.join([draw(spelling(topic)) for topic in said["topics"]]) + "]",
        "data": draw(spelling(said["data"])),
        "blockHash": draw(spelling(said["block_hash"])),
        "transactionHash": draw(spelling(said["tx_hash"])),
        "blockNumber": f'"0x{zeros}{block:x}"',
        "logIndex": f'"0x{zeros}{said["log_index"]:x}"',
        "transactionIndex": f'"0x{said["tx_index"]:x}"',
        "surprise": '{"deep": [1, null]}',
    }
    order = draw(st.permutations(sorted(fields)))
    return "{" + ",".join(f'"{name}": {fields[name]}' for name in order) + "}", said


@settings(deadline=None)  # the first call imports
@given(st.lists(a_log(), max_size=12))
def test_any_spelling_gives_the_same_rows(logs: list[tuple[str, dict[str, Any]]]) -> None:
    body = "[" + ",".join(text for text, _ in logs) + "]"
    rows = log_rows(7, msgspec.json.decode(body, type=list[WireLog]), BLOCKS).to_pylist()
    found = [{name: row[name] for name in said if name != "topics"} for row, (_, said) in zip(rows, logs, strict=True)]
    topics = [[row[f"topic{k}"] for k in range(4)] for row in rows]
    assert found == [{name: value for name, value in said.items() if name != "topics"} for _, said in logs]
    assert topics == [(said["topics"] + [None] * 4)[:4] for _, said in logs]
    assert all(row["chain_id"] == 7 and row["block_time"].date() == row["day"] for row in rows)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("data", "0x0", "data is no hex"),
        ("data", "0xzz", "data is no hex"),
        ("data", None, "data is no hex"),
        ("address", "0x" + "11" * 19, "address is no hex"),
        ("topics", ["0x12"], "topics or data"),
        ("topics", ["0x" + "11" * 32] * 5, "topics or data"),
        ("blockHash", "0x" + "77" * 32, "mixes forks"),
        ("blockNumber", "0x1", "mixes forks"),
        ("removed", True, "removed"),
    ],
)
def test_a_log_that_is_none_is_refused_by_name(field: str, value: Any, said: str) -> None:
    log = {
        "address": "0x" + "11" * 20, "topics": [], "data": "0x", "blockHash": "0x" + HASHES[0].hex(), "blockNumber": "0x0",
        "transactionHash": "0x" + "22" * 32, "transactionIndex": "0x0", "logIndex": "0x0", "removed": False,
    }  # fmt: skip
    wire = msgspec.json.decode(json.dumps([log | {field: value}]), type=list[WireLog])
    with pytest.raises(Suspicious, match=said):
        log_rows(7, wire, BLOCKS)
