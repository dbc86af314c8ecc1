"""How an arm moves: tremble, idleness and spread of states, against slow references."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quality_samples import STEPS, clean, noisy, swinging

from episodes.motion import Motion, motion_of, smoothed, state_diversity, tremble
from episodes.quality import examine

RANDOM = np.random.default_rng(0)


def tremble_of(**changes: Any) -> float:
    return float(np.nanmean(tremble(motion(**changes))))


def motion(**changes: Any) -> Motion:
    found = motion_of(clean(**changes))
    assert found is not None
    return found


def test_a_slow_swing_does_not_tremble_and_noise_does_the_more_the_larger() -> None:
    rising = [tremble_of(ee_pose=noisy(scale)) for scale in (0, 0.001, 0.003, 0.01, 0.1)]
    assert rising[0] < 0.05
    assert rising == sorted(rising)
    assert rising[-1] > 0.5


def test_tremble_is_free_of_scale_and_of_the_direction_of_time() -> None:
    found = motion(ee_pose=noisy(0.01))
    values = np.nanmean(tremble(found))
    scaled = {name: 7 * getattr(found, name) for name in ("velocity", "smooth", "floor")}
    assert np.nanmean(tremble(replace(found, **scaled))) == pytest.approx(values)
    assert tremble_of(ee_pose=noisy(0.01)[::-1]) == pytest.approx(values)


def test_the_noise_of_a_resting_arm_is_idleness_and_no_tremble() -> None:
    pose = np.tile([0.1, 0.2, 0.3, 0, 0, 0, 1.0], (STEPS, 1))
    pose[:, :3] += RANDOM.normal(0, 1e-4, (STEPS, 3))
    found = examine(clean(ee_pose=pose))
    assert (found.tremble, found.idle_share) == (None, 1.0)
    assert [finding.defect for finding in found.findings] == ["idle"]


def test_a_clock_among_the_states_moves_nothing_unless_its_unit_says_that_it_is_an_axis() -> None:
    resting = RANDOM.normal(0, 1e-4, (STEPS, 1))
    states = np.concatenate([(np.arange(STEPS) / 20)[:, None], resting], axis=1).astype(np.float32)
    told = {"ee_pose": None, "proprio": states, "proprio_names": (), "proprio_units": ()}
    assert motion(**told).names == ("proprio 1",)
    assert examine(clean(**told)).idle_share == 1.0
    assert motion(**{**told, "proprio_names": ("slide", "x"), "proprio_units": ("m", "m")}).names == ("slide", "x")
    assert motion_of(clean(**{**told, "proprio": states[:, :1]})) is None


def test_velocity_of_a_fast_recording_spans_fifty_milliseconds() -> None:
    found = motion(time_s=np.arange(STEPS) / 125)
    position = swinging()[:, 0]
    assert len(found.velocity) == STEPS - 6
    np.testing.assert_allclose(found.velocity[:, 0], (position[6:] - position[:-6]) / (6 / 125))


def test_no_velocity_crosses_a_gap() -> None:
    time_s = np.arange(STEPS) / 10 + 9 * (np.arange(STEPS) > 20)
    assert np.flatnonzero(np.isnan(motion(time_s=time_s).velocity[:, 0])).tolist() == [20]


@given(sigma=st.floats(1, 4), length=st.integers(3, 20))
def test_smoothing_is_the_weighted_mean_around_each_step(sigma: float, length: int) -> None:
    series = np.random.default_rng(length).normal(size=(length, 2))
    reach = min(int(np.ceil(3 * sigma)), length - 1)
    for t, value in enumerate(smoothed(series, sigma)):
        places = np.arange(-reach, reach + 1)
        weights = np.exp(-0.5 * (places / sigma) ** 2)
        around = series[np.clip(t + places, 0, length - 1)]
        np.testing.assert_allclose(value, weights @ around / weights.sum())


@pytest.mark.parametrize(
    ("names", "units", "axes"),
    [
        (("j1", "gripper", "fx"), ("rad", "m", "N"), ("j1",)),
        (("j1", "gripper", "fx"), (), ("j1", "fx")),
        ((), (), ("proprio 0", "proprio 1", "proprio 2")),
    ],
)
def test_without_a_pose_the_axes_that_are_positions_count(names: Any, units: Any, axes: tuple[str, ...]) -> None:
    proprio = np.cumsum(RANDOM.normal(size=(STEPS, 3)), axis=0).astype(np.float32)
    found = motion(ee_pose=None, proprio=proprio, proprio_names=names, proprio_units=units)
    assert found.names == axes


def test_state_diversity_is_the_root_of_the_summed_variances_and_turns_with_the_frame() -> None:
    found = motion(ee_pose=noisy(0.1))
    spread = state_diversity(found)
    assert spread == pytest.approx(np.sqrt(np.trace(np.cov(found.position.T, bias=True))))
    turn, _ = np.linalg.qr(RANDOM.normal(size=(3, 3)))
    assert state_diversity(replace(found, position=found.position @ turn)) == pytest.approx(spread)
    assert state_diversity(replace(found, position=np.ones((9, 3)))) == 0
