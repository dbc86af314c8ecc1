"""The conformal threshold: its rank, its promise, and its refusal to promise too much."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataRefused, UsageError
from models.conformal import conformal_threshold, needed, rate_sd, statement

ALPHAS = st.sampled_from([0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 0.9])


def test_known_ranks():
    assert conformal_threshold(np.arange(1, 10), 0.1) == 9
    assert conformal_threshold(np.arange(1, 20), 0.05) == 19
    assert conformal_threshold(np.arange(1, 20), 0.1) == 18
    assert conformal_threshold(np.arange(1, 58)[::-1], 0.2) == 47


@pytest.mark.parametrize(("alpha", "count"), [(0.1, 9), (0.05, 19), (0.2, 4), (0.5, 1), (0.3, 3), (0.01, 99)])
def test_needed_is_the_least_that_gives_a_finite_threshold(alpha, count):
    assert needed(alpha) == count
    assert math.isfinite(conformal_threshold(np.zeros(count), alpha))
    assert conformal_threshold(np.zeros(count - 1), alpha) == math.inf


def test_rank_is_taken_in_decimals_not_in_binary_floats():
    for n in range(9, 400):
        tenth = n + 1 - (n + 1) // 10
        assert conformal_threshold(np.arange(1, n + 1), 0.1) == tenth


@given(ALPHAS, st.lists(st.floats(-5, 5), min_size=1, max_size=40, unique=True))
def test_left_out_one_exceeds_the_rest_at_most_alpha_of_the_time(alpha, scores):
    """The proof behind the promise: leave each one out, calibrate on the others, count how many exceed."""
    exceeding = sum(s > conformal_threshold([r for r in scores if r != s], alpha) for s in scores)
    assert exceeding <= alpha * len(scores) + 1e-9


@given(ALPHAS, st.lists(st.floats(-5, 5), min_size=1, max_size=40, unique=True))
def test_no_smaller_calibration_score_would_keep_the_promise(alpha, scores):
    threshold = conformal_threshold(scores, alpha)
    if not math.isfinite(threshold):
        return
    # a further score takes each of the n + 1 ranks with equal chance; this is its chance to exceed the next smaller one
    below = sum(s < threshold for s in scores)
    chance = (len(scores) + 1 - below) / (len(scores) + 1)
    assert chance > alpha - 1e-9


def test_stricter_alpha_never_lowers_the_threshold():
    scores = np.random.default_rng(0).normal(size=200)
    thresholds = [conformal_threshold(scores, a) for a in (0.5, 0.2, 0.1, 0.05, 0.01, 0.001)]
    assert all(a <= b for a, b in pairwise(thresholds))
    assert thresholds[-1] == math.inf


def test_rate_spread_is_what_simulation_shows():
    rng = np.random.default_rng(1)
    rates = np.array([1 - conformal_threshold(rng.uniform(size=57), 0.1) for _ in range(4000)])
    assert abs(rates.std() - rate_sd(0.1, 57)) < 0.003
    assert rates.mean() <= 0.1


def test_statement_says_from_how_many_and_what_is_promised():
    told = statement(0.1, 57)
    assert "these 57" in told
    assert "at most 0.1 (standard deviation 0.037 " in told


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 1.5, math.nan])
def test_alpha_outside_0_1_is_refused(alpha):
    with pytest.raises(UsageError):
        conformal_threshold([1.0], alpha)


def test_nan_scores_are_refused():
    with pytest.raises(DataRefused):
        conformal_threshold([1.0, math.nan], 0.1)
