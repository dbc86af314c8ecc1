"""Being stuck: labels from hindsight, the head, and W."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from model_samples import HOLD, HUMAN, POLICY, RECOVERY, step_data

from episodes.record import Array
from models.curve import control_runs
from models.history import FEATURES
from models.stall import discounted, fit_stall_head, hindsight_labels, last_rise, stall_probability, trailing_mean

nan = np.nan


def labelled(source: list[int], values: list[float], *, success: bool | None) -> Array:
    steps = len(source)
    episode = step_data(
        0,
        success=success,
        source=np.array(source, np.uint8),
        time_s=np.arange(steps) / 10,
        collection="takeover",
    )
    return hindsight_labels(episode, np.array(values))


def test_the_last_rise_is_the_last_new_maximum_by_five_hundredths() -> None:
    assert last_rise(np.array([0.0, 0.04, 0.06, 0.10, 0.12, 0.12, 0.02])) == 4  # .06 over 0, then .12 over .06
    assert last_rise(np.array([0.5, 0.1, 0.54])) == 0
    assert last_rise(np.array([0.3])) == 0


def test_an_unaided_success_is_never_stuck() -> None:
    np.testing.assert_array_equal(labelled([POLICY] * 4, [0.1] * 4, success=True), np.zeros(4))
    np.testing.assert_array_equal(labelled([HUMAN] * 4, [0.1] * 4, success=True), np.zeros(4))


def test_a_failure_is_stuck_half_a_second_after_its_last_rise() -> None:
    values = [0.0, 0.1, 0.2, *[0.2] * 9]
    expected = [0.0, 0.0, *[nan] * 5, *[1.0] * 5]
    np.testing.assert_array_equal(labelled([POLICY] * 12, values, success=False), expected)


def test_a_failure_that_rose_to_the_end_has_no_stuck_step() -> None:
    got = labelled([POLICY] * 6, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5], success=False)
    np.testing.assert_array_equal(got, [0, 0, 0, 0, 0, nan])


def test_a_person_does_not_take_over_without_a_stall() -> None:
    """V rose to the very takeover: the onset is set 0.8 s before it."""
    values = list(np.linspace(0, 1, 14))
    got = labelled([POLICY] * 12 + [HUMAN] * 2, values, success=True)
    np.testing.assert_array_equal(got, [0.0] * 4 + [nan] * 5 + [1.0] * 3 + [nan] * 2)


def test_a_long_stall_before_a_takeover_begins_where_v_last_rose() -> None:
    got = labelled([POLICY] * 16 + [HUMAN], [0.0, 0.1, *[0.1] * 15], success=True)
    np.testing.assert_array_equal(got, [0.0] + [nan] * 5 + [1.0] * 10 + [nan])


def test_a_takeover_at_once_labels_from_the_runs_first_step() -> None:
    got = labelled([POLICY] * 7 + [HUMAN], [0.0] * 8, success=None)
    np.testing.assert_array_equal(got, [nan] * 5 + [1.0] * 2 + [nan])


@pytest.mark.parametrize("other", [RECOVERY, HOLD])
def test_only_the_policys_runs_up_to_a_takeover_or_a_failure_are_known(other: int) -> None:
    got = labelled([POLICY] * 8 + [other] * 8 + [HUMAN] * 2 + [POLICY] * 8, [0.0] * 26, success=False)
    assert np.isnan(got[:18]).all()  # the robot, not a person, took over from the policy
    np.testing.assert_array_equal(got[18:], [nan] * 5 + [1.0] * 3)
    assert np.isnan(labelled([POLICY] * 8, [0.0] * 8, success=None)).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 2**30))
def test_smoothing_divides_by_five_and_stays_in_its_run(raw: list[float], seed: int) -> None:
    source = np.sort(np.random.default_rng(seed).integers(0, 3, len(raw))).astype(np.uint8)
    out = trailing_mean(np.array(raw), control_runs(source, length=len(source)))
    for t in range(len(raw)):
        own = [raw[i] for i in range(max(0, t - 4), t + 1) if source[i] == source[t]]
        assert out[t] == pytest.approx(sum(own) / 5, abs=1e-12)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.99))
def test_w_is_v_inside_the_dead_band_and_nothing_at_certainty(value: float, stall: float, dead_band: float) -> None:
    w = discounted(np.array([value]), np.array([stall]), dead_band)[0]
    assert 0 <= w <= value
    if stall <= dead_band:
        assert w == value
    assert discounted(np.array([value]), np.array([1.0]), dead_band)[0] == 0
    more = discounted(np.array([value]), np.array([min(1.0, stall + 0.1)]), dead_band)[0]
    assert more <= w


def test_without_a_dead_band_below_1_w_is_v() -> None:
    values = np.array([0.2, 0.8])
    np.testing.assert_array_equal(discounted(values, np.ones(2), 1.0), values)


def test_the_head_learns_a_plain_difference_and_a_seed_fixes_it() -> None:
    random = np.random.default_rng(0)
    y = np.repeat([0.0, 1.0], 100)
    x = random.normal(0, 1, (200, FEATURES)).astype(np.float32)
    x[:, 1] += 4 * y
    head, again = (fit_stall_head(x, y, seed=5, steps=120) for _ in range(2))
    raw = stall_probability(head, x, [(t, t + 1) for t in range(200)]) * 5  # every step a run of its own
    assert ((raw > 0.5) == (y > 0.5)).mean() > 0.95
    assert all(torch.equal(a, b) for a, b in zip(head.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_head_that_saw_one_class_says_nothing(label: float) -> None:
    x = np.random.default_rng(0).normal(0, 50, (40, FEATURES)).astype(np.float32)
    head = fit_stall_head(x, np.full(40, label), seed=0)
    assert stall_probability(head, x, [(0, 40)]).max() < 1e-9
