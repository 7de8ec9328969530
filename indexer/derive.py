"""raw.logs into one table per event: rebuildable at any time, incremental by block, and reorg-aware without a node.

Every table carries its own cursor: how far its chain was derived, the last blocks with logs it was derived from, and
the digest of the declarations that decide its rows. Rows of blocks that raw.logs no longer holds are replaced in one
commit; a changed declaration re-decodes its table alone. The chain's cursor, on raw.quarantine, is committed last:
every table is whole up to its block, so a table without new rows needs no commit. It is marked open before the first
commit of a run and closed by the last: only after a run that was cut short are the tables' own cursors asked.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from guelta.errors import BadSetting, ForeignLake
from guelta.lake import Cursor, Lake, Table, TableSpec, Where, eq, ge, gt
from indexer import protocols as folders
from indexer import tables
from indexer.decode.logs import Batch, decode_logs
from indexer.decode.pinned import LOGS, PinnedLogs, Span
from indexer.protocols import Protocol, registry, tokens
from indexer.protocols.registry import UNKNOWN, Registry

Progress = Callable[[int, int | None, str], None]
Calls = Mapping[int, tokens.Call]


@dataclass(frozen=True, slots=True)
class DeriveResult:
    """What one run did on one chain: logs == decoded + quarantined + not_ours."""

    chain_id: int
    first: int  # first block read; above ``last`` where nothing was new
    last: int
    logs: int = 0
    decoded: int = 0
    quarantined: int = 0
    not_ours: int = 0
    fork: int | None = None  # the last block kept, where raw.logs had been replaced above it
    rewritten: tuple[str, ...] = ()  # tables replaced from a block on: a reorg, or a changed declaration
    tables: Mapping[str, int] = field(default_factory=dict)  # rows committed


def derive(
    lake: Lake,
    *,
    progress: Progress | None = None,
    protocols: Sequence[Protocol] | None = None,
    calls: Calls | None = None,
    anew: Sequence[str] = (),
) -> list[DeriveResult]:
    """Brings every event table of every chain up to raw.logs, pinned at one version.

    Args:
        lake: with raw.logs; without it only the empty tables are made.
        progress: told (logs done, logs in all, what).
        protocols: those of this package, unless others are given.
        calls: per chain id a reader of contracts (to, data) -> answer, asked once for tokens no protocol describes.
        anew: event tables that are dropped first; every row of theirs is in raw.logs.

    Raises:
        BadSetting: deployments or protocols that contradict each other; a name in ``anew`` that no protocol declares.
        CursorMoved: another process derives this lake now.
        ForeignLake: an ABI changed the columns of an event table that has rows.
    """
    known = folders.shipped() if protocols is None else tuple(protocols)
    for spec in (tables.CONTRACTS, tables.QUARANTINE, tables.TOKENS):
        lake.create(spec)
    declared = registry.build(known, 0).tables
    if unknown := [name for name in anew if name not in declared]:
        raise BadSetting(f"no protocol declares {', '.join(unknown)}; event tables are {', '.join(declared)}")
    for name in anew:
        lake.drop(name)
    events = {name: _create(lake, spec) for name, spec in declared.items()}
    if not lake.exists(LOGS):
        return []
    return [
        _Chain(lake, known, events, chain_id, names, (calls or {}).get(chain_id)).run(progress)
        for chain_id, names in _chains(lake).items()
    ]


def together(results: Iterable[DeriveResult]) -> list[DeriveResult]:
    """What several runs did, as one result for each chain."""
    whole: dict[int, DeriveResult] = {}
    for one in results:
        had = whole.get(one.chain_id)
        whole[one.chain_id] = _added(had, one) if had else one
    return [whole[chain_id] for chain_id in sorted(whole)]


def _added(one: DeriveResult, other: DeriveResult) -> DeriveResult:
    return DeriveResult(
        one.chain_id,
        min(one.first, other.first),
        other.last,
        one.logs + other.logs,
        one.decoded + other.decoded,
        one.quarantined + other.quarantined,
        one.not_ours + other.not_ours,
        min((fork for fork in (one.fork, other.fork) if fork is not None), default=None),
        tuple(sorted({*one.rewritten, *other.rewritten})),
        dict(sorted((Counter(one.tables) + Counter(other.tables)).items())),
    )


def _create(lake: Lake, spec: TableSpec) -> Table:
    try:
        return lake.create(spec)
    except ForeignLake as error:
        have = lake.table(spec.name).spec.schema.names
        raise ForeignLake(
            f"{spec.name} has the columns of another ABI: it lacks {_less(spec.schema.names, have)} and has "
            f"{_less(have, spec.schema.names)} too many; raw.logs holds every log, so decode it anew: "
            f"guelta derive --anew {spec.name}"
        ) from error


def _less(one: Sequence[str], other: Sequence[str]) -> str:
    return ", ".join(name for name in one if name not in other) or "nothing"


def _chains(lake: Lake) -> dict[int, list[str]]:
    """Chain ids with what deployments may call them: of raw.chains, and of the logs themselves."""
    named = lake.table(tables.CHAINS.name).read().to_pylist() if lake.exists(tables.CHAINS.name) else []
    found: dict[int, list[str]] = {row["chain_id"]: [row["name"], row["caip2"]] for row in named}
    with lake.duck([LOGS]) as con:
        for (chain_id,) in con.sql(f"select distinct chain_id from {LOGS}").fetchall():
            found.setdefault(chain_id, [])
    return dict(sorted(found.items()))


@dataclass(slots=True)
class _Plan:
    """Where one table goes on: rows up to ``base`` stay, those above go with its next commit."""

    app: str
    n: int
    base: int
    to: int  # the table's rows end at or below this block
    refused_n: int  # commits of this app to raw.quarantine
    refused_to: int  # the last block raw.quarantine has for this table

    @property
    def drop(self) -> bool:
        return self.to > self.base

    def known(self, digest: str) -> list[Any]:
        return [digest, self.n, self.to, self.refused_n]


class _Chain:
    def __init__(
        self,
        lake: Lake,
        known: Sequence[Protocol],
        events: Mapping[str, Table],
        chain_id: int,
        names: Sequence[str],
        call: tokens.Call | None,
    ) -> None:
        self.events = events
        self.lake, self.known, self.chain_id, self.names, self.call = lake, known, chain_id, names, call
        self.quarantine = lake.table(tables.QUARANTINE.name)
        self.app = f"derive:{chain_id}:{UNKNOWN}"
        # The filter is read before the version: one that grows in between makes the next run start over.
        followed = lake.table(LOGS).cursor(f"{chain_id}:logs")
        self.filter = followed.meta.get("filter") if followed else None
        self.version = lake.table(LOGS).version()

    def run(self, progress: Progress | None) -> DeriveResult:
        last = self.quarantine.cursor(self.app)
        seen = last.meta if last else {}
        nothing = DeriveResult(self.chain_id, seen.get("to", -1) + 1, seen.get("to", -1))
        declared = registry.build(self.known, self.chain_id, self.names)
        self.anew = self._made_anew(seen)
        closed = bool(last) and not seen.get("open") and not self.anew
        if closed and seen["source_version"] == self.version and seen["declared"] == declared.digest():
            return nothing
        with self.lake.duck([LOGS], pin={LOGS: self.version}) as con:
            self.logs = PinnedLogs(con, self.chain_id)
            upgrades = self.logs.upgrades(declared.upgradeable)
            chosen = registry.build(self.known, self.chain_id, self.names, upgrades)
            kept = self.logs.shared(seen.get("window", ())) if seen.get("filter") == self.filter else -1
            if closed and seen["digest"] == chosen.digest() and seen["to"] == self.logs.head == kept:
                return nothing
            return self._derive(chosen, declared.digest(), last, kept, progress)

    def _derive(
        self, chosen: Registry, declared: str, last: Cursor | None, kept: int, progress: Progress | None
    ) -> DeriveResult:
        seen = last.meta if last else {}
        digests = chosen.digests()
        refused = self._refused_up_to()
        plans = {name: self._plan(name, digests[name], kept, seen, refused.get(name, -1)) for name in chosen.tables}
        same = seen.get("tables", {}).get(UNKNOWN, [None])[0] == digests[UNKNOWN]
        n = last.n if last else 0
        unclaimed = _Plan(self.app, n, kept if same else -1, -1, n, refused.get(UNKNOWN, -1))
        if last:
            unclaimed.refused_n += 1
            open_ = Cursor(self.app, unclaimed.refused_n, {**seen, "open": True})
            self.quarantine.append(_nothing(self.quarantine), cursor=open_)
        first = min(plan.base for plan in (*plans.values(), unclaimed)) + 1
        rewritten = tuple(sorted(name for name, plan in plans.items() if plan.drop))
        counts: Counter[str] = Counter()
        totals: Counter[str] = Counter()
        leftover = [_nothing(self.quarantine)]
        spans = self.logs.spans(first)
        for span in spans:
            batch = decode_logs(chosen, self.logs.read(span))
            for name, plan in plans.items():
                counts[name] += self._commit(name, plan, digests[name], batch, span)
            leftover.append(_above(_of(batch.quarantine, UNKNOWN), unclaimed.base))
            totals["logs"] += batch.logs
            totals["decoded"] += batch.decoded
            totals["quarantined"] += batch.quarantine.num_rows
            totals["not_ours"] += batch.not_ours
            if progress:
                progress(span.logs_so_far, spans[-1].logs_so_far, f"decoding chain {self.chain_id}")
        if seen.get("open", True) or seen["digest"] != chosen.digest() or counts.total() or rewritten:
            self._describe(chosen)
        state = {
            **self._meta(spans[-1]),
            "declared": declared,
            "digest": chosen.digest(),
            "tables": {UNKNOWN: [digests[UNKNOWN]], **{name: p.known(digests[name]) for name, p in plans.items()}},
            "open": False,
        }
        self._refuse(UNKNOWN, unclaimed, pa.concat_tables(leftover), state)
        return DeriveResult(
            self.chain_id,
            first,
            self.logs.head,
            totals["logs"],
            totals["decoded"],
            totals["quarantined"],
            totals["not_ours"],
            kept if kept < seen.get("to", -1) else None,
            rewritten,
            {name: rows for name, rows in sorted(counts.items()) if rows},
        )

    def _plan(self, name: str, digest: str, kept: int, seen: Mapping[str, Any], refused_to: int) -> _Plan:
        app = f"derive:{self.chain_id}:{name}"
        known: Any = None if name in self.anew else seen.get("tables", {}).get(name)
        same = known is not None and known[0] == digest and seen.get("filter") == self.filter
        if same and not seen["open"]:
            return _Plan(app, known[1], kept, known[2], known[3], refused_to)
        held, refused = self.lake.table(name).cursor(app), self.quarantine.cursor(app)
        n, refused_n = (cursor.n if cursor else 0 for cursor in (held, refused))
        to = held.meta["to"] if held else -1
        if same and known[1] == n and known[3] == refused_n:
            base = kept
        else:  # a run was cut short, or the declaration changed: what its own commits were made from decides
            made = [cursor.meta for cursor in (held, refused) if cursor]
            valid = held and all(m["abi_digest"] == digest and m["filter"] == self.filter for m in made)
            base = min(self.logs.shared(meta["window"]) for meta in made) if valid else -1
        return _Plan(app, n, base, to, refused_n, refused_to)

    def _commit(self, name: str, plan: _Plan, digest: str, batch: Batch, span: Span) -> int:
        """One table's rows of a span, what was refused for it first. Returns the rows committed."""
        if span.last <= plan.base and not span.final:
            return 0
        meta = self._meta(span) | {"abi_digest": digest}
        refused = _above(_of(batch.quarantine, name), plan.base)
        if refused.num_rows or plan.refused_to > plan.base:
            self._refuse(name, plan, refused, meta)
        table = self.lake.table(name)
        rows = _above(batch.events[name], plan.base) if name in batch.events else _nothing(table)
        if not rows.num_rows and not plan.drop:
            return 0
        plan.n += 1
        cursor = Cursor(plan.app, plan.n, meta)
        if plan.drop:
            table.replace(rows, self._place(table, plan.base, rows), cursor=cursor)
        else:
            table.append(rows, cursor=cursor)
        plan.to = plan.base = span.last
        return int(rows.num_rows)

    def _refuse(self, name: str, plan: _Plan, rows: pa.Table, meta: Mapping[str, Any]) -> None:
        plan.refused_n += 1
        cursor = Cursor(plan.app, plan.refused_n, dict(meta))
        if plan.refused_to > plan.base:
            place = self._place(self.quarantine, plan.base, rows) & eq("table_name", name)
            self.quarantine.replace(rows, place, cursor=cursor)
            plan.refused_to = -1
        else:
            self.quarantine.append(rows, cursor=cursor)

    def _place(self, table: Table, base: int, rows: pa.Table) -> Where:
        """The rows of this chain above ``base``, bounded by month so that older files are not read."""
        chain = eq("chain_id", self.chain_id)
        if base < 0:
            return chain
        above = chain & gt("block_number", base)
        with self.lake.duck([table.name]) as con:
            ((held,),) = con.sql(f"select min(day) from {table.name} where {above.sql()}").fetchall()
        days = [day for day in (held, pc.min(rows["day"]).as_py()) if day is not None]
        return above & ge("month", min(days).replace(day=1)) if days else above

    def _describe(self, chosen: Registry) -> None:
        """raw.contracts and raw.tokens of this chain, where they would change."""
        chain = eq("chain_id", self.chain_id)
        seen = tokens.rows(self.lake, self.known, self.chain_id, self.names, self.call)
        for spec, rows in ((tables.CONTRACTS, chosen.contracts()), (tables.TOKENS, seen)):
            table = self.lake.table(spec.name)
            if table.read(chain) != table.conform(rows):
                table.replace(rows, chain)

    def _meta(self, span: Span) -> dict[str, Any]:
        return {
            "v": 1,
            "chain_id": self.chain_id,
            "source_version": self.version,
            "filter": self.filter,
            "to": span.last,
            "to_hash": span.window[-1][1] if span.window else "",
            "window": [list(block) for block in span.window],
        }

    def _made_anew(self, seen: Mapping[str, Any]) -> set[str]:
        """Tables that lost their commits: somebody dropped them to have them decoded again."""
        known = {name: state[1] for name, state in seen.get("tables", {}).items() if name in self.events}
        return {name for name, n in known.items() if self.events[name].commits(f"derive:{self.chain_id}:{name}") != n}

    def _refused_up_to(self) -> dict[str, int]:
        """Per table the last block of this chain with a row in raw.quarantine."""
        name = self.quarantine.name
        with self.lake.duck([name]) as con:
            sql = f"select table_name, max(block_number) from {name} where chain_id = {self.chain_id} group by 1"
            return dict(con.sql(sql).fetchall())


def _above(rows: pa.Table, base: int) -> pa.Table:
    return rows.filter(pc.greater(rows["block_number"], base)) if base >= 0 else rows


def _of(quarantine: pa.Table, name: str) -> pa.Table:
    return quarantine.filter(pc.equal(quarantine["table_name"], name))


def _nothing(table: Table) -> pa.Table:
    return pa.schema([column for column in table.spec.schema if column.name != "month"]).empty_table()
