"""Rules in headers, through the gate, into the lake: what passes is published, what fails is kept with its reason."""

from contextlib import suppress
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest

import models
from guelta.errors import BadModel, GateRefused
from guelta.lake import Lake
from guelta.lake.schema import Amount, Day, Int64, Text, spec
from models.build import build
from models.snapshot import Snapshot
from quality import rules
from quality.expectations import gate
from quality.status import outcomes

DAY = date(2026, 10, 1)
PAID = spec("raw.paid", {"id": Int64, "who": Text, "amount": Amount, "note": Text, "day": Day}, key=("id",))
HEADER = """/*
title: Who was paid what
grain: [id]
columns:
  id: The payment.
  who: The receiver.
  amount: Base units.
  note: A word.
rules:
{rules}
*/
select id, who, amount, note from raw.paid
"""


def a_lake(folder: Path, rows: list[tuple[int, str | None, int, str | None]]) -> Lake:
    lake = Lake(folder / "lake")
    frame = pl.DataFrame(
        rows, schema={"id": pl.Int64, "who": pl.String, "amount": pl.Int64, "note": pl.String}, orient="row"
    )
    lake.create(PAID).append(frame.with_columns(pl.lit(DAY).alias("day"), pl.col("amount").cast(pl.Decimal(38, 0))))
    return lake


def the_models(folder: Path, *words: str) -> list[models.Model]:
    (folder / "core").mkdir(parents=True, exist_ok=True)
    text = HEADER.format(rules="\n".join(f'- "{word}"' for word in words))
    (folder / "core" / "paid.sql").write_text(text, "utf-8")
    return models.load(root=folder)


def test_rows_that_break_a_rule_are_quarantined_and_nothing_is_published(tmp_path):
    lake = a_lake(tmp_path, [(1, "ada", 5, None), (2, None, -7, "x"), (3, "bob", -1, ":y {z}")])
    words = (
        "not_null(who)",
        "nonnegative(amount)",
        "matches(note?, '^:?[a-z]{1}( .*)?$')",
        "warn(positive(id, amount))",
    )
    with pytest.raises(GateRefused) as refused:
        build(lake, the_models(tmp_path / "m", *words), gate=gate(lake, day=DAY))
    assert refused.value.rule_ids == ("core.paid.not_null(who)", "core.paid.nonnegative(amount)")
    assert not lake.exists("core.paid")
    kept = pl.from_arrow(lake.table("ops.quarantine").read()).select("row_key", "rule_id").sort("rule_id", "row_key")
    assert kept.rows() == [
        ("[2]", "core.paid.nonnegative(amount)"),
        ("[3]", "core.paid.nonnegative(amount)"),
        ("[2]", "core.paid.not_null(who)"),
    ]
    said = (
        pl.from_arrow(lake.table("ops.gate_results").read())
        .select("rule_id", "severity", "passed", "failing")
        .sort("rule_id")
    )
    assert said.rows() == [
        ("core.paid.matches(note?, '^:?[a-z]{1}( .*)?$')", "critical", True, 0),
        ("core.paid.nonnegative(amount)", "critical", False, 2),
        ("core.paid.not_null(who)", "critical", False, 1),
        ("core.paid.positive(id, amount)", "warning", False, 2),
        ("core.paid.unique(id)", "critical", True, 0),
    ]


def test_a_refusal_tried_again_is_recorded_once_and_a_mended_rule_publishes(tmp_path):
    lake = a_lake(tmp_path, [(1, "ada", 5, "a"), (2, "bob", -7, "b")])
    strict = the_models(tmp_path / "m", "nonnegative(amount)")
    for _ in range(2):
        with pytest.raises(GateRefused):
            build(lake, strict, gate=gate(lake, day=DAY))
    assert lake.table("ops.gate_results").rows() == 2
    assert lake.table("ops.quarantine").rows() == 1
    build(lake, the_models(tmp_path / "m", "in_set(note, a, b)"), gate=gate(lake, day=DAY))
    assert lake.table("core.paid").rows() == 2


def test_a_reference_reads_the_other_table_and_waits_where_it_is_not_built(tmp_path):
    lake = a_lake(tmp_path, [(1, "ada", 5, "a"), (2, "eve", 7, "b")])
    known = the_models(tmp_path / "m", "references(who, core.people.name)")
    build(lake, known, gate=gate(lake, day=DAY))
    first = pl.from_arrow(lake.table("ops.gate_results").read()).filter(pl.col("rule_id").str.contains("references"))
    assert first.select("severity", "passed").rows() == [("warning", False)]
    people = spec("core.people", {"name": Text}, key=("name",))
    lake.create(people).append(pl.DataFrame({"name": ["ada"]}))
    with pytest.raises(GateRefused, match="1 of 2 rows"):
        build(lake, known, gate=gate(lake, day=DAY), full=True)


@pytest.mark.parametrize(
    ("word", "failing"),
    [
        ("unique(a)", [1, 2]),
        ("not_null(a, b)", [4]),
        ("nonnegative(b)", [3, 4]),
        ("nonnegative(b?)", [3]),
        ("positive(c)", [1]),
        ("between(c, 1, 8)", [1, 4]),
        ("at_most(b, c)", [1, 4]),
        ("equals(c, b + 2)", [1, 2, 3, 4]),
        ("equals(c, a + b - 1)", [1, 3, 4]),
        ("one_of(b, c)", [2]),
        ("in_set(s, 'x', y)", [3, 4]),
        ("in_set(s?, x, y)", [3]),
        ("matches(s, '^[xy]{1}$')", [3, 4]),
        ("octets(h, 2)", [2, 3]),
        ("sum_equals(b, c, s)", ["x", None]),
    ],
)
def test_each_word_finds_the_rows_that_break_it(word, failing):
    con = duckdb.connect()
    con.execute("create table t (i int, a int, b int, c int, s varchar, h blob)")
    con.execute(
        "insert into t values (1, 1, 4, 0, 'x', '\\x00\\x01'), (2, 1, 3, 3, 'y', '\\x00'), (3, 3, -1, 6, 'z', null), "
        "(4, 5, null, 9, null, '\\x00\\x01')"
    )
    if word.startswith("sum_equals"):
        con.execute("update t set c = -1 where i = 3")
    rule = rules.parse("core.t", word, ("i", "a", "b", "c", "s", "h"))
    column = "s" if word.startswith("sum_equals") else "i"
    found = con.sql(f"select {column} from ({rule.failing_rows('t')}) order by {column} nulls last").fetchall()
    assert [value for (value,) in found] == failing
    quick = con.sql(rule.quick.format(batch="t")).fetchall()
    assert bool(quick) == bool(failing)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("uniqe(a)", "did you mean unique"),
        ("unique", "takes one or more columns"),
        ("not_null(amout)", "did you mean amount"),
        ("between(amount, 1)", "takes a column and two bounds"),
        ("equals(amount, a * 2)", "joined by"),
    ],
)
def test_a_word_nobody_knows_is_refused_with_the_nearest(word, says):
    with pytest.raises(BadModel, match=says):
        rules.parse("core.paid", word, ("id", "amount", "a"))


def test_an_assertion_says_why_and_reads_the_rows_to_be_checked(tmp_path):
    good = tmp_path / "core.paid.no_gifts.sql"
    good.write_text(
        "-- why: nobody is paid for nothing\nselect p.* from {batch} as p join core.people using (who)\n", "utf-8"
    )
    (rule,) = rules.assertions("core.paid", tmp_path)
    assert (rule.id, rule.why, rule.reads) == ("core.paid.no_gifts", "nobody is paid for nothing", ("core.people",))
    other = tmp_path / "bad"
    other.mkdir()
    (other / "core.paid.silent.sql").write_text("select 1", "utf-8")
    with pytest.raises(BadModel, match="-- why:"):
        rules.assertions("core.paid", other)


def test_the_last_answer_counts_whatever_the_version_says(tmp_path):
    """A pass after a refusal at the same version, a refusal after a drop, and a value that fits no type."""
    lake = a_lake(tmp_path, [(1, "ada", 5, "a"), (2, "bob", 9 * 10**18, "b")])
    strict, loose = "at_most(amount, id)", "positive(amount)"

    def failing(word, *, column=None):
        read = the_models(tmp_path / "m", word)
        if column:
            text = (tmp_path / "m" / "core" / "paid.sql").read_text("utf-8")
            (tmp_path / "m" / "core" / "paid.sql").write_text(text.replace("id, who, amount", column), "utf-8")
            read = models.load(root=tmp_path / "m")
        with suppress(GateRefused):
            build(lake, read, gate=gate(lake, day=DAY), full=True)
        said = {rule for rule, (passed, _) in outcomes(lake)["core.paid"].items() if not passed}
        newest = Snapshot.of(lake, ["core.paid"]).gates().failing if lake.exists("core.paid") else ()
        assert not newest or set(newest) == {f"core.paid: {rule}" for rule in said}
        return said

    assert failing(strict) == {"core.paid.at_most(amount, id)"}
    assert failing(loose) == set()
    assert failing(strict) == {"core.paid.at_most(amount, id)"}
    assert failing(loose) == set()
    for _ in range(3):
        assert failing(loose) == set()
    lake.drop("core.paid")
    assert failing(strict) == {"core.paid.at_most(amount, id)"}
    assert failing(loose) == set()
    wide = "id, who, cast(amount * cast('90000000000000000000' as decimal(20,0)) as decimal(38,0)) as amount"
    assert failing(loose, column=wide) == {"core.paid.exact"}
    assert failing(loose) == set()
    seqs = lake.table("ops.gate_results").read()["seq"].to_pylist()
    assert None not in seqs
