"""What changed is made again, nothing else is; and what was refused is nowhere to be seen."""

import tempfile
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import models
from guelta.errors import BadModel, BadSetting, ForeignLake, GateRefused
from guelta.lake import ALL, Cursor, Lake, eq
from guelta.lake.schema import Amount, Int64, Text, spec
from models.build import build
from models.digest import digest

TUSD = b"\x11" * 20
DAILY = """/*
title: Paid by day
grain: [day, payer]
columns: {day: Day., payer: Payer., gross: Base units.}
partition: {by: day, window: 0}
*/
select day, payer, cast(sum(gross) as decimal(38,0)) as gross from raw.payments group by day, payer
"""
NAMED = """/*
title: Paid by day and group of payers
grain: [day, team]
columns: {day: Day., team: The payer's team., gross: Base units.}
partition: {by: day, window: 0}
*/
select d.day, t.team, cast(sum(d.gross) as decimal(38,0)) as gross
from core.daily as d join core.teams as t on t.payer = d.payer group by d.day, t.team
"""
TEAMS = """/*
title: Which team a payer is in
grain: [payer]
columns: {payer: Payer., team: Team.}
*/
select distinct payer, team from raw.teams
"""
TRAILING = """/*
title: Paid in three days
grain: [day]
columns: {day: Day., gross: Base units of the day and the two before., payers: Payers of the day.}
partition: {by: day, window: 3d}
*/
select days.upto as day, cast(sum(d.gross) as decimal(38,0)) as gross, count(distinct payer) as payers
from (
    select distinct cast(day + to_days(later.days) as date) as upto
    from core.daily cross join (values (0), (1), (2)) as later(days)
) as days
join core.daily as d on d.day <= days.upto and d.day > cast(days.upto - interval '3' day as date)
group by days.upto
"""
RUNNING = '''"""Everything paid until the end of a day."""
import polars as pl
from guelta.money import sum_by

header = """
title: Paid until
grain: [day]
columns: {day: Day., until_now: Base units.}
partition: {by: day, window: onward}
"""
upstream = ("core.daily",)

def build(inputs):
    daily = sum_by(inputs.frame("core.daily"), ["day"], ["gross"]).sort("day")
    return daily.select("day", until_now=pl.col("gross").cum_sum().cast(pl.Decimal(38, 0)))
'''
WHOLE = """/*
title: Everything, by payer
grain: [day, payer]
columns: {day: First day., payer: Payer., gross: Base units.}
*/
select min(day) as day, payer, cast(sum(gross) as decimal(38,0)) as gross from core.daily group by payer
"""
ALL_FILES = {
    "core__daily": DAILY,
    "core__teams": TEAMS,
    "core__trailing": TRAILING,
    "core__running": RUNNING,
    "marts__named": NAMED,
    "marts__whole": WHOLE,
}
TEAM = spec("raw.teams", {"payer": Text, "team": Text}, key=("payer",))
FIRST = date(2026, 9, 28)


def paid(number, day, payer, gross):
    return (number, 1, FIRST + timedelta(days=day), 1, payer, TUSD, gross, 0, 1)


@pytest.fixture
def world(lake, files, payments):
    """Three payments on three days in two months, and two teams."""
    lake.create(TEAM).append(pa.table({"payer": ["ann", "bob"], "team": ["red", "blue"]}))
    lake.table("raw.payments").append(payments([paid(1, 0, "ann", 5), paid(2, 2, "bob", 7), paid(3, 5, "ann", 11)]))
    return lake, models.load(root=files(**ALL_FILES))


def made(built):
    return {one.name: one.days for one in built if not one.skipped}


def test_only_days_that_can_have_changed_are_made_again(world, payments):
    lake, read = world
    every = {model.name: None for model in read}
    assert made(build(lake, read)) == every
    assert made(build(lake, read)) == {}
    lake.table("raw.payments").append(payments([paid(4, 2, "ann", 1)]))
    told = []
    again = build(lake, read, progress=told.append)
    assert again == told
    # the day; the day and two more; the day and all later ones; and a table without days of change is whole
    assert made(again) == {
        "core.daily": 1,
        "core.trailing": 3,
        "core.running": 1,
        "marts.named": 1,
        "marts.whole": None,
    }
    assert lake.table("core.running").read()["until_now"].to_pylist() == [5, 13, 24]
    assert made(build(lake, read, full=True)) == every


def test_a_whole_table_publishes_only_what_differs(world, payments):
    lake, read = world
    build(lake, read)
    before = {name: lake.table(name).version() for name in ("marts.whole", "core.teams", "marts.named")}
    lake.table("raw.payments").append(payments([paid(4, 5, "bob", 0)]))  # bob's first day and sum stay
    teams = lake.table("raw.teams")
    teams.replace(teams.read(), ALL)  # the same rows again
    build(lake, read)
    whole, daily = lake.table("marts.whole"), lake.table("core.teams")
    assert whole.changed(before["marts.whole"]) == set()
    assert daily.version() == before["core.teams"]  # so its readers have nothing to do
    assert lake.table("marts.named").changed(before["marts.named"]) == {FIRST + timedelta(days=5)}


@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_incremental_equals_full_after_any_history(data, payments):
    """Appends, corrections, reorgs that drop a tail, teams that change; builds of all or of a part in between."""
    payment = st.tuples(st.integers(0, 9), st.sampled_from(["ann", "bob", "cid"]), st.integers(0, 10**36))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "files")
        for name, text in ALL_FILES.items():
            path = root / (name.replace("__", "/") + (".py" if text.startswith('"""') else ".sql"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        read = models.load(root=root)
        lake = Lake(Path(folder, "lake"))
        raw, teams = lake.create(_payments_spec(payments)), lake.create(TEAM)
        number = 0
        for _ in range(data.draw(st.integers(1, 4), label="steps")):
            step = data.draw(st.sampled_from(["append", "append", "replace", "teams", "reorg"]), label="step")
            rows = [
                paid(number + i, *row) for i, row in enumerate(data.draw(st.lists(payment, min_size=1, max_size=3)), 1)
            ]
            number += len(rows)
            if step == "append":
                raw.append(payments(rows))
            elif step == "replace":
                day = rows[0][2]
                where = eq("month", day.replace(day=1)) & eq("day", day)
                raw.replace(payments([row for row in rows if row[2] == day]), where)
            elif step == "reorg":
                raw.replace(payments([]), eq("payment_id", data.draw(st.integers(0, number))))
            else:
                team = data.draw(st.sampled_from(["red", "blue"]))
                teams.replace(pa.table({"payer": ["ann", "bob", "cid"], "team": [team, "blue", "red"]}), ALL)
            selection = data.draw(st.sampled_from([(), ("core.daily",), ("+marts.named",), ("core",)]), label="build")
            build(lake, read, selection=selection)
        build(lake, read)
        names = [model.name for model in read]
        incremental = digest(lake, names)
        build(lake, read, full=True)
        assert digest(lake, names) == incremental


def test_code_that_changed_makes_its_table_and_what_is_made_from_it_again(world, files):
    lake, read = world
    build(lake, read)
    changed = models.load(root=files(core__daily=DAILY.replace("sum(gross)", "sum(gross) * 2")))
    assert set(made(build(lake, changed))) == {m.name for m in read} - {"core.teams"}
    assert lake.table("marts.whole").read()["gross"].to_pylist() == [32, 14]
    wider = DAILY.replace("gross: Base units.", "gross: Base units., n: Count.")
    wider = wider.replace("as gross", "as gross, count(*) as n").replace("[day, payer]", "[payer, day]")
    build(lake, models.load(root=files(core__daily=wider)))
    assert lake.table("core.daily").spec.key == ("payer", "day")
    assert lake.table("core.daily").read()["n"].to_pylist() == [1, 1, 1]


def test_a_refused_table_publishes_nothing_and_what_needs_it_waits(world, payments):
    lake, read = world
    build(lake, read)
    before = digest(lake), {name: lake.table(name).version() for name in lake.tables()}
    raw = lake.table("raw.payments")
    at = raw.version()
    raw.append(payments([paid(4, 1, "ann", 1)]))
    seen = []

    def gate(model, rows, con):
        seen.append((model.name, rows.num_rows, con.execute("select count(*) from staged").fetchone()[0]))
        if model.name == "core.daily":
            raise GateRefused("1 row breaks nonnegative(gross)", ("nonnegative(gross)",))

    told = []
    with pytest.raises(GateRefused, match=r"1 tables were refused.*core\.daily: 1 row breaks") as caught:
        build(lake, read, gate=gate, progress=told.append)
    assert caught.value.rule_ids == ("nonnegative(gross)",)
    assert seen == [("core.daily", 1, 1)]
    assert {one.name: one.reason for one in told} == {
        "core.daily": "refused: 1 row breaks nonnegative(gross)",
        "core.running": "waits for core.daily, which was refused",
        "core.teams": "unchanged",
        "core.trailing": "waits for core.daily, which was refused",
        "marts.named": "waits for core.daily, which was refused",
        "marts.whole": "waits for core.daily, which was refused",
    }
    raw.replace(raw.read(version=at), ALL)
    assert (digest(lake), {n: v for n, v in before[1].items() if n != "raw.payments"}) == (
        before[0],
        {name: lake.table(name).version() for name in lake.tables() if name != "raw.payments"},
    )


def test_a_model_waits_for_what_nobody_has_made(lake, files):
    read = models.load(root=files(core__teams=TEAMS))
    (built,) = build(lake, read)
    assert (built.skipped, built.reason) == (True, "waits for raw.teams")
    assert not lake.exists("core.teams")
    with pytest.raises(BadSetting, match=r"did you mean core\.teams"):
        build(lake, read, selection=["core.team"])


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("sum(payment_id) as x", r"column x is HUGEINT; write cast\(x as bigint\)"),
        ("null as x", r'column x is "NULL"; write cast\(null as'),
        ("1.5 as x", "a fraction; money is whole base units"),
        ("cast(1 as double) as x", r"write cast\(x as decimal\(38,0\)\) for money, or name it x_f64"),
        ("timestamp '2026-01-01' as x", "cast.*timestamptz"),
        ("1 as y", r"lacks \['x'\], has \['y'\] besides"),
        ("nothing as x", 'Referenced column "nothing" not found'),
    ],
)
def test_columns_that_the_lake_cannot_hold_are_refused_with_the_cast(lake, files, column, reason):
    text = f"/*\ntitle: T\ngrain: [k]\ncolumns: {{k: K., x: X.}}\n*/\nselect 'k' as k, {column} from raw.payments"
    with pytest.raises(BadModel, match=reason):
        build(lake, models.load(root=files(core__t=text)))
    assert not lake.exists("core.t")


def test_money_that_does_not_fit_refuses_its_table_and_the_others_are_built(lake, files, payments):
    lake.table("raw.payments").append(payments([paid(1, 0, "ann", 10**38 - 1), paid(2, 0, "ann", 1)]))
    beside = DAILY.replace("gross) as decimal", "fee) as decimal")
    told = []
    with pytest.raises(GateRefused, match=r"1 tables were refused.*core\.daily.*does not fit") as refused:
        build(
            lake,
            models.load(root=files(core__daily=DAILY, marts__whole=WHOLE, core__fees=beside)),
            progress=told.append,
        )
    assert refused.value.rule_ids == ("core.daily.exact",)
    assert {one.name: one.reason.partition(":")[0] for one in told} == {
        "core.daily": "refused",
        "core.fees": "first build",
        "marts.whole": "waits for core.daily, which was refused",
    }
    assert (lake.exists("core.daily"), lake.exists("core.fees")) == (False, True)


def test_a_python_model_reads_its_pinned_upstreams_and_may_be_empty(lake, files):
    text = '''"""Empty."""
import polars as pl
header = {
    "title": "E", "grain": ["k"], "columns": {"k": "K.", "x": "X.", "b_f64": "B."},
    "types": {"k": "Int64", "x": "Amount"},
}
upstream = ("raw.payments",)
def build(inputs):
    assert inputs.days is None
    assert inputs.sql("select count(*) as n from raw.payments where gross >= $least", least=0).item() == 0
    assert inputs.table("raw.payments").num_rows == inputs.frame("raw.payments").collect().height == 0
    return pl.DataFrame({"k": None, "x": None, "b_f64": 1.0}).clear()
'''
    build(lake, models.load(root=files(core__e=text)))
    found = lake.table("core.e").spec.schema
    assert [field.type for field in found] == [Int64, Amount, pa.float64()]
    other = text.replace('inputs.table("raw.payments").num_rows', 'inputs.table("raw.blocks").num_rows')
    with pytest.raises(BadModel, match=r"reads raw\.blocks, which its upstream does not name"):
        build(lake, models.load(root=files(core__e=other)))
    untyped = text.replace('"k": "Int64", ', "")
    with pytest.raises(BadModel, match="column k is null; say its type under types"):
        build(lake, models.load(root=files(core__e=untyped)))


def test_a_table_that_no_build_made_is_left_alone(lake, files):
    lake.create(spec("core.teams", {"other": Text}, key=("other",)))
    lake.create(TEAM)
    with pytest.raises(ForeignLake):
        build(lake, models.load(root=files(core__teams=TEAMS)))
    assert lake.table("core.teams").spec.schema.names == ["other"]


def test_what_an_upstream_without_days_touches_may_be_said(world, files):
    lake, _ = world
    said = NAMED.replace("window: 0", 'window: 0, affects: {core.teams: "select max(day) from core.daily"}')
    read = models.load(root=files(marts__named=said))
    build(lake, read)
    teams = lake.table("raw.teams")
    teams.replace(pa.table({"payer": ["ann", "bob"], "team": ["red", "red"]}), ALL)
    assert made(build(lake, read)) == {"core.teams": None, "marts.named": 1}


def _payments_spec(payments):
    fields = {field.name: field.type for field in payments([]).schema}
    return spec("raw.payments", fields, key=("payment_id",), partition=("month",))


def test_a_commit_that_lands_during_a_build_is_seen_by_the_next(world, payments):
    lake, read = world
    raw = lake.table("raw.payments")

    def gate(model, rows, con):
        del rows, con
        if model.name == "core.daily" and raw.rows() == 3:
            raw.append(payments([paid(4, 9, "cid", 1)]))

    build(lake, read, gate=gate)
    assert lake.table("core.daily").rows() == 3
    assert made(build(lake, read))["core.daily"] == 1
    assert pl.from_arrow(lake.table("core.daily").read())["gross"].cast(pl.Int64).to_list() == [5, 7, 11, 1]


def test_a_table_made_anew_is_another_table(world, payments):
    lake, read = world
    build(lake, read)
    again = lake.table("core.teams")
    lake.drop("core.teams")
    lake.create(again.spec).append(pa.table({"payer": ["ann", "bob"], "team": ["blue", "red"]}))
    while lake.version("core.teams") < 1:  # as many commits as the first one had
        lake.table("core.teams").append(pa.table({"payer": ["x"], "team": ["x"]}))
    (made_again,) = build(lake, read, selection=["marts.named"])
    assert made_again.reason == "core.teams was made anew"
    assert {(r["team"], int(r["gross"])) for r in lake.table("marts.named").read().to_pylist()} == {
        ("blue", 5),
        ("red", 7),
        ("blue", 11),
    }
    assert made(build(lake, read, selection=["marts.named"])) == {}


def test_a_cursor_from_before_ids_were_kept_counts_once_as_everything_changed(world):
    lake, read = world
    build(lake, read)
    for name in ("core.daily", "marts.whole"):
        table = lake.table(name)
        cursor = table.cursor(f"build:{name}")
        meta = {key: value for key, value in cursor.meta.items() if key != "upstream_id"}
        table.replace(table.read(), ALL, cursor=Cursor(cursor.app, cursor.n + 1, meta))
    build(lake, read)
    assert made(build(lake, read)) == {}
    assert all(lake.table(m.name).cursor(f"build:{m.name}").meta["upstream_id"].keys() == {*m.upstream} for m in read)


def test_a_key_without_the_day_is_looked_for_on_every_day(lake, files, payments):
    """Each payer's newest payment; a later one takes it off its day, which nobody says is to be made again."""
    text = DAILY.replace("title: Paid by day", "title: Newest payment").replace(
        "partition", "rules: [unique(payer)]\npartition"
    )
    text = text[: text.index("select")] + (
        "select day, payer, gross from raw.payments "
        "qualify row_number() over (partition by payer order by day desc nulls last) = 1"
    )
    read = models.load(root=files(core__newest=text))
    lake.table("raw.payments").append(payments([paid(1, 0, "ann", 5)]))
    build(lake, read)
    lake.table("raw.payments").append(payments([paid(2, 3, "ann", 6)]))
    with pytest.raises(GateRefused, match=r"core\.newest\.unique\(payer\) over the whole table") as refused:
        build(lake, read)
    assert refused.value.rule_ids == ("core.newest.unique(payer)",)
    assert lake.table("core.newest").rows() == 1
    build(lake, read, full=True)
    assert [int(row["gross"]) for row in lake.table("core.newest").read().to_pylist()] == [6]
