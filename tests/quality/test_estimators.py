"""Estimators on made crowds with a known truth, and on the recorded sets (41-quality-usage §3.3)."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality.estimators import dawid_skene, labels_of, majority, one_coin, votes_of, wawa

SHARED = Path(os.environ.get("GUELTA_SHARED", Path(__file__).parents[3] / "shared"))
CROWD = next((p for p in (SHARED / "crowd", SHARED / "data" / "crowd") if p.is_dir()), None)

# set: MV½, MV, Wawa, DS parity (rounds), DS elbo (rounds)
RECORDED = {
    "bluebird": (0.7593, 0.7593, 0.7593, 0.8889, 2, 0.8981, 7),
    "d_jn-product": (0.8966, 0.8966, 0.8966, 0.9397, 80, 0.9391, 25),
    "dog": (0.8222, 0.8178, 0.8290, 0.8426, 14, 0.8439, 10),
    "web": (0.7307, 0.7765, 0.8168, 0.8292, 37, 0.8296, 30),
    "MS": (0.7042, 0.7100, 0.7986, 0.7686, 34, 0.7686, 35),
    "ZenCrowd_us": (0.8615, 0.8686, 0.8657, 0.8373, 2, 0.8230, 9),
    "ZenCrowd_all": (0.8301, 0.8363, 0.8368, 0.8010, 3, 0.7961, 7),
    "ZenCrowd_in": (0.7404, 0.7441, 0.7451, 0.7608, 5, 0.7618, 12),
    "s4_Face_Sentiment_Identification": (0.6367, 0.6301, 0.6301, 0.6404, 40, 0.6421, 13),
    "s5_AdultContent": (0.7583, 0.7598, 0.7628, 0.7658, 2, 0.7477, 20),
}


def a_crowd(seed: int = 5, items: int = 300, spammers: int = 12, experts: int = 6) -> tuple[pl.DataFrame, np.ndarray]:
    """Six experts who are right 9 times in 10, and twice as many spammers who mostly say 1."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, items)
    rows = []
    for worker in range(experts + spammers):
        right = rng.random(items) < (0.9 if worker < experts else 0.0)
        noise = rng.integers(0, 3, items) if worker < experts else np.where(rng.random(items) < 0.8, 1, 2)
        given_ = np.where(right, truth, noise)
        asked = rng.random(items) < 0.5
        rows.append(pl.DataFrame({"item": np.arange(items)[asked], "worker": worker, "label": given_[asked]}))
    return pl.concat(rows), truth


def accuracy(votes, fit, truth: np.ndarray) -> float:
    return float((votes.classes.to_numpy()[labels_of(fit)] == truth[votes.items.to_numpy()]).mean())


def test_skilled_estimators_see_through_a_spamming_majority():
    frame, truth = a_crowd()
    votes = votes_of(frame)
    codes = (votes.item, votes.worker, votes.label, votes.k)
    plain, skilled = majority.fit(*codes), dawid_skene.fit(*codes)
    assert accuracy(votes, plain, truth) < 0.75
    assert accuracy(votes, skilled, truth) > 0.9
    assert skilled.skill[:6].min() > skilled.skill[6:].max()
    assert one_coin.fit(*codes).skill.shape == wawa.fit(*codes).skill.shape == (18,)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_bound_never_falls_and_the_order_of_rows_changes_no_byte(seed):
    frame, _ = a_crowd(seed, items=40, spammers=3, experts=3)
    votes = votes_of(frame)
    shuffled = votes_of(frame.sample(fraction=1, shuffle=True, seed=seed))
    fits = []
    for v in (votes, shuffled):
        order = np.random.default_rng(seed).permutation(len(v.item)) if v is shuffled else slice(None)
        fits.append(dawid_skene.fit(v.item[order], v.worker[order], v.label[order], v.k))
    assert fits[0].posterior.tobytes() == fits[1].posterior.tobytes()
    assert fits[0].loss == fits[1].loss
    assert np.all(np.diff(fits[0].loss) > -1e-12)
    assert fits[0].posterior.sum(axis=1) == pytest.approx(np.ones(len(votes.items)))


def test_gold_items_are_held_at_their_class():
    frame, truth = a_crowd(items=60)
    votes = votes_of(frame)
    gold = np.full(len(votes.items), -1)
    gold[:30] = truth[votes.items.to_numpy()[:30]]
    fit = dawid_skene.fit(votes.item, votes.worker, votes.label, votes.k, gold=gold)
    assert (labels_of(fit)[:30] == gold[:30]).all()


def test_repeats_count_once_and_contradictions_are_counted():
    frame = pl.DataFrame({"item": ["a", "a", "a", "b"], "worker": ["x", "x", "x", "y"], "label": [0, 0, 2, 1]})
    votes = votes_of(frame)
    assert (len(votes.item), votes.contradictory_labels, votes.k, votes.classes.to_list()) == (3, 1, 3, [0, 1, 2])
    fit = majority.fit(votes.item, votes.worker, votes.label, votes.k)
    assert (labels_of(fit).tolist(), majority.tied(fit.posterior).tolist()) == ([0, 1], [2, 1])
    assert majority.half_tie_accuracy(fit.posterior, np.array([2, 1])) == 0.75


@pytest.mark.skipif(CROWD is None, reason=f"no recorded crowd sets below {SHARED}: set GUELTA_SHARED")
@pytest.mark.parametrize("name", RECORDED)
def test_the_recorded_sets_give_the_published_accuracies(name):
    votes = votes_of(pl.read_csv(CROWD / name / "label.csv.gz"))
    truth = pl.read_csv(CROWD / name / "truth.csv").filter(pl.col("item").is_in(votes.items.implode()))
    at, said = votes.items.search_sorted(truth["item"]).to_numpy(), truth["truth"].to_numpy()
    known = votes.classes.search_sorted(truth["truth"]).to_numpy()
    codes = (votes.item, votes.worker, votes.label, votes.k)
    plain, parity, elbo = majority.fit(*codes), dawid_skene.fit(*codes, stop="parity"), dawid_skene.fit(*codes)

    def right(fit):
        return round(float((votes.classes.to_numpy()[labels_of(fit)[at]] == said).mean()), 4)

    found = (
        round(majority.half_tie_accuracy(plain.posterior[at], known), 4),
        right(plain),
        right(wawa.fit(*codes)),
        right(parity),
        parity.iterations,
        right(elbo),
        elbo.iterations,
    )
    assert found == RECORDED[name]
    assert np.all(np.diff(elbo.loss) > -1e-12)
