"""An ABI is read whole or refused by file and entry; our topic0 are the published ones."""

import json
import os
from pathlib import Path

import pytest

from guelta.errors import BadAbi
from indexer import abi

RECORDED = Path(os.environ.get("GUELTA_SHARED", "../shared"), "data")

TRANSFER = {
    "type": "event",
    "name": "Transfer",
    "inputs": [
        {"name": "from", "type": "address", "indexed": True},
        {"name": "to", "type": "address", "indexed": True},
        {"name": "value", "type": "uint256", "indexed": False},
    ],
}


def test_an_abi_lists_its_events_with_signature_topic_and_tuples_spelled_out():
    split = {
        "type": "event",
        "name": "SplitUpdated",
        "anonymous": False,
        "inputs": [
            {
                "name": "_split",
                "type": "tuple[]",
                "indexed": False,
                "components": [
                    {"name": "recipients", "type": "address[]"},
                    {"name": "total", "type": "uint"},
                    {"name": "parts", "type": "uint16[2][]"},
                ],
            }
        ],
    }
    found = abi.parse(json.dumps({"abi": [TRANSFER, split, {"type": "function", "name": "transfer"}]}), "Token.json")
    assert [(e.signature, e.topic_count) for e in found.events] == [
        ("Transfer(address,address,uint256)", 3),
        ("SplitUpdated((address[],uint256,uint16[2][])[])", 1),
    ]
    assert found.events[0].topic0.hex() == "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    assert [name for name, _ in found.events[1].inputs[0].type.items.fields] == ["recipients", "total", "parts"]


def test_a_digest_changes_with_what_decoding_depends_on_and_with_nothing_else():
    def digest(**changes: object) -> str:
        return abi.event({**TRANSFER, **changes}, "test").digest()

    inputs = TRANSFER["inputs"]
    assert digest(stateMutability="view") == digest()
    assert digest(inputs=[*inputs[:2], {**inputs[2], "indexed": True}]) != digest()
    assert digest(inputs=[*inputs[:2], {**inputs[2], "name": "amount"}]) != digest()
    assert digest(inputs=[*inputs[:2], {**inputs[2], "type": "uint128"}]) != digest()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[{", "does not parse"),
        ('{"contract": 1}', "expected a list of ABI entries"),
        ("[7]", "entry 0: expected an object"),
        (json.dumps([{"type": "event", "inputs": []}]), "entry 0 (without a name): expected an event name"),
        (json.dumps([TRANSFER, {**TRANSFER, "inputs": None}]), "entry 1 (Transfer): expected a list of inputs"),
        (json.dumps([TRANSFER, TRANSFER]), "declared twice"),
    ],
)
def test_a_broken_abi_is_refused_by_file_and_entry(text, says):
    with pytest.raises(BadAbi) as refused:
        abi.parse(text, "Token.json")
    assert str(refused.value).startswith("Token.json")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "kind", ["uint7", "uint264", "bytes33", "bytes0", "fixed128x18", "tuple", "()", "int256[0]", ""]
)
def test_a_type_that_solidity_does_not_emit_is_refused(kind):
    inputs = [{"name": "amount", "type": kind, "indexed": False}]
    with pytest.raises(BadAbi, match=r"Token.json, entry 0 \(Paid\), input 0 \(amount\)"):
        abi.parse(json.dumps([{"type": "event", "name": "Paid", "inputs": inputs}]), "Token.json")


def test_more_indexed_inputs_than_topics_are_refused():
    inputs = [{"name": f"a{at}", "type": "address", "indexed": True} for at in range(4)]
    with pytest.raises(BadAbi, match="4 indexed inputs, a log has room for 3"):
        abi.parse(json.dumps([{"type": "event", "name": "Wide", "inputs": inputs}]), "Token.json")
    assert abi.parse(json.dumps([{"type": "event", "name": "W", "inputs": inputs, "anonymous": True}]), "T").events


@pytest.mark.skipif(not RECORDED.is_dir(), reason=f"recorded data not found at {RECORDED}: set GUELTA_SHARED")
def test_topic0_of_the_389_published_events():
    published = json.loads((RECORDED / "abis/events.json").read_text("utf-8"))
    ours = [abi.event(entry, entry["signature"]) for entry in published]
    assert len(published) == 389
    assert ["0x" + event.topic0.hex() for event in ours] == [entry["topic0"] for entry in published]
    assert [event.signature for event in ours] == [entry["signature"] for entry in published]
