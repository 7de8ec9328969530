"""Model files are read as they are written, and what is wrong is said with the file's name."""

import subprocess
import sys

import pytest

import models
from guelta.errors import BadModel, BadSetting
from models import lineage
from models.header import Partition, rules

GOOD = """/*
title: What each asset was paid
grain: [day, asset_id]
columns:
  day: UTC day.
  asset_id: The asset.
  paid: Base units.
rules: [unique(day, asset_id), nonnegative(paid), in_set(asset_id, 1, 2)]
partition: {by: day, window: 28d}
*/
-- a comment of the SQL
select day, asset_id, cast(sum(paid) as decimal(38,0)) as paid from core.paid group by day, asset_id;
"""
PYTHON = '''"""What came first."""
header = {"title": "First", "grain": ["party"], "columns": {"party": "Who.", "day": "When."}, "types": {"day": "Day"}}
upstream = ("core.paid", "raw.logs")
def build(inputs):
    return inputs.frame("core.paid").collect()
'''


def test_a_file_is_a_table_and_its_path_the_name(files):
    root = files(marts__asset_paid=GOOD, core__early__firsts=PYTHON, core___shared='"""Not a table."""')
    found = {model.name: model for model in models.load(root=root)}
    assert list(found) == ["core.firsts", "marts.asset_paid"]
    paid = found["marts.asset_paid"]
    assert (paid.folder, paid.upstream, paid.grain) == ("marts", ("core.paid",), ("day", "asset_id"))
    assert paid.rules == ("unique(day, asset_id)", "nonnegative(paid)", "in_set(asset_id, 1, 2)")
    assert paid.partition == Partition("day", 27)
    assert paid.sql is not None
    assert paid.sql.startswith("-- a comment")
    assert paid.sql.endswith("group by day, asset_id")
    firsts = found["core.firsts"]
    assert (firsts.folder, firsts.upstream) == ("core/early", ("core.paid", "raw.logs"))
    assert firsts.sql is None


def test_another_room_adds_its_tables(files, tmp_path):
    root = files(marts__asset_paid=GOOD, quality__core__paid=GOOD.replace("core.paid", "raw.paid"))
    names = [model.name for model in models.load(also=[root / "quality" / "core"], root=root)]
    assert names == ["core.paid", "marts.asset_paid"]  # after what it reads
    with pytest.raises(BadModel, match="nothing at"):
        models.load(also=[tmp_path / "none"], root=root)


@pytest.mark.parametrize(
    ("sql", "upstream"),
    [
        ("with a as (select * from core.x) select * from a join raw.y using (k)", ("core.x", "raw.y")),
        ("select 1 as one where exists (select 1 from core.x where k in (select k from raw.y))", ("core.x", "raw.y")),
        ("select * from core.x union all by name select * from raw.y", ("core.x", "raw.y")),
        ("from core.x select k qualify row_number() over (order by k) = 1", ("core.x",)),
        ("with recursive t as (select 1 as n union all select n + 1 from t) select n from t, core.x", ("core.x",)),
        ("select * from core.x as x, lateral (select * from raw.y as y where y.k = x.k) as z", ("core.x", "raw.y")),
        ("select 'from core.no' as text, $p as p from core.x -- from core.no", ("core.x",)),
    ],
)
def test_upstreams_are_read_from_the_sql(sql, upstream):
    assert lineage.upstream(lineage.parse(sql, "x.sql"), "x.sql") == upstream


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("/*", "").replace("*/", ""), "first /"),
        (lambda text: text.replace("title: What each asset was paid\n", ""), "no title"),
        (lambda text: text.replace("rules:", "rulez:"), "unknown header keys rulez"),
        (lambda text: text.replace("title:", "title: Once\ntitle:"), "title twice"),
        (lambda text: text.replace("grain: [day, asset_id]", "grain: [day, asset]"), "grain names asset"),
        (lambda text: text.replace("paid: Base units.", "paid: exact: base units."), "quote a sentence"),
        (lambda text: text.replace("paid: Base units.", "paid:"), "column paid has no sentence"),
        (lambda text: text.replace("paid: Base units.", "month: Of the day."), "month belongs to the writer"),
        (lambda text: text.replace("nonnegative(paid)", "'not a rule'"), "expected a rule"),
        (lambda text: text.replace("window: 28d", "window: soon"), "expected window"),
        (lambda text: text.replace("grain: [day, asset_id]", "grain: [asset_id]"), "needs day in the grain"),
        (lambda text: text.replace("group by", "grupp by"), "syntax error"),
        (lambda text: text.rstrip() + " select 1;", "exactly one SELECT"),
        (lambda text: text.replace("from core.paid", "from paid"), "paid is neither a CTE nor a table"),
        (lambda text: text.replace("core.paid", "other.core.paid"), "three parts"),
        (lambda text: text.replace("core.paid", "read_parquet('x')"), "read_parquet"),
        (lambda text: "/* title: x */ create table x (i int)", "header has no grain"),
        (lambda text: text.split("*/")[0] + "*/ create table x (i int)", "Only SELECT"),
        (lambda text: text.replace("rules:", "metrics: {n: {sum: nope}}\nrules:"), "metric n names nope"),
        (lambda text: text.replace("rules:", "metrics: {n: {mean: paid}}\nrules:"), "metric n in snake_case with one"),
        (lambda text: text.replace("rules:", "metrics: {n: {sum: paid, by: [who]}}\nrules:"), "by names who"),
        (lambda text: text.replace("rules:", "metrics: {n: {sum: paid, from: press}}\nrules:"), "expected from"),
        (lambda text: text.replace("rules:", "metrics: {n: {quantile: paid}}\nrules:"), "expected quantile"),
    ],
)
def test_a_file_that_breaks_its_header_is_named_with_the_reason(files, change, reason):
    with pytest.raises(BadModel, match=reason) as caught:
        models.load(root=files(marts__broken=change(GOOD)))
    assert str(caught.value).startswith("marts/broken.sql: ")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("upstream =", "reads ="), "missing upstream"),
        (lambda text: text.replace('("core.paid", "raw.logs")', '"core.paid"'), "upstream as a tuple"),
        (lambda text: text.replace("upstream =", "import nothing_like_it\nupstream ="), "nothing_like_it"),
        (lambda text: text.replace('"types": {"day"', '"types": {"date"'), "types names date"),
    ],
)
def test_a_python_model_that_is_none_is_named_with_the_reason(files, change, reason):
    with pytest.raises(BadModel, match=reason):
        models.load(root=files(core__broken=change(PYTHON)))


def test_tables_that_read_each_other_are_named(files):
    one = GOOD.replace("core.paid", "marts.two")
    with pytest.raises(BadModel, match=r"circle: marts\.one -> marts\.two -> marts\.one"):
        models.load(root=files(marts__one=one, marts__two=one.replace("marts.two", "marts.one")))


def test_one_table_has_one_file(files):
    with pytest.raises(BadModel, match="made by two files"):
        models.load(root=files(marts__paid=GOOD, marts__again__paid=GOOD))


def test_rules_survive_the_commas_of_yaml():
    assert rules(["unique(a", "b)", "fresh", "check(f(a", "b) > 0)"], "x") == (
        "unique(a, b)",
        "fresh",
        "check(f(a, b) > 0)",
    )


def test_a_selection_names_tables_folders_and_what_they_are_made_from(files):
    paid = GOOD.replace("core.paid", "core.calls")
    root = files(marts__usage__daily=GOOD, core__paid=paid, core__earn__calls=GOOD.replace("core.paid", "raw.logs"))
    read = models.load(root=root)

    def names(*words):
        return [model.name for model in models.select(read, words)]

    assert names() == ["core.calls", "core.paid", "marts.daily"]
    assert names("marts.daily") == ["marts.daily"]
    assert names("core") == ["core.calls", "core.paid"]
    assert names("earn", "marts/usage") == ["core.calls", "marts.daily"]
    assert names("+marts") == ["core.calls", "core.paid", "marts.daily"]
    assert names("+core.paid") == ["core.calls", "core.paid"]
    with pytest.raises(BadSetting, match=r"found 'marts\.dayly'; did you mean marts\.daily"):
        names("marts.dayly")


def test_a_changed_file_is_read_again_and_only_code_changes_the_digest(files):
    (first,) = models.load(root=files(marts__paid=GOOD))
    (retitled,) = models.load(root=files(marts__paid=GOOD.replace("What each asset", "All that each asset")))
    (changed,) = models.load(root=files(marts__paid=GOOD.replace("from core.paid", "from core.paid where paid > 0")))
    assert retitled.title.startswith("All")
    assert first.digest == retitled.digest != changed.digest


def test_the_code_of_a_model_is_all_it_imports_also_by_a_packages_name(tmp_path):
    words = {
        "core/lines.py": "from quality.matching import match",
        "matching/__init__.py": "from quality.matching.books import Books",
        "matching/books.py": "class Books: ...",
        "matching/other.py": "nobody imports this",
    }
    for name, text in words.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    sources = lineage.python_sources(tmp_path / "core/lines.py", {"quality": tmp_path})
    assert set(sources) == {text for name, text in words.items() if name != "matching/other.py"}


def test_the_house_reads_its_own_models_and_each_is_made_from_what_exists():
    read = models.load()
    place = {model.name: i for i, model in enumerate(read)}
    assert all(place[up] < place[model.name] for model in read for up in model.upstream if up in place)


def test_importing_models_is_quick():
    heavy = "duckdb", "polars", "pyarrow", "yaml", "deltalake"
    code = f"import sys, models; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
