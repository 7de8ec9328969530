"""Every rule again, on the tables as they are published (``guelta check``)."""

from collections.abc import Sequence
from dataclasses import dataclass

from guelta.errors import BadSetting
from guelta.lake import Lake
from quality import rules as vocabulary
from quality import tables
from quality.expectations import Outcome, evaluate
from quality.rules import Rule


@dataclass(frozen=True, slots=True)
class Checked:
    table: str
    rule_id: str
    severity: str
    passed: bool
    failing: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    checked: tuple[Checked, ...]

    @property
    def passed(self) -> bool:
        return not any(one.severity == "critical" and not one.passed for one in self.checked)

    @property
    def failing(self) -> tuple[Checked, ...]:
        return tuple(one for one in self.checked if not one.passed)

    def lines(self) -> list[str]:
        """What is to be printed: every rule that failed, then the count."""
        told = [
            f"{one.severity}: {one.rule_id} {one.note or f'fails on {one.failing} rows'}"
            for one in sorted(self.failing, key=lambda one: (one.severity, one.rule_id))
        ]
        good = sum(one.passed for one in self.checked)
        return [*told, f"{good} of {len(self.checked)} rules hold on {len({one.table for one in self.checked})} tables"]


def check(lake: Lake, names: Sequence[str] = ()) -> CheckReport:
    """Ask every rule of the named tables (default: all): keys, headers' rules, assertions.

    Raises:
        BadSetting: a name that is no table of the lake.
    """
    there = lake.tables()
    if unknown := sorted(set(names) - set(there)):
        raise BadSetting(f"the lake has no table {', '.join(unknown)}; it has {', '.join(there) or 'none'}")
    by_name = {model.name: model for model in tables()}
    found: list[Checked] = []
    with lake.duck(there) as con:
        for name in names or there:
            asked = vocabulary.of_model(by_name[name]) if name in by_name else _of_the_floor(lake, name)
            # Great Expectations knows a table without its schema only: a view under a plain name stands for it.
            con.execute(f"create or replace temp view published as select * from {name}")
            found += [_checked(outcome) for outcome in evaluate(lake, asked, con, "published")]
    return CheckReport(tuple(found))


def _of_the_floor(lake: Lake, name: str) -> list[Rule]:
    """A table that no model makes: its key is unique and what must be there is there, whoever wrote the files."""
    import pyarrow as pa

    spec = lake.table(name).spec
    needed = [field.name for field in spec.schema if not field.nullable]
    words = [f"unique({', '.join(spec.key)})", *([f"not_null({', '.join(needed)})"] if needed else [])]
    # The bytes of an amount are its truth, and Delta has no fixed length for them.
    raw = [field.name for field in spec.schema if field.name.endswith("_raw") and pa.types.is_binary(field.type)]
    words += [f"octets({column}?, 32)" for column in raw]
    return [vocabulary.parse(name, word, tuple(spec.schema.names)) for word in words]


def _checked(outcome: Outcome) -> Checked:
    rule = outcome.rule
    return Checked(rule.table, rule.id, rule.severity, outcome.passed, outcome.failing, outcome.note)
