"""How evenly an amount is held."""

from hypothesis import given
from hypothesis import strategies as st

from dashboards import spread


@given(st.lists(st.integers(0, 10**30), min_size=1, max_size=60))
def test_gini_equals_the_mean_difference_between_pairs(amounts):
    held = [one for one in amounts if one]
    gini = spread.of(amounts).gini
    if not held:
        assert gini is None
        return
    apart = sum(abs(a - b) for a in held for b in held)
    assert abs(gini - apart / (2 * len(held) * sum(held))) < 1e-12


@given(st.lists(st.integers(1, 10**24), min_size=1, max_size=500))
def test_the_curve_runs_from_nothing_to_all_below_the_even_line(amounts):
    curve = spread.of(amounts).lorenz(50)
    points = list(curve.iter_rows())
    assert (points[0], points[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert all(held <= people + 1e-12 for people, held in points)
    assert len(points) <= 102
