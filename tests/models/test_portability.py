"""Model SQL stays in what two engines say alike; the list is 30-lake §7.2."""

import pytest

import models
from models.portability import findings

HEADER = "/*\ntitle: T\ngrain: [k]\ncolumns: {k: K., x: X.}\n*/\n"


def found(files, sql, header=HEADER):
    (model,) = models.load(root=files(core__t=header + sql))
    return findings(model)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("select k, a / b as x from core.u", "divides with /"),
        ("select k, a // b as x from core.u", "divides with //"),
        ("select k, avg(a) as x from core.u group by k", "avg is no integer"),
        ("select k, sum(a) as x from core.u group by k", "sums without a cast"),
        ("select k, cast(a as hugeint) as x from core.u", "casts to HUGEINT"),
        ("select k, a::double as x from core.u", "casts to DOUBLE"),
        ("select k, cast(a as timestamp) as x from core.u", "write timestamptz"),
        ("select * from core.u", "ends in *"),
        ("select k, x from core.u union all select * from core.v", "ends in *"),
        ("with c as (select k, random() as x from core.u) select k, x from c", "random differs"),
        ("select k, current_date as x from core.u", "time comes in as a row"),
        ("select k, now() as x from core.u", "time comes in as a row"),
        ("select k, approx_count_distinct(a) as x from core.u group by k", "approx_count_distinct depends"),
        ("select k, row_number() over (order by a) as x from core.u", "nulls last"),
        ("select k, x from core.u order by k limit 5", "nulls last"),
        ("select k, arg_max(a, b) as x from core.u group by k", "max_by"),
        ("select k, concat(a, b) as x from core.u", "coalesce"),
        ("select k, date_diff('day', a, b) as x from core.u", "calendar table"),
        ("select k, extract(dow from a) as x from core.u", "the day of the week"),
        ("select k, sha256(a) as x from core.u", "md5"),
        ("select k, u.x from core.u as u asof join core.v as v on u.k = v.k and u.t >= v.t", "ASOF"),
        ("select k, x from core.u union all by name select k, x from core.v", "UNION BY NAME"),
        ("select k, list_transform(a, lambda e: e + 1) as x from core.u", "lambdas"),
    ],
)
def test_what_differs_is_found_with_what_to_write(files, sql, says):
    assert any(says in one for one in found(files, sql)), found(files, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select k, cast(sum(a) as decimal(38,0)) as x from core.u group by k having sum(a) > 0",
        "with c as (select * from core.u) select k, x from c",
        "select k, max_by(a, b) as x from core.u group by k",
        "select k, row_number() over (partition by k order by a nulls last, b desc nulls last) as x from core.u",
        "select k, '0x' || lower(hex(a)) as x from core.u where x in (select x from core.v)",
        "select k, cast(date_trunc('month', a) as date) as x from core.u qualify row_number() over (order by k nulls last) = 1",
    ],
)
def test_what_both_engines_say_alike_passes(files, sql):
    assert found(files, sql) == []


def test_an_estimate_that_says_so_may_divide(files):
    header = HEADER.replace("x: X.", "x_f64: X.")
    assert found(files, "select k, avg(a) / cast(2 as double) as x_f64 from core.u group by k", header) == []


def test_every_model_of_the_house_is_portable():
    assert [one for model in models.load() for one in findings(model)] == []
