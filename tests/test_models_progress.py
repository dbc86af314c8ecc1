"""Progress targets: the plain form, and the clock that stands still around a takeover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataRefused
from models.progress import assumed_stalls, progress_targets, takeover_progress

SOURCES = st.lists(st.sampled_from([0, 1, 2, 3, 255]), min_size=1, max_size=40)


def test_success_counts_up_failure_is_zero_unknown_is_nan():
    assert progress_targets(5, True).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert progress_targets(5, False).tolist() == [0.0] * 5
    assert np.isnan(progress_targets(5, None)).all()


def test_one_step_success_is_done():
    assert progress_targets(1, True).tolist() == [1.0]


@pytest.mark.parametrize("success", ["success", 1, 0, 0.5, [], "unknown"])
def test_anything_else_than_an_outcome_is_refused(success):
    with pytest.raises(DataRefused, match="True, False or None"):
        progress_targets(3, success)


@pytest.mark.parametrize("length", [0, -1, 2.5, True, None])
def test_a_length_that_is_none_is_refused(length):
    with pytest.raises(DataRefused, match="at least 1"):
        progress_targets(length, True)


def test_clock_stands_while_the_human_corrects_and_goes_on_after_the_hand_back():
    made = takeover_progress([0, 0, 0, 2, 2, 2, 0, 0], True)
    assert made.targets.tolist() == [0.0, 0.25, 0.5, 0.5, 0.5, 0.5, 0.75, 1.0]
    assert made.weights.tolist() == [1, 1, 1, 0, 0, 0, 1, 1]


def test_stall_before_the_takeover_teaches_nothing():
    made = takeover_progress([0, 0, 0, 0, 0, 2, 0, 0], True, stall_starts=[3])
    assert made.targets.tolist() == [0.0, 0.25, 0.5, 0.5, 0.5, 0.5, 0.75, 1.0]
    assert made.weights.tolist() == [1, 1, 1, 0, 0, 0, 1, 1]


def test_human_who_finishes_the_task_counts():
    made = takeover_progress([0, 0, 3, 2, 2, 2], True, stall_starts=[1])
    assert made.targets.tolist() == pytest.approx([0, 0, 0, 1 / 3, 2 / 3, 1])
    assert made.weights.tolist() == [1, 0, 0, 1, 1, 1]


def test_stall_that_no_takeover_ended_keeps_its_weight():
    assert takeover_progress([2, 0, 0, 0], True, stall_starts=[2]).weights.tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("start", [-1, 4])
def test_stall_outside_the_episode_is_refused(start):
    with pytest.raises(DataRefused, match="stall"):
        takeover_progress([0, 0, 2, 0], True, stall_starts=[start])


@given(st.sampled_from([0, 1, 2, 3, 255]), st.integers(1, 30), st.sampled_from([True, False, None]))
def test_one_source_is_the_plain_form(code, length, success):
    made = takeover_progress([code] * length, success, stall_starts=[0])
    np.testing.assert_array_equal(made.targets, progress_targets(length, success))
    assert (made.weights == 1).all()


@given(SOURCES, st.data())
def test_weighted_steps_of_a_success_climb_evenly_from_0_to_1(source, data):
    stalls = data.draw(st.lists(st.integers(0, len(source) - 1), max_size=3))
    made = takeover_progress(source, True, stall_starts=stalls)
    assert (np.diff(made.targets) >= 0).all()
    taught = made.targets[made.weights == 1]
    np.testing.assert_allclose(taught, progress_targets(len(taught), True), atol=1e-12)


@given(SOURCES)
def test_steps_taken_out_are_exactly_hold_and_human_before_the_robots_last_step(source):
    if len(set(source)) == 1:
        return
    robot = [t for t, code in enumerate(source) if code in (0, 1, 255)]
    expected = []
    for t, code in enumerate(source):
        corrected = code == 2 and robot and t < robot[-1]
        expected.append(0.0 if code == 3 or corrected else 1.0)
    assert takeover_progress(source, True).weights.tolist() == expected


@pytest.mark.parametrize(
    ("source", "starts"),
    [
        ([0, 0, 0, 0, 2, 2], (2,)),
        ([0, 2, 0, 0, 0, 2], (0, 3)),
        ([0, 0, 0, 3, 3, 2], (1,)),
        ([0, 0, 1, 2], (1,)),
        ([2, 2, 0, 0], ()),
        ([255, 255, 255, 2], ()),
        ([2, 3, 2], ()),
    ],
)
def test_assumed_stall_ends_at_the_takeover_and_stays_in_the_robots_turn(source, starts):
    assert assumed_stalls(source, 2) == starts


def test_targets_and_weights_unpack():
    targets, weights = takeover_progress([0, 0, 0, 2, 0], stall_starts=assumed_stalls([0, 0, 0, 2, 0], 1))
    assert targets.tolist() == [0.0, 0.5, 0.5, 0.5, 1.0]
    assert weights.tolist() == [1, 1, 0, 0, 1]
