"""Make the tables of a selection: pin, see what changed, run, gate, publish in one commit.

A build reads its upstreams at versions pinned before the first query and writes these versions into the cursor of what
it publishes: whatever lands meanwhile is seen next time. Only days that can have changed are made again (30-lake §3.5).
Beside each version stands the id of the table: one that was dropped and made anew counts its versions from 0 again.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from guelta.errors import BadModel, Fatal, ForeignLake, GateRefused, Inexact
from models import Model, select, shape

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    import pyarrow as pa

    from guelta.lake import Cursor, Lake, TableSpec, Where

Days = frozenset[date] | None  # None: every day
Gate = Callable[[Model, "pa.Table", "duckdb.DuckDBPyConnection"], object]  # its ``refused``, if any, notes the others
_CHANGED = "changed_days"  # what an affects query reads the upstream's changed days as


@dataclass(frozen=True, slots=True)
class Built:
    """What became of one model. ``days`` counts the days made again; None stands for all of them."""

    name: str
    rows: int
    seconds: float
    skipped: bool
    reason: str  # "first build", "code changed", "3 days changed", "unchanged", "waits for raw.x", "refused: …"
    days: int | None = None
    version: int | None = None


class Inputs:
    """What a Python model reads: its upstreams, frozen at the pinned versions."""

    def __init__(self, lake: "Lake", model: Model, pin: Mapping[str, int], con: Any, days: Days) -> None:
        self._lake, self._model, self._pin, self._con = lake, model, pin, con
        self.days = days  # None: every day; else only rows of these days are kept (window onward: and of later ones)

    def frame(self, name: str) -> "pl.LazyFrame":
        return self._lake.scan(self._known(name), version=self._pin[name])

    def table(self, name: str) -> "pa.Table":
        return self._lake.table(self._known(name)).read(version=self._pin[name])

    def sql(self, text: str, **params: Any) -> "pl.DataFrame":
        """Rows of a query over the upstreams by their lake names; ``$name`` stands for a parameter."""
        return self._con.sql(text, params=params or None).pl()  # type: ignore[no-any-return]

    def _known(self, name: str) -> str:
        if name not in self._pin:
            raise BadModel(f"{self._model.path} reads {name}, which its upstream does not name; add it there")
        return name


def build(
    lake: "Lake",
    models_: Sequence[Model],
    *,
    selection: Iterable[str] = (),
    gate: Gate | None = None,
    full: bool = False,
    days: Iterable[date] = (),
    progress: Callable[[Built], None] | None = None,
) -> list[Built]:
    """Make what changed of the selected models, in order; each is visible in one commit or not at all.

    A refused model publishes nothing, and what is made from it waits; the others are built, then the refusal is raised.
    A value that fits no type of ours refuses its model like a rule: whoever can send one must not stop the others.

    Args:
        lake: where the tables are.
        models_: all models, in building order (``models.load()``).
        selection: tables, folders, ``+`` for everything they are made from; none is all.
        gate: looks at the staged rows before they are published, and raises GateRefused.
        full: make everything again, whatever changed.
        days: make these days of dated tables again, beside those that changed.
        progress: called after each model.

    Raises:
        GateRefused: after the last model, naming every refused table, and the rule or the value that refused it.
        BadModel: a model that DuckDB cannot bind, or whose rows are not what its header says.
    """
    run = _Run(lake, gate, full, frozenset(days), {model.name: model.digest for model in models_})
    done: list[Built] = []
    refused: dict[str, Fatal] = {}
    for model in select(models_, selection):
        started = time.perf_counter()
        held = [name for name in model.upstream if name in refused]
        try:
            if held:
                built = Built(model.name, 0, 0.0, True, f"waits for {held[0]}, which was refused")
                refused[model.name] = refused[held[0]]
            else:
                built = run.make(model, started)
        except (GateRefused, Inexact) as error:
            refused[model.name] = error
            built = Built(model.name, 0, time.perf_counter() - started, True, f"refused: {error}")
        done.append(built)
        if progress:
            progress(built)
    own = {
        name: error for name, error in refused.items() if any(b.name == name and "refused:" in b.reason for b in done)
    }
    if own:
        lines = "; ".join(f"{name}: {error}" for name, error in own.items())
        raise GateRefused(f"{len(own)} tables were refused, nothing of them was published: {lines}", _rule_ids(own))
    return done


def _rule_ids(refused: Mapping[str, Fatal]) -> tuple[str, ...]:
    return tuple(
        rule
        for name, error in refused.items()
        for rule in (error.rule_ids if isinstance(error, GateRefused) else (f"{name}.{_EXACT}",))
    )


_EXACT = "exact"  # the rule that a value without a fitting type breaks


@dataclass
class _Run:
    """One call of ``build``: every model of it reads the same versions of the raw tables."""

    lake: "Lake"
    gate: Gate | None
    full: bool
    asked: frozenset[date]
    digests: Mapping[str, str]
    versions: dict[str, int] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def make(self, model: Model, started: float) -> Built:
        missing = [name for name in model.upstream if self._version(name) is None]
        if missing:
            return Built(model.name, 0, time.perf_counter() - started, True, f"waits for {', '.join(missing)}")
        pin = {name: self.versions[name] for name in model.upstream}
        self.ids |= {name: self.lake.table(name).id() for name in pin if name not in self.ids}
        ids = {name: self.ids[name] for name in pin}
        code = {"code": model.digest, "upstream_code": {n: self.digests[n] for n in pin if n in self.digests}}
        cursor = self.lake.table(model.name).cursor(_app(model)) if self.lake.exists(model.name) else None
        days, reason = self._todo(model, pin, ids, code, cursor)
        if days is not None and not days:
            return Built(model.name, 0, time.perf_counter() - started, True, reason, 0, self._version(model.name))
        try:
            with _exactly(model):
                staged = self._staged(model, pin, days)
        except Inexact as error:
            self._note(model, _EXACT, error)
            raise
        published = self._publish(model, *staged, days, {"upstream": pin, "upstream_id": ids, **code}, cursor)
        table = self.lake.table(model.name)
        self.versions[model.name], self.ids[model.name] = table.version(), table.id()
        count = None if days is None else len(days)
        seconds = time.perf_counter() - started
        return Built(model.name, published, seconds, False, reason, count, self.versions[model.name])

    def _version(self, name: str) -> int | None:
        if name not in self.versions and self.lake.exists(name):
            self.versions[name] = self.lake.table(name).version()
        return self.versions.get(name)

    def _todo(
        self,
        model: Model,
        pin: Mapping[str, int],
        ids: Mapping[str, str],
        code: Mapping[str, Any],
        cursor: "Cursor | None",
    ) -> tuple[Days, str]:
        """The days to make; none at all when nothing changed."""
        if cursor is None:
            return None, "first build"
        if self.full:
            return None, "asked for in full"
        if any(cursor.meta.get(key) != value for key, value in code.items()):
            return None, "code changed"
        days: set[date] = set()
        anew = [name for name in pin if cursor.meta.get("upstream_id", {}).get(name) != ids[name]]
        if anew:
            return None, f"{anew[0]} was made anew"
        for name, version in pin.items():
            since = cursor.meta["upstream"].get(name)
            changed = set() if since == version else self.lake.table(name).changed(since)
            query = dict(model.partition.affects).get(name, "")
            if query and (changed if _CHANGED in query else changed is None):
                changed = (changed or set()) | self._affected(query, pin, changed or set())
            if changed is None or (changed and model.partition.by is None):
                return None, f"{name} changed"
            days |= changed
        if model.partition.by == "day" and not days >= self.asked:
            return _widen(days, model.partition.window) | self.asked, f"{len(self.asked)} days asked for"
        return _widen(days, model.partition.window), f"{len(days)} days changed" if days else "unchanged"

    def _affected(self, query: str, pin: Mapping[str, int], changed: set[date]) -> set[date]:
        import pyarrow as pa

        with self.lake.duck(list(pin), pin=pin) as con:
            con.register(_CHANGED, pa.table({"day": pa.array(sorted(changed), pa.date32())}))
            return {day for (day,) in con.execute(query).fetchall() if day is not None}

    def _staged(self, model: Model, pin: Mapping[str, int], days: Days) -> "tuple[TableSpec, pa.Table]":
        """The rows of ``days`` after the gate, and the table they belong into."""
        from guelta.lake.schema import conform

        named = [name for name in _tables_in(model.rules) if name not in pin and self._version(name) is not None]
        views = {**pin, **{name: self.versions[name] for name in named}}
        with self.lake.duck(list(views), pin=views) as con:
            spec, data = _compute(self.lake, model, pin, con, days)
            data = conform(spec, data)
            con.register("staged", data)
            if self.gate:
                self.gate(model, data, con)
            if days is not None:
                self._refuse_strangers(model, con, days)
        return spec, data

    def _refuse_strangers(self, model: Model, con: "duckdb.DuckDBPyConnection", days: frozenset[date]) -> None:
        """A key without the day must not stand on other days, where no rule over staged rows looks."""
        keys = [words for words in map(_unique_words, model.rules) if words and "day" not in words]
        if not keys or not self.lake.exists(model.name):
            return
        self.lake.attach(con, [model.name])
        for key in keys:
            names = ", ".join(f'"{name}"' for name in key)
            others = f"select {names} from {model.name} where not ({_days(model, days).sql()})"
            found = con.execute(f"select * from (select {names} from staged intersect {others}) limit 3").fetchall()
            if found:
                rule = f"{model.name}.unique({', '.join(key)})"
                error = GateRefused(
                    f"{model.name} was refused by {rule} over the whole table: rows of the days made again stand on "
                    f"other days too, for example {found}; make it anew with guelta build {model.name} --full",
                    (rule,),
                )
                self._note(model, rule.removeprefix(f"{model.name}."), error)
                raise error

    def _note(self, model: Model, rule: str, error: Fatal) -> None:
        """What refused a model without being a rule of the gate is told where the gate's answers are kept."""
        if note := getattr(self.gate, "refused", None):
            note(model, rule, str(error))

    def _publish(
        self,
        model: Model,
        spec: "TableSpec",
        data: "pa.Table",
        days: Days,
        meta: dict[str, Any],
        cursor: "Cursor | None",
    ) -> int:
        """Rows, and what they were made from, in one commit; days that stand there already are left alone."""
        import pyarrow as pa
        import pyarrow.compute as pc

        from guelta.lake import ALL, Cursor, isin

        try:
            table = self.lake.create(spec)
        except ForeignLake:
            if cursor is None:  # no build made it: not ours to drop
                raise
            self.lake.drop(model.name)  # its code changed its shape, and these are all of its rows
            table, cursor = self.lake.create(spec), None
        after = Cursor(_app(model), cursor.n + 1 if cursor else 1, meta)
        if cursor is None or self.full or days is not None:
            where = ALL if days is None else _months(model, days) & _days(model, days)
            return table.replace(data, where, cursor=after).rows
        new, old = table.conform(data), table.read()
        differing = _differing(old, new)
        if differing is None:
            same_code = all(cursor.meta.get(key) == meta[key] for key in meta if key != "upstream")
            # a commit of a table without days tells its readers that everything changed: say nothing for nothing
            return 0 if same_code and new.equals(old) else table.replace(new, ALL, cursor=after).rows
        kept = new.filter(pc.is_in(new["day"], pa.array(sorted(differing), pa.date32())))
        if not differing:
            return table.append(kept, cursor=after).rows
        months = isin("month", {day.replace(day=1) for day in differing}) if spec.partition else ALL
        return table.replace(kept, months & isin("day", differing), cursor=after).rows


def _compute(
    lake: "Lake", model: Model, pin: Mapping[str, int], con: "duckdb.DuckDBPyConnection", days: Days
) -> "tuple[TableSpec, pa.Table]":
    import duckdb
    import polars as pl

    if model.sql is not None:
        try:
            relation = con.sql(f"select * from (\n{model.sql}\n)")
            spec = shape.spec_of_select(model, relation.columns, relation.types)
            kept = relation if days is None else relation.filter(_days(model, days).sql())
            return spec, kept.to_arrow_table()
        except (duckdb.OutOfRangeException, duckdb.ConversionException):
            raise  # no fault of the model: see _exactly
        except duckdb.Error as error:
            raise BadModel(f"{model.path}: {error}") from error
    assert model.build is not None
    made = model.build(Inputs(lake, model, pin, con, days))
    frame = made if isinstance(made, pl.DataFrame) else pl.from_arrow(made)
    assert isinstance(frame, pl.DataFrame)
    data = frame.to_arrow()
    spec = shape.spec_of_rows(model, data)
    if days is None:
        return spec, data
    return spec, frame.filter(pl.sql_expr(_days(model, days).sql())).to_arrow()


@contextmanager
def _exactly(model: Model) -> Iterator[None]:
    """Whichever engine finds that a value does not fit, it is one refusal."""
    import duckdb
    import polars as pl

    try:
        yield
    except (duckdb.OutOfRangeException, duckdb.ConversionException) as error:
        raise Inexact(f"{model.path}: a value does not fit its type: {error}") from error
    except pl.exceptions.PolarsError as error:
        if not re.search("overflow|conversion .* failed", str(error)):
            raise
        raise Inexact(f"{model.path}: a value does not fit its type: {error}") from error


def _unique_words(rule: str) -> tuple[str, ...]:
    found = re.fullmatch(r"unique\(([^()]*)\)", rule.strip())
    return tuple(word.strip() for word in found[1].split(",")) if found else ()


def _differing(old: "pa.Table", new: "pa.Table") -> frozenset[date] | None:
    """The days whose rows are not the same in both; None where rows have no day to tell by."""
    import polars as pl

    if "day" not in new.column_names or old["day"].null_count or new["day"].null_count:
        return None
    before, after = (
        {key[0]: rows for key, rows in pl.DataFrame(pl.from_arrow(table)).partition_by("day", as_dict=True).items()}
        for table in (old, new)
    )
    return frozenset(
        day
        for day in before.keys() | after.keys()
        if day not in before or day not in after or not before[day].equals(after[day])
    )


def _days(model: Model, days: frozenset[date]) -> "Where":
    from guelta.lake import ge, isin

    return ge("day", min(days)) if model.partition.window is None else isin("day", days)


def _months(model: Model, days: frozenset[date]) -> "Where":
    """The months of ``days``, beside the days themselves: Delta then leaves the files of other months alone."""
    from guelta.lake import ge, isin

    months = {day.replace(day=1) for day in days}
    return ge("month", min(months)) if model.partition.window is None else isin("month", months)


def _widen(days: set[date], window: int | None) -> frozenset[date]:
    return frozenset(day + timedelta(days=i) for day in days for i in range((window or 0) + 1))


def _tables_in(rules: Sequence[str]) -> list[str]:
    return sorted({name for rule in rules for name in re.findall(r"\b(?:raw|core|marts|ops)\.[a-z]\w*", rule)})


def _app(model: Model) -> str:
    return f"build:{model.name}"
