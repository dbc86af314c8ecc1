"""Metrics against their definitions written out, and what they say of nothing."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataRefused, UsageError
from models.metrics import (
    auroc_interval,
    bootstrap_interval,
    intervention_rate,
    interventions_per_episode,
    success_auroc,
    trigger_event_scores,
    value_order_correlation,
    wilson_interval,
)

FEW = st.integers(-3, 3).map(float)


def spearman(values):
    ranks = [sum(w < v for w in values) + (sum(w == v for w in values) - 1) / 2 for v in values]
    index = list(range(len(values)))
    if len(set(values)) == 1:
        return 0.0
    return float(np.corrcoef(ranks, index)[0, 1])


@given(st.lists(FEW, min_size=1, max_size=25))
def test_value_order_correlation_is_spearman_with_shared_ranks(values):
    assert value_order_correlation(values) == pytest.approx(spearman(values), abs=1e-9)


def test_value_order_correlation_of_plain_curves():
    assert value_order_correlation(np.arange(10) ** 3) == pytest.approx(1)
    assert value_order_correlation([3, 2, 1]) == pytest.approx(-1)
    assert value_order_correlation([0.5] * 9) == 0.0
    assert value_order_correlation([0.5]) == 0.0


@given(st.lists(st.tuples(FEW, st.booleans()), max_size=25))
def test_auroc_is_the_share_of_ordered_pairs(episodes):
    good = [s for s, ok in episodes if ok]
    bad = [s for s, ok in episodes if not ok]
    wins = [(g > b) + 0.5 * (g == b) for g, b in itertools.product(good, bad)]
    found = success_auroc([s for s, _ in episodes], [ok for _, ok in episodes])
    assert found == pytest.approx(float(np.mean(wins)) if wins else math.nan, nan_ok=True)


def test_auroc_refuses_unknown_outcomes_and_nan():
    with pytest.raises(DataRefused, match="unknown"):
        success_auroc([0.1, 0.2], [True, None])
    with pytest.raises(DataRefused, match="NaN"):
        success_auroc([0.1, math.nan], [True, False])
    with pytest.raises(DataRefused, match="differ"):
        success_auroc([0.1], [True, False])


def test_intervention_rate_counts_known_steps():
    assert intervention_rate([0, 0, 2, 255, 255, 1, 3]) == 1 / 5
    assert math.isnan(intervention_rate([255, 255]))
    assert math.isnan(intervention_rate([]))
    with pytest.raises(DataRefused):
        intervention_rate([0, 7])


@pytest.mark.parametrize(
    ("source", "merged", "raw"),
    [
        ([0, 2, 2, 0, 2], 1, 2),
        ([0, 2, 0, 0, 0, 0, 0, 2], 2, 2),
        ([2, 2, 0, 0, 0, 0, 0, 0], 0, 0),
        ([2, 0, 0, 0, 0, 0, 2], 1, 1),
        ([1, 2, 3, 3, 3, 3, 3, 3, 2], 2, 2),
        ([2, 3, 3, 3, 3, 3, 3, 2], 0, 0),
        ([255, 2, 2], 0, 0),
        ([3, 2, 0], 0, 0),
        ([0, 0], 0, 0),
        ([], 0, 0),
    ],
)
def test_interventions_follow_the_robot_and_merge_over_short_gaps(source, merged, raw):
    assert interventions_per_episode(source, 10.0) == merged
    assert interventions_per_episode(source, 10.0, merge_gap_s=0.0) == raw


def test_interventions_need_a_rate():
    with pytest.raises(UsageError):
        interventions_per_episode([0, 2], 0)


def test_wilson_against_published_figures():
    assert wilson_interval(19, 20) == pytest.approx((0.764, 0.991), abs=1e-3)
    assert wilson_interval(17, 20) == pytest.approx((0.640, 0.948), abs=1e-3)
    assert wilson_interval(0, 0) == (0, 1)
    assert wilson_interval(0, 5)[0] == 0.0
    assert wilson_interval(5, 5)[1] == 1.0
    with pytest.raises(DataRefused):
        wilson_interval(3, 2)


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_ends_are_where_the_share_is_one_z_away(k, n):
    k = min(k, n)
    for p in wilson_interval(k, n):
        assert 0 <= p <= 1
        if 0 < p < 1:
            assert abs(k / n - p) == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / n), rel=1e-5)


def most_matches(starts, onsets, before, after):
    """Try every order of triggers: the greedy assignment that does best."""
    best = 0
    for order in itertools.permutations(onsets):
        used, count = set(), 0
        for onset in order:
            near = [s for s in starts if s not in used and onset - before <= s <= onset + after]
            if near:
                used.add(near[0])
                count += 1
        best = max(best, count)
    return best


@given(
    st.lists(st.booleans(), min_size=1, max_size=24),
    st.lists(st.integers(0, 23), max_size=5),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_trigger_events_match_as_many_as_can_be(trigger, onsets, before, after):
    onsets = [o for o in onsets if o < len(trigger)]
    starts = [t for t, on in enumerate(trigger) if on and (t == 0 or not trigger[t - 1])]
    scores = trigger_event_scores(trigger, onsets, before, after)
    assert scores.tp == most_matches(starts, onsets, before, after) == len(scores.lead_steps)
    assert (scores.tp + scores.fp, scores.tp + scores.fn) == (len(starts), len(onsets))
    assert all(-after <= lead <= before for lead in scores.lead_steps)


def test_trigger_events_by_hand():
    trigger = np.zeros(40, bool)
    trigger[[5, 6, 7, 20, 30]] = True
    scores = trigger_event_scores(trigger, [8, 19], before=5, after=8)
    assert (scores.tp, scores.fp, scores.fn) == (2, 1, 0)
    assert scores.lead_steps == (3, -1)
    assert (scores.precision, scores.recall, scores.f1) == (2 / 3, 1.0, 0.8)


def test_one_onset_does_not_excuse_two_triggers():
    scores = trigger_event_scores([1, 0, 1, 0], [1], before=5, after=5)
    assert (scores.tp, scores.fp, scores.fn) == (1, 1, 0)


def test_trigger_events_of_nothing_have_no_answer():
    nothing = trigger_event_scores([0, 0], [], 1, 1)
    assert all(map(math.isnan, (nothing.precision, nothing.recall, nothing.f1)))
    missed = trigger_event_scores([0, 0], [1], 1, 1)
    assert (missed.recall, missed.f1, missed.fn) == (0.0, 0.0, 1)
    with pytest.raises(DataRefused):
        trigger_event_scores([0, 0], [2], 1, 1)


def test_bootstrap_interval_is_that_of_the_normal_for_a_mean():
    values = np.random.default_rng(3).normal(2, 1, 400)
    low, high = bootstrap_interval(values, n=2000)
    assert (low, high) == pytest.approx((values.mean() - 0.098, values.mean() + 0.098), abs=0.015)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval([4.0, 4.0], statistic=np.max) == (4.0, 4.0)
    assert all(map(math.isnan, bootstrap_interval([])))


def test_auroc_interval_holds_the_auroc_and_shrinks_with_data():
    rng = np.random.default_rng(5)

    def interval(count):
        outcome = np.arange(count) % 2 == 0
        scores = rng.normal(size=count) + outcome
        low, high = auroc_interval(scores, outcome, n=300)
        assert low < success_auroc(scores, outcome) < high
        return high - low

    assert interval(400) < interval(40)
    assert all(map(math.isnan, auroc_interval([0.1], [True])))


@pytest.mark.parametrize("bad", [[], [math.nan], [1.0, math.inf]])
def test_curves_that_are_none_are_refused(bad):
    with pytest.raises(DataRefused):
        value_order_correlation(bad)
