"""Which ABI speaks at (chain, address, block, log): never topic0 alone, because two meanings can share one.

An entry opens at a deployment or after an ``Upgraded`` log, inside the same block, and closes where the next opens.
Standards with ``scope = "any"`` speak only where no entry does.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pyarrow as pa

from guelta.errors import BadSetting
from guelta.lake.schema import TableSpec
from indexer import tables
from indexer.protocols import Contract, Protocol
from indexer.protocols.tables import Route, Routes, event_routes, event_tables

Key = tuple[bytes | None, int]  # topic0 (None: anonymous), topic count
Place = tuple[int, int]  # block, log index

UNKNOWN = tables.LOGS.name  # quarantine's table for logs that no event table claims


@dataclass(frozen=True, slots=True)
class Entry:
    address: bytes
    start: Place
    protocol: str
    role: str
    source: str  # protocol, upgraded
    abi_digest: str | None  # None: an implementation whose ABI is unknown
    routes: Mapping[Key, tuple[Route, ...]]
    implementation: bytes | None = None
    end: Place | None = None  # the last place it covers


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An ``Upgraded(implementation)`` log: takes effect after itself."""

    address: bytes
    block: int
    log_index: int
    implementation: bytes


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a log may be. No candidate and no reason: not ours."""

    candidates: tuple[Route, ...] = ()
    assumed: bool = False  # by a standard: decoded strictly or not at all
    reason: str | None = None
    table: str = UNKNOWN


@dataclass(frozen=True, slots=True)
class Registry:
    chain_id: int
    entries: Mapping[bytes, tuple[Entry, ...]]
    anywhere: Mapping[Key, tuple[Route, ...]]
    everywhere: Mapping[Key, tuple[Route, ...]]
    tables: Mapping[str, TableSpec] = field(repr=False)
    upgradeable: frozenset[bytes] = frozenset()  # proxies whose implementations have ABIs of their own

    def resolve(self, entry: Entry | None, topic0: bytes | None, count: int) -> Resolution:
        key = (topic0, count)
        if entry is None:
            standards = self.anywhere.get(key, ()) + self.everywhere.get(key, ())
            near = _of_topic(topic0, self.anywhere, self.everywhere)
            if standards or not near:
                return Resolution(standards, assumed=True)
            return Resolution(reason="topic_count", table=near.table.name)
        if own := entry.routes.get(key) or entry.routes.get((None, count)):
            return Resolution(own)
        if standards := self.everywhere.get(key, ()):
            return Resolution(standards, assumed=True)
        if near := _of_topic(topic0, entry.routes, self.everywhere):
            return Resolution(reason="topic_count", table=near.table.name)
        return Resolution(reason="no_abi")

    def digests(self) -> dict[str, str]:
        """Table -> digest of everything that decides its rows; a change re-decodes that table alone."""
        covered = [[a.hex(), e.start, e.end] for a, es in sorted(self.entries.items()) for e in es]
        parts: dict[str, list[object]] = {name: [] for name in (*self.tables, UNKNOWN)}
        for address, entries in sorted(self.entries.items()):
            for entry in entries:
                place = [address.hex(), entry.start, entry.end]
                parts[UNKNOWN].append([*place, entry.abi_digest, sorted(_digests(entry.routes))])
                for table, digest in sorted(_digests(entry.routes)):
                    parts[table].append([*place, digest])
        for scope, routes in (("any", self.anywhere), ("every", self.everywhere)):
            for table, digest in sorted(_digests(routes)):
                parts[table].append([scope, digest, covered])
                parts[UNKNOWN].append([scope, table, digest])
        return {table: hashlib.sha256(json.dumps(part).encode()).hexdigest()[:16] for table, part in parts.items()}

    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.digests(), sort_keys=True).encode()).hexdigest()[:16]

    def contracts(self) -> pa.Table:
        """The rows of raw.contracts."""
        rows = [
            {
                "chain_id": self.chain_id,
                "address": entry.address,
                "from_block": entry.start[0],
                "from_log": entry.start[1],
                "to_block": entry.end and entry.end[0],
                "to_log": entry.end and entry.end[1],
                "protocol": entry.protocol,
                "role": entry.role,
                "implementation": entry.implementation,
                "abi_digest": entry.abi_digest,
                "source": entry.source,
            }
            for _, entries in sorted(self.entries.items())
            for entry in entries
        ]
        return pa.Table.from_pylist(rows, schema=tables.CONTRACTS.schema)


def build(
    protocols: Sequence[Protocol], chain_id: int, names: Collection[str] = (), upgrades: Iterable[Upgrade] = ()
) -> Registry:
    """The registry of one chain.

    Args:
        protocols: as loaded.
        chain_id: of the chain.
        names: what deployments may call it besides its id: its name.
        upgrades: of proxies on this chain, in order.

    Raises:
        BadSetting: one address deployed twice at the same block.
    """
    routes = event_routes(protocols)
    known = {str(chain_id), *names}
    found: dict[bytes, list[tuple[Contract, Entry]]] = {}
    for contract in (c for p in protocols for c in p.contracts):
        for deployment in (d for d in contract.deployments if d.chain in known):
            entry = Entry(
                deployment.address,
                (deployment.start, 0),
                contract.protocol,
                contract.role,
                "protocol",
                contract.abi.digest(),
                _keyed(routes[contract.protocol, contract.key, None]),
            )
            found.setdefault(deployment.address, []).append((contract, entry))
    for address, some in found.items():
        some.sort(key=lambda pair: pair[1].start)
        for (first, one), (second, other) in pairwise(some):
            if one.start == other.start:
                raise BadSetting(
                    f"0x{address.hex()} on chain {chain_id} is deployed twice from block {one.start[0]}, by "
                    f"{first.protocol}.{first.key} and {second.protocol}.{second.key}; remove one"
                )
    for upgrade in upgrades:
        _apply(found.get(upgrade.address, []), upgrade, routes)
    scoped = {
        scope: [r for p in protocols for c in p.contracts if c.scope == scope for r in routes[p.name, c.key, None]]
        for scope in ("any", "every")
    }
    entries = {address: _closed([entry for _, entry in some]) for address, some in found.items()}
    upgradeable = frozenset(address for address, some in found.items() if any(c.implementations for c, _ in some))
    return Registry(
        chain_id, entries, _keyed(scoped["any"]), _keyed(scoped["every"]), event_tables(routes), upgradeable
    )


def _apply(some: list[tuple[Contract, Entry]], upgrade: Upgrade, routes: Routes) -> None:
    """Opens the entry of an upgrade. A contract that names no implementations keeps its ABI through upgrades."""
    place = (upgrade.block, upgrade.log_index + 1)
    before = [pair for pair in some if pair[1].start < place]
    if not before or not before[-1][0].implementations:
        return
    contract, entry = before[-1]
    abi = contract.implementations.get(upgrade.implementation)
    opened = replace(
        entry,
        start=place,
        source="upgraded",
        implementation=upgrade.implementation,
        abi_digest=abi.digest() if abi else None,
        routes=_keyed(routes[contract.protocol, contract.key, upgrade.implementation]) if abi else {},
    )
    some.append((contract, opened))
    some.sort(key=lambda pair: pair[1].start)


def _closed(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    ends = [(entry.start[0], entry.start[1] - 1) for entry in entries[1:]]
    return tuple(replace(entry, end=end) for entry, end in zip(entries, [*ends, None], strict=True))


def _keyed(routes: Iterable[Route]) -> dict[Key, tuple[Route, ...]]:
    found: dict[Key, tuple[Route, ...]] = {}
    for route in dict.fromkeys(routes):
        key = (None if route.event.anonymous else route.event.topic0, route.event.topic_count)
        found[key] = (*found.get(key, ()), route)
    return found


def _of_topic(topic0: bytes | None, *maps: Mapping[Key, tuple[Route, ...]]) -> Route | None:
    """Any event of this topic, whatever its topic count."""
    return next((r for m in maps for (topic, _), some in m.items() if topic and topic == topic0 for r in some), None)


def _digests(routes: Mapping[Key, tuple[Route, ...]]) -> set[tuple[str, str]]:
    return {(route.table.name, route.digest) for some in routes.values() for route in some}
