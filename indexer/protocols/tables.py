"""Which table an event becomes: ``raw.<protocol>_<event>``, with the columns its ABI declares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from guelta.errors import BadSetting
from guelta.lake.schema import TableSpec, spec
from indexer import tables as chain_tables
from indexer.abi import Event
from indexer.decode.shapes import PROVENANCE, columns_of, nullable, snake_case
from indexer.protocols import Contract, Protocol

Layout = tuple[str, tuple[tuple[str, str], ...]]  # signature, columns


@dataclass(frozen=True, slots=True)
class Route:
    """Where the logs of one event go."""

    event: Event
    table: TableSpec
    digest: str  # of the event's declaration


AbiKey = tuple[str, str, bytes | None]  # protocol, contract key, implementation behind its proxy
Routes = Mapping[AbiKey, Sequence[Route]]


def event_routes(protocols: Sequence[Protocol]) -> Routes:
    """Every contract's ABI with the table of each of its events, the standards it keeps besides included.

    An event declared exactly as a standard declares it (signature, indexed, names) goes to the standard's table:
    ``raw.erc20_transfer`` holds every ERC-20 transfer. Of several events of one name in a protocol the first has the
    plain table name; the others carry the beginning of their topic.

    Raises:
        BadSetting: two protocols that would share a table name.
    """
    tables = _Tables()
    ordered = sorted(protocols, key=lambda p: not any(c.scope for c in p.contracts))  # standards first
    own: dict[AbiKey, list[Route]] = {}
    for contract in (c for p in ordered for c in p.contracts):
        for implementation, abi in [(None, contract.abi), *contract.implementations.items()]:
            key = (contract.protocol, contract.key, implementation)
            own[key] = [tables.route(contract, event) for event in abi.events]
    kept = {p.name: [r for c in p.contracts for r in own[p.name, c.key, None]] for p in protocols}
    also = {(c.protocol, c.key): [r for s in c.also for r in kept[s]] for p in protocols for c in p.contracts}
    return {key: tuple(dict.fromkeys([*some, *also[key[:2]]])) for key, some in own.items()}


def event_tables(routes: Routes) -> dict[str, TableSpec]:
    """Every event table by name."""
    return dict(sorted({r.table.name: r.table for some in routes.values() for r in some}.items()))


def event_table(name: str, event: Event) -> TableSpec:
    columns = {**chain_tables.COORDINATES, **columns_of(event), **PROVENANCE}
    return spec(
        name,
        columns,
        key=("chain_id", "block_hash", "log_index"),
        required=[column for column in columns if column not in nullable(event)],
        partition=("chain_id", "month"),
        sort=("block_number", "log_index"),
    )


class _Tables:
    def __init__(self) -> None:
        self.specs: dict[tuple[str, Layout], TableSpec] = {}  # (protocol, layout)
        self.standards: dict[tuple[Layout, tuple[bool, ...]], TableSpec] = {}
        self.owners: dict[str, str] = {t.name: "the indexer" for t in chain_tables.EVERY}

    def route(self, contract: Contract, event: Event) -> Route:
        layout = event.signature, tuple((name, str(kind)) for name, kind in columns_of(event).items())
        declared = layout, tuple(i.indexed for i in event.inputs)
        table = self.standards.get(declared)
        if table is None:
            table = self.specs.get((contract.protocol, layout)) or self._new(contract.protocol, layout, event)
            if contract.scope:
                self.standards[declared] = table
        return Route(event, table, event.digest())

    def _new(self, protocol: str, layout: Layout, event: Event) -> TableSpec:
        plain = f"raw.{protocol}_{snake_case(event.name)}"
        tries = (plain, f"{plain}_{event.topic0.hex()[:8]}", f"{plain}_{event.topic0.hex()[:8]}_{event.digest()[:8]}")
        name = next((t for t in tries if self.owners.get(t) != protocol), tries[-1])
        if name in self.owners:
            raise BadSetting(
                f"protocols {protocol} and {self.owners[name]} both make the table {name}; rename one folder"
            )
        self.owners[name] = protocol
        self.specs[protocol, layout] = table = event_table(name, event)
        return table
