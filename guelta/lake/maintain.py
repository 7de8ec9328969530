"""Keep tables quick to open: compact small files, write checkpoints, remove what no version needs.

Every maintenance commit carries the newest cursor of each app forward, because log clean-up drops commit metadata.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deltalake import CommitProperties, WriterProperties

from guelta.lake import Lake
from guelta.lake.commit import carried, open_table

_TARGET_BYTES = 128 * 2**20
_SMALL_FILES = 64  # a table below this many files is quick enough as it is


@dataclass(frozen=True, slots=True)
class Maintained:
    table: str
    files_before: int
    files_after: int
    removed: int


def maintain(
    lake: Lake,
    names: Sequence[str] = (),
    *,
    pins: Mapping[str, Sequence[int]] | None = None,
    keep_hours: int | None = None,
) -> list[Maintained]:
    """Compact tables of many small files and vacuum all, keeping pinned versions readable.

    Args:
        lake: whose tables.
        names: of these tables; none is all.
        pins: versions that reports were made from, per table.
        keep_hours: how long replaced files stay for readers; default what each table was made with.
    """
    pinned = pins or {}
    return [_one(lake, name, list(pinned.get(name, ())), keep_hours) for name in (names or lake.tables())]


def _one(lake: Lake, name: str, pinned: list[int], keep_hours: int | None) -> Maintained:
    table = lake.table(name)
    handle = open_table(table.uri, lake.storage)
    before = len(handle.file_uris())
    carry = CommitProperties(custom_metadata=carried(handle))
    if before > _SMALL_FILES:
        handle.optimize.compact(
            target_size=_TARGET_BYTES,
            writer_properties=WriterProperties(compression="ZSTD", compression_level=3),
            commit_properties=carry,
        )
        handle = open_table(table.uri, lake.storage)
    handle.create_checkpoint()
    carry = CommitProperties(custom_metadata=carried(handle))
    gone = handle.vacuum(
        retention_hours=table.spec.file_days * 24 if keep_hours is None else keep_hours,
        enforce_retention_duration=keep_hours is None,
        dry_run=False,
        full=True,
        keep_versions=pinned or None,
        commit_properties=carry,
    )
    return Maintained(name, before, len(open_table(table.uri, lake.storage).file_uris()), len(gone))
