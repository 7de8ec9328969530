"""A stretch of raw logs into event tables: every log is decoded, quarantined with a reason, or not ours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from guelta.errors import Fatal
from guelta.lake.schema import Text
from indexer import tables
from indexer.decode.columnar import CHUNK, Decoded, decode
from indexer.protocols.registry import Entry, Registry, Resolution
from indexer.protocols.tables import Route
from indexer.tables import COORDINATES

Rows = npt.NDArray[np.int64]

_QUARANTINE = pa.schema([f for f in tables.QUARANTINE.schema if f.name != "month"])  # the writer derives the month
_TOPICS = ("topic0", "topic1", "topic2", "topic3")


@dataclass(frozen=True, slots=True)
class Batch:
    """``events``: rows by table name, sorted by (block_number, log_index)."""

    events: dict[str, pa.Table]
    quarantine: pa.Table
    logs: int
    not_ours: int

    @property
    def decoded(self) -> int:
        return sum(rows.num_rows for rows in self.events.values())


def decode_logs(registry: Registry, logs: pa.Table) -> Batch:
    """Decodes logs of one chain with the columns of raw.logs.

    Raises:
        Fatal: a log that was neither decoded, quarantined nor another contract's; a defect of ours.
    """
    events: dict[str, list[pa.Table]] = {}
    quarantine: list[pa.Table] = []
    not_ours = 0
    for start in range(0, logs.num_rows, CHUNK):
        chunk = logs.slice(start, CHUNK).combine_chunks()
        for rows, found in _resolved(registry, chunk):
            part = chunk if len(rows) == chunk.num_rows else chunk.take(pa.array(rows))
            if found.reason:
                said = f"no event of this address and block has {_TOPICS[0]} and this number of topics"
                quarantine.append(_refusals(part, found.table, [found.reason] * len(rows), [said] * len(rows), None))
            elif not found.candidates:
                not_ours += len(rows)
            else:
                for table, good in _decoded(part, found, quarantine):
                    events.setdefault(table, []).append(good)
    ordered = [("block_number", "ascending"), ("log_index", "ascending")]
    batch = Batch(
        {table: pa.concat_tables(parts).sort_by(ordered) for table, parts in sorted(events.items())},
        pa.concat_tables([_QUARANTINE.empty_table(), *quarantine]).sort_by(ordered),
        logs.num_rows,
        not_ours,
    )
    if batch.decoded + batch.quarantine.num_rows + not_ours != batch.logs:
        raise Fatal(
            f"chain {registry.chain_id}: {batch.decoded} decoded, {batch.quarantine.num_rows} quarantined and "
            f"{not_ours} not ours do not add up to the {batch.logs} logs read; nothing was committed, report this"
        )
    return batch


def _decoded(logs: pa.Table, found: Resolution, quarantine: list[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    if len(found.candidates) == 1:
        (route,) = found.candidates
        result = decode(route.event, logs, lenient=not found.assumed)
        yield route.table.name, _event_rows(route, logs, result)
        if result.refused:
            part = logs.take(pa.array([refusal.row for refusal in result.refused]))
            reasons, errors = zip(*((r.reason, r.error) for r in result.refused), strict=True)
            quarantine.append(_refusals(part, route.table.name, reasons, errors, route.digest))
        return
    # Several ABIs with this topic and count: a log is the one that fits strictly, and nobody's when two do.
    results = [decode(route.event, logs, lenient=False) for route in found.candidates]
    fits = np.zeros(logs.num_rows, dtype=np.int64)
    for result in results:
        fits[result.rows] += 1
    for route, result in zip(found.candidates, results, strict=True):
        alone = fits[result.rows] == 1
        mine = Decoded(result.rows[alone], result.table.filter(pa.array(alone)), ())
        yield route.table.name, _event_rows(route, logs, mine)
    table, names = found.candidates[0].table.name, ", ".join(route.table.name for route in found.candidates)
    several = np.flatnonzero(fits > 1)
    if len(several):
        said = ["ambiguous_abi"] * len(several), [f"fits {names}"] * len(several)
        quarantine.append(_refusals(logs.take(pa.array(several)), table, *said, None))
    none = [refusal for refusal in results[0].refused if fits[refusal.row] == 0]
    if none:
        part = logs.take(pa.array([refusal.row for refusal in none]))
        quarantine.append(_refusals(part, table, [r.reason for r in none], [r.error for r in none], None))


def _event_rows(route: Route, logs: pa.Table, result: Decoded) -> pa.Table:
    part = logs if len(result.rows) == logs.num_rows else logs.take(pa.array(result.rows))
    digest = pa.repeat(pa.scalar(route.digest, Text), part.num_rows)
    values = {name: result.table[name] for name in result.table.column_names}
    return pa.table({**{name: part[name] for name in COORDINATES}, **values, "abi_digest": digest}).select(
        [name for name in route.table.schema.names if name != "month"]
    )


def _refusals(
    logs: pa.Table, table: str, reasons: Sequence[str], errors: Sequence[str], digest: str | None
) -> pa.Table:
    said = {
        "table_name": pa.repeat(pa.scalar(table, Text), logs.num_rows),
        "reason": pa.array(reasons, Text),
        "error": pa.array(errors, Text),
        "abi_digest": pa.array([digest] * logs.num_rows, Text),
    }
    return pa.table([said[f.name] if f.name in said else logs[f.name] for f in _QUARANTINE], schema=_QUARANTINE)


def _resolved(registry: Registry, logs: pa.Table) -> Iterator[tuple[Rows, Resolution]]:
    """Rows by what they may be. Python sees each (address, topic0, topic count) once, not each log."""
    address, addresses = _codes(logs["address"])
    topic, topics = _codes(logs["topic0"])
    count = np.sum([pc.is_valid(logs[name]).to_numpy(zero_copy_only=False) for name in _TOPICS], axis=0)
    combined = (address * (len(topics) + 1) + topic + 1) * 5 + count
    _, first, group = np.unique(combined, return_index=True, return_inverse=True)
    order = np.argsort(group, kind="stable")
    bounds = np.searchsorted(group[order], np.arange(len(first) + 1))
    blocks, indexes = logs["block_number"].to_numpy(), logs["log_index"].to_numpy()
    found: dict[tuple[object, ...], tuple[Resolution, list[Rows]]] = {}
    for at, row in enumerate(first):
        rows = order[bounds[at] : bounds[at + 1]]
        topic0 = topics[topic[row]] if topic[row] >= 0 else None
        entries = registry.entries.get(addresses[address[row]], ())
        for entry, some in _by_entry(entries, rows, blocks[rows], indexes[rows]):
            resolution = registry.resolve(entry, topic0, int(count[row]))
            same = (tuple(map(id, resolution.candidates)), resolution.assumed, resolution.reason, resolution.table)
            found.setdefault(same, (resolution, []))[1].append(some)
    for resolution, parts in found.values():
        yield np.sort(np.concatenate(parts)), resolution


def _by_entry(entries: Sequence[Entry], rows: Rows, blocks: Rows, indexes: Rows) -> Iterator[tuple[Entry | None, Rows]]:
    place = blocks * 2**31 + indexes
    left = np.ones(len(rows), dtype=bool)
    for entry in entries:
        covered = place >= entry.start[0] * 2**31 + entry.start[1]
        if entry.end is not None:
            covered &= place <= entry.end[0] * 2**31 + entry.end[1]
        if covered.any():
            yield entry, rows[covered]
        left &= ~covered
    if left.any():
        yield None, rows[left]


def _codes(column: pa.ChunkedArray) -> tuple[Rows, list[bytes]]:
    encoded = pa.chunked_array(column).combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return codes, encoded.dictionary.to_pylist()
