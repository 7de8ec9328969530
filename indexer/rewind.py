"""The operator's step after a rewrite below finality: forget everything above a block, and follow on from there."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from guelta.errors import BadSetting
from guelta.lake import Cursor, Lake, Table, Where, eq, gt, le
from indexer import chains, tables
from indexer.chains import Chain
from indexer.store import STREAMS

_REMEMBERED = 64


def above(lake: Lake, chain: str | int, to: int) -> dict[str, int]:
    """How many rows ``rewind`` would drop, by table.

    Raises:
        BadSetting: the chain was never followed, or ``to`` is no block of it below its end.
    """
    known = _followed(lake, chain)
    _kept(lake, known, to)
    where = (eq("chain_id", known.id) & gt("block_number", to)).sql()
    names = [spec.name for spec in reversed(STREAMS.values())]
    with lake.duck(names) as con:
        found = [con.execute(f"select count(*) from {name} where {where}").fetchone() for name in names]
    return {name: int(row[0]) for name, row in zip(names, found, strict=True) if row}


def rewind(lake: Lake, chain: str | int, to: int) -> dict[str, int]:
    """Drop the rows of ``chain`` above block ``to``, final or not; answers the rows dropped by table.

    What readers hold for final goes first, then the logs: their cursor is the truth, and a crash in between is
    repaired by the next ``follow``, or by saying the same again. Decoded tables go back with the next ``derive``.

    Raises:
        BadSetting: the chain was never followed, or ``to`` is no block of it below its end.
    """
    known = _followed(lake, chain)
    last = _kept(lake, known, to)
    mine = eq("chain_id", known.id)
    _lower(lake.table(tables.HEADS.name), mine, last)
    dropped = {}
    for name, spec in reversed(STREAMS.items()):
        table, app = lake.table(spec.name), f"{known.id}:{name}"
        cursor = table.cursor(app)
        if cursor is None or cursor.meta["to"] <= to:
            continue
        higher = mine & gt("block_number", to)
        dropped[spec.name] = table.read(higher).num_rows
        meta = cursor.meta | {
            "from": to + 1,
            "to": to,
            "to_hash": _hex(last[-1]),
            "finalized": min(cursor.meta["finalized"], to),
            "window": [[block["block_number"], _hex(block)] for block in last],
            "seconds": [int(block["block_time"].timestamp()) for block in last],
            "since": None,
            "fork": to,
            "rewound": True,
        }
        table.replace(spec.schema.empty_table(), higher, cursor=Cursor(app, cursor.n + 1, meta))
    return dropped


def _followed(lake: Lake, chain: str | int) -> Chain:
    known = chains.chain(chain)
    if not lake.exists(tables.LOGS.name) or lake.table(tables.LOGS.name).cursor(f"{known.id}:logs") is None:
        raise BadSetting(f"chain {known.name} was never followed into {lake.root}; there is nothing to rewind")
    return known


def _kept(lake: Lake, known: Chain, to: int) -> list[dict[str, Any]]:
    """The last blocks that stay, ascending; ``to`` is the last of them."""
    place = eq("chain_id", known.id) & le("block_number", to) & gt("block_number", to - _REMEMBERED)
    last = lake.table(tables.BLOCKS.name).read(place).sort_by([("block_number", "ascending")]).to_pylist()
    if not last or last[-1]["block_number"] != to:
        raise BadSetting(f"block {to} of {known.name} is not in the lake; name one that raw.blocks holds")
    return list(last)


def _lower(heads: Table, mine: Where, last: Sequence[Mapping[str, Any]]) -> None:
    """The only place where what is final falls: to the last block that stays."""
    end = last[-1]
    rows = heads.read(mine).to_pylist()
    for row in rows:
        if row["to_block"] > end["block_number"]:
            row |= {"to_block": end["block_number"], "to_hash": end["block_hash"]}
        if row["finalized_block"] > end["block_number"]:
            row |= {"finalized_block": end["block_number"], "finalized_hash": end["block_hash"]}
    heads.replace(pa.Table.from_pylist(rows, tables.HEADS.schema), mine)


def _hex(block: Mapping[str, Any]) -> str:
    return "0x" + bytes(block["block_hash"]).hex()
