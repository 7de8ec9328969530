"""Check indexed blocks again, without a network: what the lake holds must still prove what was written about it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guelta.errors import BadSetting
from guelta.lake import Lake, Where, eq, ge, le
from guelta.settings import Settings
from indexer import chains, proof, verify
from indexer.chains import Chain
from indexer.headers import runs

_AT_ONCE = 2_000  # blocks

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One stretch of consecutive blocks. ``failures`` is empty where everything still holds."""

    chain_id: int
    from_block: int
    to_block: int
    blocks: int
    logs: int
    level: str  # the lowest stored, of complete blocks; P0 where none is complete
    levels: dict[str, int]
    header_ok: int  # blocks whose stored header hashes to the block's hash
    root_ok: int  # blocks whose receipts root verified when they were read; the root needs the receipts again
    bloom_ok: int  # blocks whose logs give exactly the header's bloom
    incomplete: tuple[int, ...]
    waivers: tuple[str, ...]
    failures: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.failures


def audit(
    settings: Settings, lake: Lake, chain: str | int, first: int | None = None, last: int | None = None
) -> list[AuditRow]:
    """Recompute header hashes, parent links and blooms of ``first``..``last`` from ``raw.blocks`` and ``raw.logs``.

    Raises:
        BadSetting: the lake holds no block of that chain in this range.
    """
    del settings  # nothing is asked of anyone
    known = chains.chain(chain)
    within = eq("chain_id", known.id)
    if first is not None:
        within &= ge("block_number", first)
    if last is not None:
        within &= le("block_number", last)
    blocks = lake.table("raw.blocks").read(within) if lake.exists("raw.blocks") else None
    if blocks is None or blocks.num_rows == 0:
        raise BadSetting(f"the lake {lake.root} holds no block of {known.name} in that range; run guelta follow first")
    rows = sorted(blocks.to_pylist(), key=lambda block: int(block["block_number"]))
    found = []
    for stretch in _stretches(rows):
        span = ge("block_number", stretch[0]["block_number"]) & le("block_number", stretch[-1]["block_number"])
        found.append(_audited(known, stretch, _logs(lake, eq("chain_id", known.id) & span)))
    return found


def _stretches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Consecutive numbers, cut so that memory stays flat; two rows of one number stay together, to be named."""
    numbers = sorted({row["block_number"] for row in rows})
    by_number = defaultdict(list)
    for row in rows:
        by_number[row["block_number"]].append(row)
    for run in runs(numbers):
        for i in range(0, len(run), _AT_ONCE):
            yield [row for number in run[i : i + _AT_ONCE] for row in by_number[number]]


def _logs(lake: Lake, within: Where) -> dict[bytes, list[dict[str, Any]]]:
    """Addresses and topics by block hash, as hex text."""
    columns = ["block_hash", "log_index", "address", "topic0", "topic1", "topic2", "topic3"]
    by_block = defaultdict(list)
    for row in lake.table("raw.logs").read(within).select(columns).to_pylist():
        topics = ["0x" + row[f"topic{k}"].hex() for k in range(4) if row[f"topic{k}"] is not None]
        by_block[row["block_hash"]].append({"address": "0x" + row["address"].hex(), "topics": topics})
    return by_block


def _audited(chain: Chain, blocks: Sequence[Row], logs: Mapping[bytes, list[dict[str, Any]]]) -> AuditRow:
    failures: list[str] = []
    header_ok = bloom_ok = 0
    before: Row | None = None
    for block in blocks:
        number = block["block_number"]
        if before and before["block_number"] == number:
            failures.append(f"block {number} stands twice, under two hashes")
        if before and before["block_number"] == number - 1 and block["parent_hash"] != before["block_hash"]:
            failures.append(f"block {number} is no child of block {number - 1} in the lake")
        before = block
        hashes = _header(block, failures)
        header_ok += hashes
        if block["header_ok"] and not hashes:
            failures.append(f"block {number}: the stored header no longer hashes to {block['block_hash'].hex()}")
        bloom_ok += _bloom(chain, block, logs.get(block["block_hash"], []), failures)
    strangers = sorted(set(logs) - {block["block_hash"] for block in blocks})
    failures += [
        f"raw.logs holds {len(logs[one])} logs of block hash 0x{one.hex()}, which is no block" for one in strangers
    ]
    complete = [block["proof_level"] for block in blocks if block["complete"]]
    return AuditRow(
        chain_id=chain.id,
        from_block=blocks[0]["block_number"],
        to_block=blocks[-1]["block_number"],
        blocks=len(blocks),
        logs=sum(map(len, logs.values())),
        level=verify.lowest(complete),
        levels={level: n for level in verify.LEVELS if (n := [b["proof_level"] for b in blocks].count(level))},
        header_ok=header_ok,
        root_ok=sum(1 for block in blocks if block["root_ok"]),
        bloom_ok=bloom_ok,
        incomplete=tuple(block["block_number"] for block in blocks if not block["complete"]),
        waivers=tuple(verify.waived_between(chain, blocks[0]["block_number"], blocks[-1]["block_number"])),
        failures=tuple(failures),
    )


def _header(block: Row, failures: list[str]) -> bool:
    """The stored header hashes to the block's hash, and says what the columns say."""
    encoded = block["header_rlp"]
    if encoded is None:
        return False
    said = proof.read_header(encoded)
    columns = {
        "number": block["block_number"],
        "parentHash": block["parent_hash"],
        "receiptsRoot": block["receipts_root"],
        "logsBloom": block["logs_bloom"],
        "timestamp": int(block["block_time"].timestamp()),
    }
    wrong = [name for name, value in columns.items() if said[name] != value]
    if wrong:
        failures.append(f"block {block['block_number']}: {', '.join(wrong)} in the lake differ from the stored header")
    return bool(proof.keccak(encoded) == block["block_hash"])


def _bloom(chain: Chain, block: Row, logs: Sequence[dict[str, Any]], failures: list[str]) -> bool:
    """The block's logs give its bloom. A log that is missing, added or changed in address or topics shows here."""
    number, counted = block["block_number"], block["log_count"] or 0
    if len(logs) != counted:
        failures.append(f"block {number}: {counted} logs were indexed, raw.logs holds {len(logs)}")
    bloom = proof.logs_bloom(logs)
    exact = bool(bloom == block["logs_bloom"])
    if chain.receipts != "all":  # its header covers fewer logs than were served: the bloom says nothing about those
        return exact
    if block["bloom_ok"] and not exact:
        failures.append(f"block {number}: the logs in raw.logs no longer give the header's bloom")
    if not proof.is_subset(bloom, block["logs_bloom"]) and not chain.waived("bloom", number) and not block["bloom_ok"]:
        failures.append(f"block {number}: raw.logs holds a log that the header's bloom excludes")
    return exact
