"""Agreement coefficients against published worked examples (41-quality-usage §2.2)."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality import agreement
from quality.agreement import cohen, coincidence, fleiss, interval_alpha, krippendorff, percent, randolph
from quality.intervals import beta_prior, shrunk, wilson

THREE_CODERS = [  # Krippendorff's example: coders x units, 0 = missing
    [0, 0, 0, 0, 0, 3, 4, 1, 2, 1, 1, 3, 3, 0, 3],
    [1, 0, 2, 1, 3, 3, 4, 3, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 2, 1, 3, 4, 4, 0, 2, 1, 1, 3, 3, 0, 4],
]
FOURTEEN_RATERS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
SAS = np.array([[0, 4, 1], [0, 8, 0], [0, 1, 5]])


def counts_from_coders(coders: list[list[int]], missing: int = 0) -> np.ndarray:
    units = np.array(coders).T
    return np.array([[int((unit == c).sum()) for c in range(1, 5)] for unit in units if (unit != missing).any()])


def test_krippendorff_gives_the_published_alphas_on_all_four_scales():
    counts = counts_from_coders(THREE_CODERS)
    values = np.array([1.0, 2.0, 3.0, 4.0])
    found = {scale: krippendorff(counts, scale, values).value for scale in ("nominal", "ordinal", "interval", "ratio")}
    assert found == pytest.approx(
        {
            "nominal": 0.691358024691358,
            "ordinal": 0.8067214199413153,
            "interval": 0.8108448928121059,
            "ratio": 0.8089436707842471,
        },
        abs=1e-12,
    )


def test_kappas_give_the_published_values():
    assert fleiss(np.array(FOURTEEN_RATERS)).value == pytest.approx(0.20993070442195522, abs=1e-12)
    plain = cohen(SAS)
    assert (plain.value, plain.ase, plain.low, plain.high) == pytest.approx((0.4842, 0.1380, 0.2137, 0.7547), abs=5e-5)
    assert cohen(SAS, "linear").value == pytest.approx(0.4701, abs=5e-5)
    fixed_and_free = np.array([[7, 1], [3, 5]])
    assert (fleiss(fixed_and_free).value, randolph(fixed_and_free).value) == pytest.approx(
        (0.161905, 0.214286), abs=1e-6
    )


def test_the_recorded_vectors_agree():
    shared = Path(os.environ.get("GUELTA_SHARED", Path(__file__).parents[3] / "shared"))
    path = next(
        (p for p in (shared / "agreement/vectors.json", shared / "data/agreement/vectors.json") if p.exists()), None
    )
    if path is None:
        pytest.skip(f"no recorded vectors below {shared}: set GUELTA_SHARED")
    vectors = json.loads(path.read_text())
    coders = [[x or 0 for x in row] for row in vectors["krippendorff_wikipedia_3coders"]["data"]]
    expected = vectors["krippendorff_wikipedia_3coders"]["computed_krippendorff"]
    counts, values = counts_from_coders(coders), np.array([1.0, 2.0, 3.0, 4.0])
    assert {s: krippendorff(counts, s, values).value for s in expected} == pytest.approx(expected, abs=1e-12)
    table = np.array(vectors["fleiss_wikipedia_10x5_14raters"]["data"])
    assert fleiss(table).value == pytest.approx(
        vectors["fleiss_wikipedia_10x5_14raters"]["computed_statsmodels"], abs=1e-12
    )
    for name in ("fleiss_randolph_0", "fleiss_randolph_1"):
        data, say = np.array(vectors[name]["data"]), vectors[name]["expected"]
        free = randolph(data)
        assert free.value == pytest.approx(say["randolph_kappa_free_marginal"], abs=1e-6)


def test_where_everybody_says_the_same_there_is_no_coefficient_and_a_reason():
    same = np.array([[3, 0], [3, 0]])
    assert [(c.value, c.reason) for c in (krippendorff(same), fleiss(same))] == [(None, "no_variation")] * 2
    alone = np.array([[1, 0], [0, 1]])
    assert (krippendorff(alone).reason, percent(alone).reason) == ("no_pairs", "no_pairs")
    assert fleiss(np.array([[2, 1], [2, 2]])).reason == "labels_per_item_vary"
    assert percent(np.array([[2, 1], [3, 0]])).value == pytest.approx((2 + 6) / 12)


@given(st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=2, max_size=12), st.integers(0, 11))
def test_alpha_of_a_month_is_read_from_the_sum_of_its_days(rows, cut):
    counts = np.array(rows)
    cut = min(cut, len(counts))
    merged = coincidence(counts[:cut]) + coincidence(counts[cut:])
    whole, parts = krippendorff(counts), krippendorff(merged)
    assert (parts.items, parts.reason) == (whole.items, whole.reason)
    assert parts.value == pytest.approx(whole.value, abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=4, max_size=40))
def test_interval_alpha_in_one_pass_equals_the_matrix_form(pairs):
    item, label = np.array([i for i, _ in pairs]), np.array([x for _, x in pairs])
    counts = agreement.counts_of(item, label, 6, 4)
    assert interval_alpha(item, label.astype(float)).value == pytest.approx(
        krippendorff(counts, "interval").value, abs=1e-9
    )


def test_rates_carry_their_uncertainty():
    assert wilson(0, 0) == (None, None, None)
    assert tuple(wilson(8, 10)) == pytest.approx((0.8, 0.490162, 0.943318), abs=1e-6)
    assert wilson(0, 5).low == 0.0
    with pytest.raises(ValueError, match="6 of 5"):
        wilson(6, 5)
    prior = beta_prior([(1, 10), (9, 10), (5, 10), (2, 10), (8, 10)])
    assert abs(shrunk(1, 1, prior) - 0.5) < abs(shrunk(10, 10, prior) - 0.5) < 0.5
    assert beta_prior([(5, 10), (5, 10)]) == (1.0, 1.0)
