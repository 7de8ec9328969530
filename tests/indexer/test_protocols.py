"""Protocol folders: one folder is one protocol, unknown keys are refused, and the address chooses the ABI."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from guelta.errors import BadAbi, BadSetting
from indexer import protocols, tables
from indexer.abi import Event, event, keccak
from indexer.decode import columns_of
from indexer.decode.logs import decode_logs
from indexer.decode.shapes import snake_case
from indexer.protocols import registry
from indexer.protocols.tables import event_routes, event_tables

ERC4626 = {
    "type": "event",
    "name": "Withdraw",
    "inputs": [
        {"name": "sender", "type": "address", "indexed": True},
        {"name": "receiver", "type": "address", "indexed": True},
        {"name": "owner", "type": "address", "indexed": True},
        {"name": "assets", "type": "uint256", "indexed": False},
        {"name": "shares", "type": "uint256", "indexed": False},
    ],
}
WAREHOUSE = {
    "type": "event",
    "name": "Withdraw",
    "inputs": [
        {"name": "owner", "type": "address", "indexed": True},
        {"name": "token", "type": "address", "indexed": True},
        {"name": "withdrawer", "type": "address", "indexed": True},
        {"name": "amount", "type": "uint256", "indexed": False},
        {"name": "reward", "type": "uint256", "indexed": False},
    ],
}
ONE, TWO, THREE = (bytes([n]) * 20 for n in (1, 2, 3))


def write(root: Path, name: str, toml: str, **abis: list[dict] | str) -> Path:
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "protocol.toml").write_text(toml)
    for file, entries in abis.items():
        text = entries if isinstance(entries, str) else json.dumps(entries)
        (root / name / f"{file}.json").write_text(text)
    return root


def deployed(address: bytes, chain: str = "devnet") -> str:
    return (
        'title = "t"\n[contracts.c]\nabi = "a.json"\n'
        f'[contracts.c.deployments.{chain}]\naddress = "0x{address.hex()}"\nstart = 0\n'
    )


STANDARD = 'title = "t"\n[contracts.c]\nabi = "a.json"\nscope = "any"\n'


def logs(*entries: tuple[bytes, list[bytes], bytes]) -> pa.Table:
    """raw.logs rows of (address, topics, data), one block."""
    at = datetime(2026, 9, 1, tzinfo=UTC)
    rows = [
        {
            "chain_id": 1337,
            "block_number": 1,
            "block_hash": keccak(b"1"),
            "block_time": at,
            "day": at.date(),
            "tx_hash": keccak(b"tx"),
            "tx_index": 0,
            "log_index": index,
            "address": address,
            **{f"topic{n}": topic for n, topic in enumerate(topics)},
            "data": data,
        }
        for index, (address, topics, data) in enumerate(entries)
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema([f for f in tables.LOGS.schema if f.name != "month"]))


def word(value: bytes | int) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")


def test_two_withdraw_events_of_one_topic_and_count_are_told_apart_by_address(tmp_path):
    write(tmp_path, "erc4626", deployed(ONE), a=[ERC4626])
    write(tmp_path, "splits", deployed(TWO), a=[WAREHOUSE])
    topic = event(ERC4626, "").topic0
    assert topic == event(WAREHOUSE, "").topic0
    assert topic.hex().startswith("fbde797d")

    topics, data = [topic, word(b"\7" * 20), word(b"\x08" * 20), word(b"\7" * 20)], word(100) + word(3)
    chosen = registry.build(protocols.load(tmp_path), 1337, ["devnet"])
    batch = decode_logs(chosen, logs((ONE, topics, data), (TWO, topics, data), (THREE, topics, data)))
    assert batch.not_ours == 1  # nobody vouches for the third address
    found = {name: rows.to_pylist() for name, rows in batch.events.items()}
    (assets,), (amount,) = found["raw.erc4626_withdraw"], found["raw.splits_withdraw"]
    assert (assets["address"], assets["assets"], assets["shares"], assets["owner"]) == (ONE, 100, 3, b"\7" * 20)
    assert (amount["address"], amount["amount"], amount["reward"], amount["token"]) == (TWO, 100, 3, b"\x08" * 20)


def test_a_log_that_fits_two_standards_is_nobodys(tmp_path):
    write(tmp_path, "erc4626", STANDARD, a=[ERC4626])
    write(tmp_path, "splits", STANDARD, a=[WAREHOUSE])
    topics = [event(ERC4626, "").topic0, word(ONE), word(TWO), word(ONE)]
    chosen = registry.build(protocols.load(tmp_path), 1337)
    batch = decode_logs(chosen, logs((ONE, topics, word(1) + word(2)), (ONE, topics, word(1))))
    assert batch.decoded == 0
    assert [(q["reason"], q["table_name"]) for q in batch.quarantine.to_pylist()] == [
        ("ambiguous_abi", "raw.erc4626_withdraw"),
        ("short", "raw.erc4626_withdraw"),
    ]


def test_equal_topic_and_count_with_other_indexed_fields_is_settled_by_what_decodes(tmp_path):
    def paid(first: bool) -> dict:
        inputs = [
            {"name": "who", "type": "address", "indexed": first},
            {"name": "note", "type": "bytes4", "indexed": not first},
        ]
        return {"type": "event", "name": "Paid", "inputs": inputs}

    write(tmp_path, "shop", deployed(ONE), a=[paid(True), paid(False)])
    topic, note = event(paid(True), "").topic0, b"\xff\xff\xff\xff".ljust(32, b"\0")
    chosen = registry.build(protocols.load(tmp_path), 1337, ["devnet"])
    batch = decode_logs(
        chosen,
        logs((ONE, [topic, word(TWO)], note), (ONE, [topic, note], word(THREE)), (ONE, [topic, word(0)], word(0))),
    )
    assert set(batch.events) == {"raw.shop_paid"}
    rows = sorted((row["log_index"], row["who"], row["note"]) for t in batch.events.values() for row in t.to_pylist())
    assert rows == [(0, TWO, note[:4]), (1, THREE, note[:4])]
    assert [(q["log_index"], q["reason"]) for q in batch.quarantine.to_pylist()] == [(2, "ambiguous_abi")]


def test_a_standard_is_read_strictly_and_a_declared_contract_leniently(tmp_path):
    entry = {"type": "event", "name": "Said", "inputs": [{"name": "text", "type": "string", "indexed": False}]}
    write(tmp_path, "told", deployed(ONE), a=[entry])
    write(tmp_path, "standard", STANDARD, a=[{**entry, "name": "Heard"}])
    said, heard = (event(e, "").topic0 for e in (entry, {**entry, "name": "Heard"}))
    dirty = word(32) + word(2) + b"hi".ljust(32, b"\1")
    latin = word(32) + word(2) + b"\xe9\xff".ljust(32, b"\0")
    chosen = registry.build(protocols.load(tmp_path), 1337, ["devnet"])
    batch = decode_logs(
        chosen, logs((ONE, [said], dirty), (TWO, [heard], dirty), (ONE, [said], latin), (ONE, [said, said], dirty))
    )
    assert [(r["text"], r["decode"]) for r in batch.events["raw.told_said"].to_pylist()] == [("hi", "lenient")]
    assert [(q["log_index"], q["table_name"], q["reason"]) for q in batch.quarantine.to_pylist()] == [
        (1, "raw.standard_heard", "padding"),
        (2, "raw.told_said", "utf8"),
        (3, "raw.told_said", "topic_count"),
    ]


def test_events_of_one_name_get_tables_of_their_own_and_a_standards_event_its_table(tmp_path):
    def rated(kind: str) -> dict:
        return {"type": "event", "name": "Rated", "inputs": [{"name": "score", "type": kind, "indexed": False}]}

    transfer = [e for e in json.loads(shipped_abi("erc20")) if e["name"] == "Transfer"]
    write(tmp_path, "erc20", STANDARD, a=transfer)
    write(tmp_path, "agents", deployed(ONE), a=[rated("int128"), rated("uint8"), *transfer])
    routes = event_routes(protocols.load(tmp_path))
    first, second, moved = routes["agents", "c", None]
    topic = second.event.topic0.hex()[:8]
    assert [r.table.name for r in (first, second, moved)] == [
        "raw.agents_rated",
        f"raw.agents_rated_{topic}",
        "raw.erc20_transfer",
    ]
    assert sorted(event_tables(routes)) == ["raw.agents_rated", f"raw.agents_rated_{topic}", "raw.erc20_transfer"]


def test_two_folders_that_would_share_a_table_are_refused(tmp_path):
    def named(name: str) -> list[dict]:
        return [{"type": "event", "name": name, "inputs": []}]

    write(tmp_path, "a", deployed(ONE), a=named("bDone"))
    write(tmp_path, "a_b", deployed(TWO), a=named("Done"))
    with pytest.raises(BadSetting, match=r"protocols a_b and a both make the table raw\.a_b_done"):
        event_routes(protocols.load(tmp_path))


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (
            'title = "t"\nnetwork = 1\n[contracts.c]\nabi = "a.json"',
            "p/protocol.toml: unknown network; known are contracts",
        ),
        (
            'title = "t"\n[contracts.c]\nabi = "a.json"\nadress = "0x"',
            "contracts.c: unknown adress; known are abi, also",
        ),
        ('title = "t"\n[contracts.c]\nabi = "b.json"', "expected abi to name a JSON file in p/, found 'b.json'"),
        ('title = "t"\n[contracts.c]\nabi = "a.json"\nscope = "all"', 'expected scope = "any" or "every"'),
        ('title = "t"\n[contracts.c]\nabi = "a.json"\nalso = "erc20"', "found erc20"),
        (deployed(ONE).replace("0x0101", "0x01"), "contracts.c.deployments.devnet: expected an address"),
        (deployed(ONE).replace("start = 0", "start = -1"), "expected start to be a block number, found -1"),
        (deployed(ONE).replace("start = 0", "begin = 0"), "unknown begin; known are address, start"),
        (STANDARD + '[contracts.c.deployments.devnet]\naddress = "0x"', "a standard with a scope has no deployments"),
        ('title = "t"', "expected a title and at least one"),
        ("title = ", "does not parse"),
    ],
)
def test_a_broken_folder_is_refused_by_file_and_key(tmp_path, toml, says):
    with pytest.raises(BadSetting) as refused:
        protocols.load(write(tmp_path, "p", toml, a=[]))
    assert str(refused.value).startswith("p/protocol.toml")
    assert says in str(refused.value)


def test_a_broken_abi_names_its_file(tmp_path):
    with pytest.raises(BadAbi, match=r"p/a\.json, entry 0"):
        protocols.load(write(tmp_path, "p", deployed(ONE), a=[{"type": "event", "name": "X", "inputs": 1}]))


def test_the_shipped_protocols_make_the_tables_models_count_on():
    chosen = registry.build(protocols.shipped(), 1337, ["devnet"])
    columns = {name: table.schema.names for name, table in chosen.tables.items()}
    assert {"from_address", "to_address", "value", "value_raw"} <= set(columns["raw.erc20_transfer"])
    assert {"token_id", "token_id_raw"} <= set(columns["raw.erc721_transfer"])
    assert {"ids", "ids_raw", "values", "values_raw"} <= set(columns["raw.erc1155_transfer_batch"])
    for table in chosen.tables.values():
        assert table.key == ("chain_id", "block_hash", "log_index")
        assert table.partition == ("chain_id", "month")
        assert table.schema.names[-3:] == ["abi_digest", "decode", "month"]


def test_solidity_names_become_snake_case():
    names = ["assetId", "tokenURI", "URI", "_split", "indexedTag1", "ERC20Paid", "x402Fee", "HTTPServer", "a__b"]
    assert [snake_case(name) for name in names] == [
        "asset_id", "token_uri", "uri", "split", "indexed_tag1", "erc20_paid", "x402_fee", "http_server", "a_b",
    ]  # fmt: skip


def test_columns_that_would_clash_are_moved_aside():
    kinds = ["uint256", "uint256", "bytes", "address", "uint8", "string", "bool", "uint256"]
    labels = ["block_number", "value", "value_raw", "from", "from", "index", "", "data"]
    inputs = [{"name": n, "type": t, "indexed": n == "index"} for n, t in zip(labels, kinds, strict=True)]
    what: Event = event({"name": "Odd", "inputs": inputs}, "")
    assert list(columns_of(what)) == [
        "arg_block_number", "arg_block_number_raw", "value", "value_raw", "arg_value_raw", "from_address", "arg_from",
        "arg_index_hash", "arg_6", "data", "data_raw",
    ]  # fmt: skip


def shipped_abi(name: str) -> str:
    return (Path(protocols.__file__).parent / name / f"{name}.json").read_text("utf-8")
