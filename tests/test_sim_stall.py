"""The privileged stall: streaming equals a slow reference, and its onset is the window's first step."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robot_io.sim.stall import STALL_STEPS, StallWatch, stall_onsets, stalled_steps

RESOLUTION = 0.001
potentials = st.lists(st.floats(-0.3, 0.0), min_size=1, max_size=60)


def slow_reference(potential: list[float], window: int) -> list[bool]:
    """The definition read aloud: has the best so far grown by a resolution within the last `window` steps?"""
    flags = []
    for t in range(len(potential)):
        recent, before = max(potential[: t + 1]), max(potential[: max(t - window, 0) + 1])
        flags.append(t >= window and recent - before < RESOLUTION)
    return flags


@given(potentials, st.integers(1, 12))
def test_stream_and_batch_equal_the_slow_reference(potential: list[float], window: int) -> None:
    watch = StallWatch(window, RESOLUTION)
    expected = slow_reference(potential, window)
    assert [watch.update(phi) for phi in potential] == expected
    assert stalled_steps(np.array(potential), RESOLUTION, window).tolist() == expected


def test_a_flat_stretch_is_stalled_after_one_second_and_its_onset_is_where_it_began() -> None:
    potential = np.concatenate([np.arange(15) * 0.01, np.full(20, 0.14), 0.14 + np.arange(1, 4) * 0.01])
    stalled = stalled_steps(potential, RESOLUTION)
    assert np.flatnonzero(stalled).tolist() == list(range(14 + STALL_STEPS, 35))
    assert stall_onsets(stalled).tolist() == [14]


def test_falling_back_is_no_progress_until_the_old_best_is_passed() -> None:
    potential = np.concatenate([[0.05], np.linspace(0.0, 0.049, 30)])
    assert stalled_steps(potential, RESOLUTION)[STALL_STEPS:].all()


def test_suspended_steps_do_not_count_as_time_but_their_progress_counts() -> None:
    watch = StallWatch(3, RESOLUTION)
    assert [watch.update(0.0) for _ in range(3)] == [False] * 3
    assert [watch.update(0.0, suspended=True) for _ in range(5)] == [False] * 5
    assert watch.update(0.0)
    watch.update(0.01, suspended=True)
    assert [watch.update(0.01) for _ in range(3)] == [False, False, True]


def test_no_step_no_stall() -> None:
    assert stalled_steps(np.array([]), RESOLUTION).tolist() == []
    assert stall_onsets(np.array([], bool)).tolist() == []
