"""What a block proves, and the level that gives it: 21-chain §3 as code, with each chain's waivers.

P3 the header hashes to its hash and commits to every receipt; P2c the receipts match the header, which the hash does
not bind; P1 one endpoint's answer holds together; P0 nothing was checked. The facts are kept beside the label.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from indexer import proof
from indexer.chains import Chain, Check
from indexer.rpc.pool import Suspicious
from indexer.rpc.wire import Header, LogFilter, Receipt, number, unhex

LEVELS = ("P0", "P1", "P2", "P2c", "P3")  # ascending; P2 and P2c guard against different things


@dataclass(frozen=True, slots=True)
class Facts:
    """The columns of ``raw.blocks`` that checking adds."""

    header_rlp: bytes | None
    log_count: int | None
    proof_level: str
    header_ok: bool | None
    root_ok: bool | None
    bloom_ok: bool | None
    complete: bool

    def columns(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def lowest(levels: Sequence[str]) -> str:
    return min(levels, key=LEVELS.index, default="P0")


def examine(
    chain: Chain, header: Header, receipts: Sequence[Receipt] | None, *, gaps: bool = False, absent: bool = False
) -> Facts:
    """What this header and these receipts prove together.

    Args:
        chain: whose waivers apply.
        header: as ``eth_getBlockByNumber`` answers it.
        receipts: of every transaction, or None where none were served.
        gaps: the block is part of a recording whose neighbours are missing: no anchor, at most P2c.
        absent: no receipts were asked for, because the header's bloom proves that no wanted log is in the block.
    """
    height = number(header["number"])
    encoded = proof.header_rlp(header)
    header_ok = encoded is not None and proof.keccak(encoded) == unhex(header["hash"])
    if absent:
        return Facts(encoded, 0, _capped("P3" if header_ok else "P1", gaps), header_ok, None, None, complete=True)
    if receipts is None:
        return Facts(encoded, None, "P0", header_ok, None, None, complete=False)
    counted = hashed_receipts(chain, header, receipts)
    root_ok = proof.receipts_root(counted) == unhex(header["receiptsRoot"])
    bloom = proof.logs_bloom(log for receipt in counted for log in receipt["logs"])
    header_bloom = unhex(header["logsBloom"])
    subset = proof.is_subset(bloom, header_bloom) or chain.waived("bloom", height)
    level = "P0"
    if root_ok and not chain.waived("receipts_root", height):
        level = "P3" if header_ok else "P2c"
    elif subset:
        level = "P1"
    logs = sum(len(receipt["logs"]) for receipt in receipts)
    return Facts(encoded, logs, _capped(level, gaps), header_ok, root_ok, bloom == header_bloom, complete=True)


def failures(chain: Chain, header: Header, receipts: Sequence[Receipt], facts: Facts) -> list[tuple[Check, str]]:
    """Every check that failed and is not waived, with a sentence."""
    height = number(header["number"])
    transactions = len(header.get("transactions", ()))
    checks: list[tuple[Check, bool, str]] = [
        ("header_hash", bool(facts.header_ok), f"expected keccak(header) {header['hash']}, found another hash"),
        ("receipt_count", len(receipts) == transactions, f"expected {transactions} receipts, found {len(receipts)}"),
        ("receipts_root", bool(facts.root_ok), f"expected the receipts of root {header['receiptsRoot']}, found others"),
        ("bloom_exact", bool(facts.bloom_ok), "the logs do not give the header's bloom"),
    ]
    return [
        (check, f"block {height}: {said}") for check, ok, said in checks if not ok and not chain.waived(check, height)
    ]


def demand(chain: Chain, kept: dict[str, Facts]) -> Callable[[Header, Sequence[Receipt]], None]:
    """A check for live endpoints: refuses receipts that fail a proof this chain can give, and keeps what they prove."""

    def check(header: Header, receipts: Sequence[Receipt]) -> None:
        facts = examine(chain, header, receipts)
        failed = failures(chain, header, receipts, facts)
        if failed:
            rule, said = failed[0]
            raise Suspicious(said, rule)
        kept[header["hash"]] = facts

    return check


def hashed_receipts(chain: Chain, header: Header, receipts: Sequence[Receipt]) -> list[Receipt]:
    """The receipts that the header's root and bloom cover; some chains answer more than they hash."""
    if chain.receipts == "polygon_state_sync":
        height = int(header["number"], 16).to_bytes(8, "big")
        state_sync = "0x" + proof.keccak(b"matic-bor-receipt-" + height + unhex(header["hash"])).hex()
        return [receipt for receipt in receipts if receipt["transactionHash"].lower() != state_sync]
    if chain.receipts == "hyperliquid_system":
        return [receipt for receipt in receipts if number(receipt["cumulativeGasUsed"]) > 0]
    return list(receipts)


def wants_receipts(header: Header, wanted: LogFilter) -> bool:
    """Whether the block may hold a wanted log: by its transactions when all are wanted, else by its bloom.

    Only for headers that were fetched: headers pushed over a subscription carry an empty bloom on Cosmos chains.
    """
    bloom = unhex(header["logsBloom"])
    if wanted.everything:
        return bool(header.get("transactions")) or any(bloom) or unhex(header["receiptsRoot"]) != proof.EMPTY_ROOT
    pairs = [[a, t] for a in wanted.addresses for t in wanted.topics] or [
        [x] for x in wanted.addresses or wanted.topics
    ]
    return any(proof.may_hold(bloom, *pair) for pair in pairs)


def waived_between(chain: Chain, first: int, last: int) -> list[str]:
    """The checks some waiver turns off within first..last."""
    return sorted({w.check for w in chain.waivers if w.first <= last and (w.last is None or w.last >= first)})


def _capped(level: str, gaps: bool) -> str:
    return "P2c" if gaps and level == "P3" else level
