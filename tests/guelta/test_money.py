"""Money conserves, sums exactly, and refuses what would not stay exact."""

import doctest

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import guelta.money
from guelta.errors import Inexact
from guelta.money import (
    DECIMAL_LIMIT,
    amount_of,
    amounts,
    base_units,
    from_raw,
    mul_div_expr,
    raw_of,
    split,
    sum_by,
    to_raw,
    whole,
)

uint256 = st.integers(0, 2**256 - 1)
amount = st.integers(0, DECIMAL_LIMIT - 1)


def test_examples_in_docstrings_hold():
    assert doctest.testmod(guelta.money).failed == 0


@given(
    uint256,
    st.lists(st.integers(0, 2**64), min_size=1, max_size=12),
    st.sampled_from(["prefix", "largest_remainder", "residual_payee"]),
)
def test_split_gives_back_what_it_was_given(total, weights, rule):
    weights[0] += 1
    parts = split(total, weights, rule)
    assert sum(parts) == total
    assert min(parts) >= 0
    assert len(parts) == len(weights)


@given(uint256)
def test_raw_bytes_keep_numeric_order_and_value(x):
    assert from_raw(to_raw(x)) == x
    assert (to_raw(x) < to_raw(2**255)) == (x < 2**255)


@given(st.lists(st.none() | amount, max_size=20))
def test_raw_column_and_amount_column_are_inverse(values):
    column = amounts("x", values)
    raw = raw_of(column)
    assert raw.to_list() == [None if v is None else to_raw(v) for v in values]
    assert amount_of(raw.alias("x_raw")).to_list() == column.to_list()


@given(st.lists(st.tuples(st.sampled_from("abc"), amount), min_size=1, max_size=30))
def test_sum_by_equals_python_integers_or_refuses(rows):
    expected: dict[str, int] = {}
    for key, value in rows:
        expected[key] = expected.get(key, 0) + value
    frame = pl.DataFrame([pl.Series("k", [k for k, _ in rows]), amounts("x", [v for _, v in rows])])
    if max(expected.values()) >= DECIMAL_LIMIT:
        with pytest.raises(Inexact, match="more than 38 digits"):
            sum_by(frame, ["k"], ["x"])
    else:
        found = {k: int(v) for k, v in sum_by(frame, ["k"], ["x"]).iter_rows()}
        assert found == expected


def test_sum_by_survives_what_polars_sums_to_a_negative_number():
    nearly = DECIMAL_LIMIT - 1
    frame = pl.DataFrame([pl.Series("k", ["a", "b"]), amounts("x", [nearly, nearly])])
    assert sum_by(frame, ["k"], ["x"])["x"].to_list() == [nearly, nearly]
    with pytest.raises(Inexact):
        sum_by(frame, [], ["x"])


@given(st.lists(st.tuples(amount, st.integers(0, 10_000)), min_size=1, max_size=20))
def test_mul_div_on_columns_equals_python_integers(rows):
    frame = pl.DataFrame([amounts("x", [x for x, _ in rows]), pl.Series("s", [s for _, s in rows], dtype=pl.Int64)])
    found = frame.select(mul_div_expr(pl.col("x"), pl.col("s"), 10_000)).to_series().to_list()
    assert [int(v) for v in found] == [x * s // 10_000 for x, s in rows]


@pytest.mark.parametrize("value", [1.0, True, "1.5", "1e18", "-3", " 7", "", "٣", 2**256, -1, None])
def test_a_lossy_amount_is_refused(value):
    with pytest.raises(Inexact):
        base_units(value)


def test_whole_tokens_as_exact_text():
    assert whole(1779859438293124247192869243185, 18) == "1779859438293.124247192869243185"
