"""Recorded real logs through our decoder, against what other indexers published for the same blocks."""

import gzip
import json
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import eth_abi
import pyarrow as pa
import pytest

from indexer import abi, protocols, tables
from indexer.decode import decode
from indexer.decode.logs import Batch, decode_logs
from indexer.decode.slow import columns_from_values
from indexer.protocols import registry

RECORDED = Path(os.environ.get("GUELTA_SHARED", "../shared"), "data")
if not RECORDED.is_dir():
    pytest.skip(f"recorded data not found at {RECORDED}: set GUELTA_SHARED", allow_module_level=True)

RAW_LOGS = pa.schema([field for field in tables.LOGS.schema if field.name != "month"])


def raw_logs(rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=RAW_LOGS)


def raw_log(
    chain_id: int, number: int, block_hash: str, seconds: int, tx: tuple[str, int], index: int, log: dict
) -> dict:
    at = datetime.fromtimestamp(seconds, UTC)
    return {
        "chain_id": chain_id,
        "block_number": number,
        "block_hash": blob(block_hash),
        "block_time": at,
        "day": at.date(),
        "tx_hash": blob(tx[0]),
        "tx_index": tx[1],
        "log_index": index,
        "address": blob(log["address"]),
        "data": blob(log["data"]),
        **{f"topic{n}": blob(topic) for n, topic in enumerate(log["topics"])},
    }


def blob(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def shown(value: bytes) -> str:
    return "0x" + value.hex()


def decoded_on(chain_id: int, rows: list[dict]) -> Batch:
    return decode_logs(registry.build(protocols.shipped(), chain_id), raw_logs(rows))


@pytest.fixture(scope="module")
def blocks() -> list[dict]:
    with gzip.open(RECORDED / "evm_blocks/blocks.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def logs_of(block: dict) -> list[dict]:
    body = block["block"]
    return [
        raw_log(
            block["chain_id"],
            int(body["number"], 16),
            body["hash"],
            int(body["timestamp"], 16),
            (log["transactionHash"], int(log["transactionIndex"], 16)),
            int(log["logIndex"], 16),
            log,
        )
        for receipt in block["receipts"] or []
        for log in receipt["logs"]
    ]


def test_evm_etl_681_logs_hold_exactly_its_291_transfers():
    folder = RECORDED / "evm_etl/blocks_17173049_17173050"
    logs, expected = (
        [json.loads(line) for line in gzip.decompress((folder / f"expected_{name}.jsonl.gz").read_bytes()).splitlines()]
        for name in ("logs", "token_transfers")
    )
    rows = [
        raw_log(
            1,
            log["block_number"],
            log["block_hash"],
            log["block_timestamp"],
            (log["transaction_hash"], log["transaction_index"]),
            log["log_index"],
            log,
        )
        for log in logs
    ]
    batch = decoded_on(1, rows)
    erc20, erc721 = batch.events["raw.erc20_transfer"], batch.events["raw.erc721_transfer"]
    assert (batch.logs, erc20.num_rows, erc721.num_rows) == (681, 282, 9)

    found = {
        (
            shown(row["tx_hash"]),
            row["log_index"],
            shown(row["address"]),
            shown(row["from_address"]),
            shown(row["to_address"]),
            int.from_bytes(row[f"{amount}_raw"], "big"),
        )
        for events, amount in ((erc20, "value"), (erc721, "token_id"))
        for row in events.to_pylist()
    }
    assert found == {
        (t["transaction_hash"], t["log_index"], t["token_address"], t["from_address"], t["to_address"], t["value"])
        for t in expected
    }
    whole = [(int(row["value"]), int.from_bytes(row["value_raw"], "big")) for row in erc20.to_pylist()]
    assert all(value == raw for value, raw in whole)
    assert max(raw for _, raw in whole) == 7786596450288373164569331648084


def test_evm_blocks_every_log_is_accounted_for_and_the_known_topics_are_all_decoded(blocks):
    counts: Counter[str] = Counter()
    amounts = []
    for block in blocks:
        batch = decoded_on(block["chain_id"], logs_of(block))
        counts.update({table: rows.num_rows for table, rows in batch.events.items()})
        counts.update({"logs": batch.logs, "not ours": batch.not_ours, "quarantined": batch.quarantine.num_rows})
        if "raw.erc20_transfer" in batch.events:
            amounts += batch.events["raw.erc20_transfer"]["value"].to_pylist()
    assert counts["logs"] == 2839
    assert (counts["raw.erc20_transfer"], counts["raw.erc721_transfer"]) == (1095, 36)
    assert counts["raw.erc1155_transfer_single"] == 39
    assert (counts["raw.erc20_approval"], counts["raw.erc721_approval"], counts["quarantined"]) == (147, 10, 0)
    assert (sum(amount > 2**53 for amount in amounts), max(amounts)) == (524, 1779859438293124247192869243185)


def test_evm_blocks_transfers_equal_the_216_rows_another_indexer_published(blocks):
    expected, found = [], []
    for block in blocks:
        if "expected_token_transfers" not in block:
            continue
        expected += [
            (
                t["transactionHash"],
                int(t.get("logIndex", 0)),  # its protobuf JSON leaves zeros out
                t["tokenAddress"],
                t["fromAddress"],
                t["toAddress"],
                int(t["erc20"].get("value", 0)) if "erc20" in t else int(t["erc721"].get("tokenId", 0)),
                "erc20" if "erc20" in t else "erc721",
            )
            for t in block["expected_token_transfers"]
        ]
        batch = decoded_on(block["chain_id"], logs_of(block))
        for standard, amount in (("erc20", "value"), ("erc721", "token_id")):
            found += [
                (
                    shown(row["tx_hash"]),
                    row["log_index"],
                    shown(row["address"]),
                    shown(row["from_address"]),
                    shown(row["to_address"]),
                    int.from_bytes(row[f"{amount}_raw"], "big"),
                    standard,
                )
                for row in (
                    batch.events[f"raw.{standard}_transfer"]
                    if f"raw.{standard}_transfer" in batch.events
                    else pa.table({})
                ).to_pylist()
            ]
    assert Counter(row[-1] for row in expected) == {"erc20": 211, "erc721": 5}
    assert sorted(found) == sorted(expected)


def example(kind: abi.AbiType, seed: int) -> object:
    """A value that fills the type, different for each seed."""
    match kind.kind:
        case "uint":
            return (2**kind.size - 1) >> (seed % 5) * 7
        case "int":
            return -(2 ** (kind.size - 1)) + seed
        case "address":
            return "0x" + f"{seed + 1:040x}"
        case "bool":
            return bool(seed % 2)
        case "fixed_bytes":
            return bytes([seed % 256]) * kind.size
        case "bytes":
            return bytes(range(seed % 70))
        case "string":
            return "é" * (seed % 40)
        case "array":
            return tuple(example(kind.items, seed + at) for at in range(seed % 4))
        case "tuple":
            return tuple(example(field, seed + at) for at, (_, field) in enumerate(kind.fields))


def test_the_389_published_events_decode_what_eth_abi_encodes():
    published = json.loads((RECORDED / "abis/events.json").read_text("utf-8"))
    modes: Counter[str] = Counter()
    for entry in published:
        event = abi.event(entry, entry["signature"])
        rows = [[example(i.type, 7 * seed + at) for at, i in enumerate(event.inputs)] for seed in range(6)]
        words = [
            [
                abi.keccak(b"%d" % at) if i.hashed else eth_abi.encode([str(i.type)], [value])
                for at, (i, value) in enumerate(zip(event.inputs, row, strict=True))
                if i.indexed
            ]
            for row in rows
        ]
        data = [
            eth_abi.encode(
                [str(i.type) for i in event.data],
                [value for i, value in zip(event.inputs, row, strict=True) if not i.indexed],
            )
            for row in rows
        ]
        topics = [[event.topic0, *some] for some in words]
        logs = pa.table(
            {
                **{
                    f"topic{n}": pa.array([t[n] if n < len(t) else None for t in topics], pa.binary()) for n in range(4)
                },
                "data": pa.array(data, pa.binary()),
            }
        )
        told = [
            [
                abi.keccak(b"%d" % at) if i.hashed else value
                for at, (i, value) in enumerate(zip(event.inputs, row, strict=True))
            ]
            for row in rows
        ]
        found = decode(event, logs)
        assert found.refused == ()
        expected = {name: column.to_pylist() for name, column in columns_from_values(event, told).items()}
        assert {name: found.table[name].to_pylist() for name in expected} == expected, event.signature
        modes.update(found.table["decode"].to_pylist())
    # Only dynamic tuples (0xSplits' and Story's, 10 declarations) go row by row.
    assert modes == {"fast": 379 * 6, "strict": 10 * 6}
