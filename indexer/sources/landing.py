"""Where received rows come down: good ones in their table with the cursor, refused ones in quarantine, twins not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from guelta.lake import Cursor, Lake, Table, eq, isin
from guelta.lake.ops import QUARANTINE, quarantined
from indexer.sources.contract import Checked, Contract

UNKNOWN_DAY = date(1970, 1, 1)
CONFLICT = "key.conflict"
FUTURE = "updated_at.future"
Received = Callable[[int], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Visit:
    """One pull: when it began, and whether it reads again what it read before."""

    now: datetime
    full: bool = False


@dataclass(frozen=True, slots=True)
class PullResult:
    source: str
    table: str
    rows: int = 0  # new in the lake
    duplicates: int = 0  # received again with the same content
    quarantined: int = 0  # newly refused, with their reason in ops.quarantine
    notes: tuple[str, ...] = ()

    def __add__(self, other: "PullResult") -> "PullResult":
        return replace(
            self,
            rows=self.rows + other.rows,
            duplicates=self.duplicates + other.duplicates,
            quarantined=self.quarantined + other.quarantined,
            notes=tuple(dict.fromkeys(self.notes + other.notes)),
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that is not even a row, such as a broken line."""

    row_key: str
    row: dict[str, Any]
    rule_id: str
    reason: str
    day: date | None = None


class Landing:
    """Lands the rows of one source in one table, remembering how far it got under ``pull:<source>:<table>``.

    Args:
        lake: with the table, or to make it in.
        source: its name.
        contract: of the table.
        full: begin as if nothing had been read.
    """

    def __init__(self, lake: Lake, source: str, contract: Contract, *, full: bool = False) -> None:
        self.source, self.contract = source, contract
        self.table: Table = lake.create(contract.spec)
        self.quarantine: Table = lake.create(QUARANTINE)
        self.app = f"pull:{source}:{contract.table.partition('.')[2]}"
        self._cursor = self.table.cursor(self.app)
        self._full = full
        self._seen: dict[str, Any] = dict(self._cursor.meta) if self._cursor and not full else {}

    @property
    def seen(self) -> dict[str, Any]:
        """What the last landing left as its cursor."""
        return dict(self._seen)

    def land(
        self,
        rows: pl.DataFrame,
        seen: dict[str, Any],
        *,
        refused: Sequence[Refused] = (),
        received: Received | None = None,
        notes: Sequence[str] = (),
        reread: bool = False,
        latest: datetime | None = None,
    ) -> PullResult:
        """Judge and store a batch. Data and cursor are one commit; the quarantine goes first and is keyed by content.

        Args:
            rows: text columns, as received.
            seen: the cursor after this batch.
            refused: what could not become a row.
            received: the original of a row by its position, for the quarantine; default the text itself.
            notes: what the caller noticed, passed on.
            reread: rows were read again on purpose; finding them here is no news.
            latest: no row may have been changed after it.
        """
        original = received or (
            lambda position: {k: v for k, v in rows.row(position, named=True).items() if v is not None}
        )
        checked = self._checked(rows, latest)
        fresh, twins, conflicts = self._new(checked.good, reread=reread or self._full)
        day = max((d for d in fresh["day"].unique().to_list() if d), default=UNKNOWN_DAY)
        bad = [(p, rule, reason) for p, rule, reason in checked.bad.iter_rows()] + conflicts
        entries = [self._entry(self._name(rows, p), original(p), rule, reason, day) for p, rule, reason in bad]
        entries += [self._entry(r.row_key, r.row, r.rule_id, r.reason, r.day or day) for r in refused]
        quarantined_rows = self._quarantine(entries)
        if fresh.height or seen != (self._cursor.meta if self._cursor else {}):
            cursor = Cursor(self.app, self._cursor.n + 1 if self._cursor else 1, seen)
            self.table.append(fresh.to_arrow(), cursor=cursor)
            self._cursor = cursor
        self._seen = dict(seen)
        return PullResult(self.source, self.contract.table, fresh.height, twins, quarantined_rows, tuple(notes))

    def readmit(self, rows: pl.DataFrame, latest: datetime) -> tuple[int, dict[int, str]]:
        """Judge rows again that were refused once; those that pass now are stored, unless they are already.

        Returns:
            how many are new in the table, and by position the rule that still refuses a row. The cursor stays.
        """
        checked = self._checked(rows, latest)
        fresh, _, conflicts = self._new(checked.good, reread=False)
        if fresh.height:
            self.table.append(fresh.to_arrow())
        return fresh.height, {p: rule for p, rule, _ in [*checked.bad.iter_rows(), *conflicts]}

    def drifted(self, columns: Sequence[str], lacking: Sequence[str], where: str) -> str:
        """The reason every row of a source without those columns is refused for."""
        return (
            f"{where} lacks {', '.join(lacking)}, expected by {self.contract.table}; "
            f"it has {', '.join(sorted(columns))}; map the renamed column or mend the export"
        )

    def _checked(self, rows: pl.DataFrame, latest: datetime | None) -> Checked:
        """What the contract says; a row changed in the future is refused too, or it would outrank all that come."""
        checked = self.contract.check(rows)
        if latest is None or "updated_at" not in checked.good.columns:
            return checked
        early = checked.good.filter(pl.col("updated_at") > latest)
        until = latest.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = pl.col("updated_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        reason = f"{FUTURE}: expected a time up to {until}, found {{}}; set the clock right that wrote it, or this one"
        refused = early.select("position", pl.lit(FUTURE).alias("rule_id"), pl.format(reason, found).alias("reason"))
        good = checked.good.filter(pl.col("updated_at") <= latest)
        return Checked(good, pl.concat([checked.bad, refused]).sort("position"))

    def _new(self, good: pl.DataFrame, *, reread: bool) -> tuple[pl.DataFrame, int, list[tuple[int, str, str]]]:
        """Rows not stored yet, the number of twins, and rows that contradict a stored one under the same key."""
        key = list(self.contract.key)
        columns = [c for c in good.columns if c not in {"position", "file", "line"}]
        first = good.unique(key, keep="first", maintain_order=True)
        again = good.join(first.select("position"), on="position", how="anti")
        stored = self._stored(first)
        known = first.join(stored.select(key), on=key, how="semi")
        fresh = first.join(stored.select(key), on=key, how="anti").drop("position")
        ours = pl.concat([stored.select(columns), fresh.select(columns)])
        repeated = pl.concat([again, known])
        same = repeated.join(ours, on=columns, how="semi", nulls_equal=True)
        other = repeated.join(same.select("position"), on="position", how="anti")
        expected = known.join(same.select("position"), on="position", how="semi").height if reread else 0
        reason = f"another row with the same {', '.join(key)} came before, with other content; send a new version"
        conflicts = [(position, CONFLICT, f"{CONFLICT}: {reason}") for position in other["position"].to_list()]
        return fresh, same.height - expected, conflicts

    def _stored(self, good: pl.DataFrame) -> pl.DataFrame:
        days = good["day"].unique().drop_nulls().to_list()
        rows = pl.from_arrow(self.table.read(isin("day", days)))
        assert isinstance(rows, pl.DataFrame)
        stored = rows.select([c for c in good.columns if c != "position"])
        # One type for both sides: the lake hands out plain Arrow types.
        return stored.cast({name: kind for name, kind in good.schema.items() if name != "position"})

    def _name(self, rows: pl.DataFrame, position: int) -> str:
        row = rows.row(position, named=True)
        named = [str(row.get(column)) for column in self.contract.key if row.get(column) is not None]
        if row.get("file"):
            named.append(f"{row['file']}:{row['line']}")
        return "/".join(named) or f"row {position}"

    def _entry(self, key: str, row: dict[str, Any], rule: str, reason: str, day: date) -> dict[str, Any]:
        run = f"pull:{self.source}"
        return quarantined(self.contract.table, key, row, rule, reason, run_id=run, day=day)

    def _quarantine(self, entries: list[dict[str, Any]]) -> int:
        if not entries:
            return 0
        known = self.quarantine.read(eq("table_name", self.contract.table))["quarantine_id"].to_pylist()
        seen = set(known)
        new: dict[str, dict[str, Any]] = {}
        for entry in entries:
            if entry["quarantine_id"] not in seen:
                new.setdefault(entry["quarantine_id"], entry)
        if new:
            self.quarantine.append(pl.DataFrame(list(new.values()), infer_schema_length=None).to_arrow())
        return len(new)
