"""The words of a header's ``rules:``, each turned into SQL that returns the failing rows.

    unique(a, b)                 no two rows with the same a and b
    not_null(a, b)               a value in every row
    nonnegative(x) positive(x)   0 or more; more than 0
    between(x, 0, 10000)         within, ends included
    at_most(x, y)                x <= y
    equals(x, y + z)             in every row
    sum_equals(x, y, key…)       the sums over the rows of a key (no key: of the table) are equal
    one_of(x, y)                 exactly one of them is above zero
    in_set(x, a, b)              one of the listed words or numbers
    matches(x, '^0x[0-9a-f]+$')  a regular expression
    octets(x, 32)                bytes of that length
    references(x, core.assets.asset_id)     the value stands in that table; references(a, b, core.edges) for equal names
    warn(…)                      any of them as a warning: reported, never refused

A null fails every word but ``unique``, ``references``, ``one_of`` and ``sum_equals``; a column that may be null is
written with a question mark: ``nonnegative(x?)``. A one-off is ``quality/assertions/TABLE.WHAT.sql``: a SELECT of
failing rows that reads the rows to be checked as ``{batch}``, with its reason in a first line ``-- why: …``.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from guelta.errors import BadModel
from models import Model, lineage

ASSERTIONS = Path(__file__).parent / "assertions"
_WORD = re.compile(r"([a-z_]\w*)(?:\((.*)\))?", re.DOTALL)
_COLUMN = re.compile(r"[a-z_]\w*")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that must hold. SQL reads the rows to be checked as ``{batch}`` (a brace in a value is doubled).

    ``predicate`` is true for a good row, None where the rule is about more than one row; ``failing`` selects the rows
    that break it; ``quick`` is a cheaper query that returns a row whenever ``failing`` does.
    """

    id: str
    table: str
    word: str
    args: tuple[str, ...]
    severity: str  # critical refuses the rows, warning only tells
    predicate: str | None
    failing: str
    quick: str
    reads: tuple[str, ...] = ()
    why: str = ""

    def failing_rows(self, batch: str) -> str:
        return self.failing.format(batch=batch)


def of_model(model: Model) -> list[Rule]:
    """Every rule of a table: its grain, its header's words, and its assertions."""
    words = [*model.rules]
    grain = f"unique({', '.join(model.grain)})"
    if grain.replace(" ", "") not in {word.replace(" ", "") for word in words}:
        words.insert(0, grain)
    rules = [parse(model.name, word, tuple(model.columns)) for word in words]
    return [*{rule.id: rule for rule in rules}.values(), *assertions(model.name)]


def parse(table: str, text: str, columns: Sequence[str] = ()) -> Rule:
    """One word of a header.

    Args:
        table: the table the rule belongs to.
        text: ``word(arguments)``.
        columns: the table's columns, to refuse a name that is none; () does not check.

    Raises:
        BadModel: an unknown word, a wrong number of arguments, or a column the table has not.
    """
    match = _WORD.fullmatch(text.strip())
    if not match:
        raise BadModel(f"{table}: expected a rule like unique(a, b), found {text!r}")
    word, args = match[1], tuple(_arguments(match[2] or ""))
    if word == "warn":
        return warning(parse(table, match[2] or "", columns))
    if word not in WORDS:
        near = get_close_matches(word, [*WORDS, "warn"], 1, 0.4)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(WORDS))}"
        raise BadModel(f"{table}: no rule is called {word!r}; {hint}")
    shape, build = WORDS[word]
    if not shape[0] <= len(args) <= shape[1]:
        raise BadModel(f"{table}: {word} takes {shape[2]}, found {text!r}")
    made = build(args)
    unknown = [name for name in made.columns if columns and name not in columns]
    if unknown:
        near = get_close_matches(unknown[0], columns, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(columns)}"
        raise BadModel(f"{table}: {text} names {', '.join(unknown)}, which is no column of it; {hint}")
    name = f"{table}.{word}({', '.join(args)})"
    predicate = made.predicate
    failing = made.failing or f"select * from {{batch}} where not coalesce({predicate}, false)"
    return Rule(name, table, word, args, "critical", predicate, failing, made.quick or failing, made.reads)


def assertions(table: str, folder: Path = ASSERTIONS) -> list[Rule]:
    """The one-off rules of a table, in the order of their names."""
    return [rule for rule in _assertions(folder) if rule.table == table]


@dataclass(frozen=True, slots=True)
class _Made:
    columns: tuple[str, ...] = ()
    predicate: str | None = None
    failing: str | None = None
    quick: str | None = None
    reads: tuple[str, ...] = ()


def _unique(args: tuple[str, ...]) -> _Made:
    keys = ", ".join(f'"{name}"' for name in args)
    quick = f"select {keys}, count(*) as rows from {{batch}} group by {keys} having count(*) > 1"
    same = " and ".join(f'b."{name}" is not distinct from twice."{name}"' for name in args)
    return _Made(args, None, f"select b.* from {{batch}} as b join ({quick}) as twice on {same}", quick)


def _not_null(args: tuple[str, ...]) -> _Made:
    return _Made(args, " and ".join(f'"{name}" is not null' for name in args))


def _each(test: str) -> Callable[[tuple[str, ...]], _Made]:
    """Every listed column passes ``test``, in which ``{0}`` stands for it."""

    def build(args: tuple[str, ...]) -> _Made:
        names = tuple(arg.removesuffix("?") for arg in args)
        return _Made(names, " and ".join(_allowing_null(arg, test.format(_quoted(arg))) for arg in args))

    return build


def _between(args: tuple[str, ...]) -> _Made:
    column, low, high = args
    test = f"{_quoted(column)} between {_literal(low)} and {_literal(high)}"
    return _Made((column.removesuffix("?"),), _allowing_null(column, test))


def _compare(sign: str) -> Callable[[tuple[str, ...]], _Made]:
    def build(args: tuple[str, ...]) -> _Made:
        left, right = args
        sides = [_sum_of(side) for side in (left, right)]
        optional = next((arg for arg in args if arg.endswith("?")), left)
        test = f"({sides[0][1]}) {sign} ({sides[1][1]})"
        return _Made((*sides[0][0], *sides[1][0]), _allowing_null(optional, test))

    return build


def _sum_equals(args: tuple[str, ...]) -> _Made:
    left, right, *keys = args
    (left_names, left_sql), (right_names, right_sql) = _sum_of(left), _sum_of(right)
    # Base units as decimals: DuckDB raises where a sum needs more than 38 digits.
    both = f"coalesce(sum({left_sql}), 0) as left_sum, coalesce(sum({right_sql}), 0) as right_sum"
    picked = "".join(f'"{key}", ' for key in keys)
    grouped = f" group by {picked.rstrip(', ')}" if keys else ""
    sums = f"select * from (select {picked}{both} from {{batch}}{grouped}) where left_sum <> right_sum"
    return _Made((*left_names, *right_names, *keys), None, sums)


def _one_of(args: tuple[str, ...]) -> _Made:
    above = " + ".join(f'cast(coalesce("{name}", 0) > 0 as integer)' for name in args)
    return _Made(args, f"({above}) = 1")


def _in_set(args: tuple[str, ...]) -> _Made:
    column, *values = args
    return _Made(
        (column.removesuffix("?"),),
        _allowing_null(column, f"{_quoted(column)} in ({', '.join(map(_literal, values))})"),
    )


def _matches(args: tuple[str, ...]) -> _Made:
    column, pattern = args
    test = f"regexp_matches({_quoted(column)}, {_literal(pattern)})"
    return _Made((column.removesuffix("?"),), _allowing_null(column, test))


def _octets(args: tuple[str, ...]) -> _Made:
    *columns, length = args
    return _each(f"octet_length({{0}}) = {_literal(length)}")(tuple(columns))


def _references(args: tuple[str, ...]) -> _Made:
    *columns, target = args
    parts = target.split(".")
    names = [column.removesuffix("?") for column in columns]
    if len(parts) == 3 and len(names) == 1:
        theirs = [parts[2]]
    elif len(parts) == 2:
        theirs = names
    else:
        raise BadModel(f"references takes a column and schema.table.column, or columns and schema.table, found {args}")
    table = ".".join(parts[:2])
    picked = ", ".join(f'"{name}"' for name in dict.fromkeys(theirs))
    same = " and ".join(f'b."{mine}" = known."{their}"' for mine, their in zip(names, theirs, strict=True))
    given = " and ".join(f'"{name}" is not null' for name in names)
    orphans = f"select b.* from {{batch}} as b anti join (select distinct {picked} from {table}) as known on {same}"
    return _Made(tuple(names), None, f"select * from ({orphans}) where {given}", None, (table,))


_ANY = 64
# word -> ((fewest, most arguments, in words), how to build it)
WORDS: dict[str, tuple[tuple[int, int, str], Callable[[tuple[str, ...]], _Made]]] = {
    "unique": ((1, _ANY, "one or more columns"), _unique),
    "not_null": ((1, _ANY, "one or more columns"), _not_null),
    "nonnegative": ((1, _ANY, "one or more columns"), _each("{0} >= 0")),
    "positive": ((1, _ANY, "one or more columns"), _each("{0} > 0")),
    "between": ((3, 3, "a column and two bounds"), _between),
    "at_most": ((2, 2, "two columns or sums of columns"), _compare("<=")),
    "equals": ((2, 2, "two columns or sums of columns"), _compare("=")),
    "sum_equals": ((2, _ANY, "two columns or sums of columns, and the key's columns"), _sum_equals),
    "one_of": ((2, _ANY, "two or more columns"), _one_of),
    "in_set": ((2, _ANY, "a column and its values"), _in_set),
    "matches": ((2, 2, "a column and a regular expression"), _matches),
    "octets": ((2, _ANY, "columns and a length"), _octets),
    "references": ((2, _ANY, "columns and where they stand"), _references),
}


def _arguments(text: str) -> Iterator[str]:
    """The arguments of a word: cut at commas outside quotes and parentheses."""
    depth, quoted, start = 0, False, 0
    for i, letter in enumerate(text):
        quoted ^= letter == "'"
        if quoted:
            continue
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            yield text[start:i].strip()
            start = i + 1
    if text[start:].strip():
        yield text[start:].strip()


def _quoted(column: str) -> str:
    return f'"{column.removesuffix("?")}"'


def _allowing_null(column: str, test: str) -> str:
    return f"({_quoted(column)} is null or {test})" if column.endswith("?") else f"({test})"


def _literal(value: str) -> str:
    """A number as it stands, anything else as a text; braces doubled for the ``{batch}`` template."""
    if _NUMBER.fullmatch(value):
        return value
    plain = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
    return "'" + plain.replace("'", "''").replace("{", "{{").replace("}", "}}") + "'"


def _sum_of(text: str) -> tuple[tuple[str, ...], str]:
    """``a + b - c`` as its columns and its SQL; a number may stand for a column."""
    parts = re.split(r"\s*([+-])\s*", text.removesuffix("?").strip())
    names = tuple(part for part in parts[::2] if _COLUMN.fullmatch(part))
    if any(not (_COLUMN.fullmatch(part) or _NUMBER.fullmatch(part)) for part in parts[::2]):
        raise BadModel(f"expected columns joined by + and -, found {text!r}")
    return names, " ".join(f'"{part}"' if _COLUMN.fullmatch(part) else part for part in parts)


@cache
def _assertions(folder: Path) -> tuple[Rule, ...]:
    return tuple(_assertion(path) for path in sorted(folder.glob("*.sql")))


def _assertion(path: Path) -> Rule:
    text = path.read_text("utf-8")
    first, _, sql = text.partition("\n")
    table, _, what = path.stem.rpartition(".")
    if not first.startswith("-- why: ") or table.count(".") != 1:
        raise BadModel(f"{path.name}: expected SCHEMA.TABLE.WHAT.sql with a first line '-- why: …', found {first!r}")
    severity = "warning" if re.search(r"^-- severity: warning\s*$", sql, re.MULTILINE) else "critical"
    query = "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--")).strip().rstrip(";")
    if "{batch}" not in query:
        raise BadModel(f"{path.name}: expected a SELECT that reads the rows to be checked as {{batch}}, found none")
    reads = _tables(query, path.name)
    return Rule(f"{table}.{what}", table, "assertion", (), severity, None, query, query, reads, first[8:].strip())


def _tables(query: str, where: str) -> tuple[str, ...]:
    plain = query.format(batch="staged_rows")
    tree = lineage.parse(f"with staged_rows as (select 1) select * from ({plain})", where)
    return tuple(lineage.upstream(tree, where))


def warning(rule: Rule) -> Rule:
    """The same rule, told and not enforced."""
    return replace(rule, severity="warning")


def tables_read(rules: Iterable[Rule]) -> list[str]:
    """The lake tables that the SQL of the rules reads beside the rows themselves."""
    return sorted({name for rule in rules for name in rule.reads})
