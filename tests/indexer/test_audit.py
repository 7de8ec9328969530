"""The audit needs no network, and notices whatever was changed in the lake after the fact."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from guelta.errors import BadSetting
from guelta.lake import ALL, Lake
from guelta.settings import Settings
from indexer.audit import audit
from indexer.devnet.chain import Devnet
from indexer.devnet.server import serve
from indexer.follow import follow

OWNER, ALICE = "0x" + "a1" * 20, "0x" + "b2" * 20


@pytest.fixture(scope="module")
def a_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    chain = Devnet(genesis_time=1_793_491_200)
    token = chain.deploy("PaymentToken", "Test Dollar", "TUSD", 6, sender=OWNER)
    chain.seal()
    for amount in range(30):
        chain.contract("PaymentToken", token).send(OWNER, "mint", ALICE, amount)
        chain.seal()
    lake = Lake(tmp_path_factory.mktemp("audit") / "lake")
    with serve(chain) as server:
        follow(Settings(rpc={"devnet": (server.url,)}), lake)
    return lake


Rows = list[dict[str, Any]]


def blocks(rows: Rows) -> dict[str, Any]:
    return next(row for row in rows if row["block_number"] == 20)


TAMPERS: dict[str, tuple[str, Callable[[Rows], Any], str]] = {
    "a log is gone": (
        "raw.logs",
        lambda rows: rows.remove(blocks(rows)),
        "block 20: 1 logs were indexed, raw.logs holds 0",
    ),
    "a topic is changed": (
        "raw.logs",
        lambda rows: blocks(rows).update(topic1=b"\x01" * 32),
        "block 20: the logs in raw.logs no longer give the header's bloom",
    ),
    "a log of nowhere": (
        "raw.logs",
        lambda rows: rows.append(blocks(rows) | {"block_hash": b"\x07" * 32}),
        "raw.logs holds 1 logs of block hash 0x0707",
    ),
    "a header is changed": (
        "raw.blocks",
        lambda rows: blocks(rows).update(
            header_rlp=blocks(rows)["header_rlp"].replace(b"\x84", b"\x84", 1)[:-1] + b"\x00"
        ),
        "block 20: the stored header no longer hashes",
    ),
    "a root is changed": (
        "raw.blocks",
        lambda rows: blocks(rows).update(receipts_root=b"\x01" * 32),
        "block 20: receiptsRoot in the lake differ from the stored header",
    ),
    "a parent is changed": (
        "raw.blocks",
        lambda rows: blocks(rows).update(parent_hash=b"\x01" * 32),
        "block 20 is no child of block 19",
    ),
}


def test_an_honest_lake_holds(a_lake: Lake, home: Settings) -> None:
    (row,) = audit(home, a_lake, "devnet")
    assert (row.ok, row.from_block, row.to_block, row.blocks, row.logs) == (
        True,
        0,
        31,
        32,
        31,
    )  # the token's own OwnershipTransferred
    assert (row.level, row.levels, row.header_ok, row.bloom_ok) == ("P3", {"P3": 32}, 32, 32)
    (part,) = audit(home, a_lake, 1337, first=10, last=12)
    assert (part.from_block, part.to_block, part.blocks, part.logs) == (10, 12, 3, 3)


@pytest.mark.parametrize(("table", "change", "said"), TAMPERS.values(), ids=TAMPERS)
def test_what_was_changed_is_named(
    table: str, change: Callable[[Rows], Any], said: str, a_lake: Lake, home: Settings, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(a_lake.root, tmp_path / "copy")
    lake = Lake(tmp_path / "copy")
    held = lake.table(table)
    rows = held.read().to_pylist()
    change(rows)
    held.replace(pa.Table.from_pylist(rows, held.spec.schema), ALL)
    failures = [failure for row in audit(home, lake, "devnet") for failure in row.failures]
    assert any(failure.startswith(said) for failure in failures), failures


def test_a_range_without_blocks_says_so(a_lake: Lake, home: Settings) -> None:
    with pytest.raises(BadSetting, match="holds no block of base in that range; run guelta follow"):
        audit(home, a_lake, "base")
