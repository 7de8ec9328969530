"""The operator's step after a rewrite below finality: forget everything above a block, and follow on from there."""

from guelta.errors import BadSetting
from guelta.lake import Cursor, Lake, eq, gt, le
from indexer import chains, tables
from indexer.store import STREAMS

_REMEMBERED = 64


def rewind(lake: Lake, chain: str | int, to: int) -> dict[str, int]:
    """Drop the rows of ``chain`` above block ``to``, final or not; answers the rows dropped by table.

    Logs first: their cursor is the truth, and a crash in between is repaired by the next ``follow``.

    Raises:
        BadSetting: the chain was never followed, or ``to`` is no block of it below its end.
    """
    known = chains.chain(chain)
    if not lake.exists(tables.LOGS.name) or lake.table(tables.LOGS.name).cursor(f"{known.id}:logs") is None:
        raise BadSetting(f"chain {known.name} was never followed into {lake.root}; there is nothing to rewind")
    mine = eq("chain_id", known.id)
    kept = lake.table(tables.BLOCKS.name).read(mine & le("block_number", to) & gt("block_number", to - _REMEMBERED))
    last = kept.sort_by([("block_number", "ascending")]).to_pylist()
    if not last or last[-1]["block_number"] != to:
        raise BadSetting(f"block {to} of {known.name} is not in the lake; name one that raw.blocks holds")
    dropped = {}
    for name, spec in reversed(STREAMS.items()):
        table, app = lake.table(spec.name), f"{known.id}:{name}"
        cursor = table.cursor(app)
        if cursor is None or cursor.meta["to"] <= to:
            continue
        above = mine & gt("block_number", to)
        dropped[spec.name] = table.read(above).num_rows
        meta = cursor.meta | {
            "from": to + 1,
            "to": to,
            "to_hash": "0x" + last[-1]["block_hash"].hex(),
            "finalized": min(cursor.meta["finalized"], to),
            "window": [[block["block_number"], "0x" + block["block_hash"].hex()] for block in last],
            "seconds": [int(block["block_time"].timestamp()) for block in last],
            "since": None,
            "fork": to,
            "rewound": True,
        }
        table.replace(spec.schema.empty_table(), above, cursor=Cursor(app, cursor.n + 1, meta))
    heads = lake.table(tables.HEADS.name)
    heads.replace(tables.HEADS.schema.empty_table(), mine)  # finalized falls only here; the next follow writes it anew
    return dropped
