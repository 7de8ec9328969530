"""What is true of a chain, whichever endpoint serves it: its id, its finality, and what cannot be proven on it."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from guelta.errors import BadSetting

FILE = Path(__file__).with_name("chains.toml")

Check = Literal["header_hash", "receipts_root", "bloom_exact", "bloom", "receipt_count", "log_index"]
ReceiptRule = Literal["all", "polygon_state_sync", "hyperliquid_system"]


class Native(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    symbol: str
    decimals: int


class Finality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``tag``: the node's finalized block, ``depth`` where it has none; ``lag``: how far an instant head is trusted."""

    kind: Literal["tag", "depth", "instant"]
    depth: int = 0
    lag: int = 0


class Waiver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    check: Check
    reason: str
    source: str
    first: int = 0
    last: int | None = None

    def covers(self, check: Check, number: int) -> bool:
        return self.check == check and self.first <= number and (self.last is None or number <= self.last)


class Chain(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    id: int
    title: str
    native: Native
    finality: Finality
    source: str
    block_seconds: int = 2  # how often to look for a new head
    commit_blocks: int = 200  # finalized blocks are committed in cuts at multiples of this number
    receipts: ReceiptRule = "all"  # which receipts the root is made of
    waivers: tuple[Waiver, ...] = ()

    @property
    def caip2(self) -> str:
        return f"eip155:{self.id}"

    def waived(self, check: Check, number: int) -> bool:
        return any(waiver.covers(check, number) for waiver in self.waivers)

    def proof_ceiling(self, *, gaps: bool = False) -> str:
        """The best level that any block of this chain can reach (21-chain §3.1); recordings with gaps stop at P2c."""
        whole = {waiver.check for waiver in self.waivers if waiver.last is None}
        if "receipts_root" in whole:
            return "P1"
        return "P2c" if gaps or "header_hash" in whole else "P3"


def chain(name: str | int) -> Chain:
    """The chain of that name or id; ``recorded-<id>`` names a chain that only a recording knows.

    Raises:
        BadSetting: no table of ``chains.toml`` has this name or id.
    """
    known = chains()
    if isinstance(name, int) or name.isdigit():
        return chain_of(int(name))
    if name in known:
        return known[name]
    if name.startswith("recorded-") and name.removeprefix("recorded-").isdigit():
        return chain_of(int(name.removeprefix("recorded-")))
    raise BadSetting(f"no chain is named {name!r}; known: {', '.join(known)}; add a table to {FILE.name} for a new one")


def chain_of(chain_id: int) -> Chain:
    """The chain with that id; one that no table names is a recorded chain of which only the id is known."""
    for known in chains().values():
        if known.id == chain_id:
            return known
    return Chain(
        name=f"recorded-{chain_id}",
        id=chain_id,
        title=f"Chain {chain_id} (recorded)",
        native=Native("?", 18),
        finality=Finality("instant"),
        source="only a recording names this chain",
    )


@cache
def chains() -> Mapping[str, Chain]:
    return read(FILE.read_text("utf-8"))


def read(text: str) -> dict[str, Chain]:
    """The chains of one TOML text, by name.

    Raises:
        BadSetting: an unknown key, a wrong type, or two chains with one id.
    """
    found: dict[str, Chain] = {}
    for name, values in tomllib.loads(text).items():
        entry = _convert(name, values)
        twin = next((other.name for other in found.values() if other.id == entry.id), None)
        if twin:
            raise BadSetting(f"chains {twin} and {name} both say id {entry.id}; a chain id belongs to one chain")
        found[name] = entry
    return found


def _convert(name: str, values: Any) -> Chain:
    try:
        return msgspec.convert({**values, "name": name}, Chain)
    except (msgspec.ValidationError, TypeError) as error:
        raise BadSetting(f"chain {name}: {error}; see the comments at the top of {FILE.name}") from error
