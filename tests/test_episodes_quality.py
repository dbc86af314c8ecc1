"""Figures of one episode against slow references, every defect found alone, and what only a session shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from episode_samples import sample_episode, sample_frame
from hypothesis import given
from hypothesis import strategies as st
from quality_samples import STEPS, clean, clean_frames, noisy, pictures, swinging

from episodes.findings import Quality
from episodes.footage import SAMPLED, examine_camera, repeats, sampled_steps, sharpness, standing, visual_diversity
from episodes.images import encode_jpeg
from episodes.quality import examine, in_session
from episodes.record import Array, EncodedFrames
from episodes.sensing import clipped, dropped

RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.integers(0, 256, (64, 64, 3), np.uint8)


# --- frames ----------------------------------------------------------------------------------------------------------


def slow_sharpness(rgb: Array) -> float:
    grey = rgb.astype(float) @ [0.299, 0.587, 0.114]
    height, width = (size - 2 for size in grey.shape)
    laplacian = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            around = grey[row : row + 3, column : column + 3]
            laplacian[row, column] = around[0, 1] + around[2, 1] + around[1, 0] + around[1, 2] - 4 * around[1, 1]
    blocks = [
        [laplacian[8 * r : 8 * r + 8, 8 * c : 8 * c + 8].std() for c in range(width // 8)] for r in range(height // 8)
    ]
    pooled = [
        max(blocks[2 * r + i][2 * c + j] for i in (0, 1) for j in (0, 1))
        for r in range(len(blocks) // 2)
        for c in range(len(blocks[0]) // 2)
    ]
    return float(np.median(pooled))


def blurred(rgb: Array) -> Array:
    image = np.pad(rgb.astype(float), ((1, 1), (1, 1), (0, 0)), mode="edge")
    height, width = rgb.shape[:2]
    return np.mean([image[r : r + height, c : c + width] for r in range(3) for c in range(3)], axis=0)


def test_sharpness_is_the_formula_and_falls_with_every_blur() -> None:
    image, values = PICTURE.astype(float), []
    for _ in range(4):
        values.append(sharpness(image))
        assert values[-1] == pytest.approx(slow_sharpness(image), rel=1e-3)
        image = blurred(image)
    assert values == sorted(values, reverse=True)
    assert values[1] < 0.5 * values[0]


def test_sharpness_ignores_brightness_and_follows_contrast() -> None:
    half = PICTURE // 2
    assert sharpness(half + 50) == pytest.approx(sharpness(half), rel=1e-4)
    assert sharpness(half * 2) == pytest.approx(2 * sharpness(half), rel=1e-4)
    assert sharpness(np.full((1, 1, 3), 9, np.uint8)) == 0


def test_only_the_middle_of_a_large_frame_is_judged_sharp() -> None:
    large = np.full((600, 700, 3), 90, np.uint8)
    large[172:428, 222:478] = np.kron(PICTURE, np.ones((4, 4, 1), np.uint8))
    assert sharpness(large) == pytest.approx(sharpness(large[172:428, 222:478]))


def test_visual_diversity_is_nothing_for_one_picture_and_the_spread_of_the_patches() -> None:
    patches = RANDOM.normal(size=(9, 3, 8, 8))
    assert visual_diversity(patches) == pytest.approx(np.mean([np.std(patches[:, *at]) for at in np.ndindex(3, 8, 8)]))
    assert examine_camera("c", pictures([PICTURE] * 3)).visual_diversity == 0
    grey = [np.full((64, 64, 3), level, np.uint8) for level in (90, 110)]
    assert examine_camera("c", pictures(grey)).visual_diversity == pytest.approx(10, abs=0.1)


@given(length=st.integers(1, 500))
def test_sampled_steps_reach_from_the_first_to_the_last(length: int) -> None:
    steps = sampled_steps(length)
    assert (steps[0], steps[-1]) == (0, length - 1)
    assert len(steps) == min(length, SAMPLED)


def test_repeats_are_the_frames_that_equal_the_one_before() -> None:
    order = [0, 0, 1, 2, 2, 2, 0, 1]
    shown = pictures([sample_frame(seed) for seed in order])
    assert repeats(shown).tolist() == [False] + [a == b for a, b in zip(order[1:], order, strict=False)]


def test_a_picture_may_stand_where_the_arm_does() -> None:
    shown, time_s = pictures([sample_frame(seed) for seed in (0, 1, 1, 1, 1, 2)]), np.arange(6) / 10
    moving = np.array([True, True, True, False, True, True])
    found = standing(shown, time_s, moving)
    assert (found.share, found.longest_s, found.step) == (0.5, pytest.approx(0.2), 1)
    assert standing(shown, time_s, np.zeros(6, bool)).longest_s == 0


# --- sensors and clocks ----------------------------------------------------------------------------------------------


def test_a_reading_held_at_its_extreme_is_clipped_and_a_slow_sensor_is_not() -> None:
    wrench = RANDOM.normal(size=(STEPS, 6))
    assert not clipped(wrench).any()
    assert not clipped(np.repeat(wrench[:10], 6, axis=0)).any()
    wrench[20:30, 2] = 40.0
    assert np.flatnonzero(clipped(wrench)).tolist() == list(range(20, 30))
    assert not clipped(np.ones((STEPS, 6))).any()


def test_missing_steps_are_counted_and_gaps_are_not() -> None:
    time_s = np.cumsum([0, 1, 1, 3, 1, 1, 20, 1, 1, 1])
    assert dropped(time_s).tolist() == [0, 0, 2, 0, 0, 0, 0, 0, 0]


# --- verdicts --------------------------------------------------------------------------------------------------------


def wrench_with(**columns: Any) -> Array:
    wrench = np.random.default_rng(2).normal(size=(STEPS, 6)).astype(np.float32)
    for name, value in columns.items():
        wrench[:, int(name[1:])] = value
    return wrench


def from_step(step: int, before: float, after: float) -> Array:
    return np.where(np.arange(STEPS) < step, before + RANDOM.normal(size=STEPS), after)


def shown(**cameras: list[Array]) -> dict[str, Any]:
    return {"images": {name: pictures(frames) for name, frames in cameras.items()}}


def bent(value: float) -> dict[str, Array]:
    pose = swinging()
    pose[7, 6] = value
    return {"ee_pose": pose}


def acted(value: float) -> dict[str, Any]:
    action = np.zeros((STEPS, 7), np.float32)
    action[9, 3] = value
    return {"executed_action": action, "action_space": {"limits": [-1, 1]}}


def stamped(step: int, by: float) -> dict[str, Array]:
    return {"time_s": np.arange(STEPS) / 10 + by * (np.arange(STEPS) > step)}


def damaged() -> dict[str, Any]:
    frames = [encode_jpeg(frame) for frame in clean_frames()]
    frames[0] = frames[0][:-60]
    return {"images": {"wrist": EncodedFrames.pack(frames, "jpeg", 16, 24)}}


GREY = [np.full((16, 24, 3), 127, np.uint8)] * STEPS
BLACK = [sample_frame(t) // 64 for t in range(STEPS)]
FROZEN = [sample_frame(min(t, 30)) for t in range(STEPS)]
SLOW = [sample_frame(t // 3) for t in range(STEPS)]
RESTING = np.tile([0.1, 0.2, 0.3, 0, 0, 0, 1.0], (STEPS, 1))

DEFECTS: list[tuple[str, str, int, dict[str, Any]]] = [
    ("length_mismatch", "exclude", 0, {"proprio": np.zeros((7, 8), np.float32)}),
    ("tremble", "weight", -1, {"ee_pose": noisy(0.3)}),
    ("resting", "exclude", 0, {"ee_pose": RESTING}),
    ("dead_wrench", "weight", 0, {"wrench": np.full((STEPS, 6), 3, np.float32)}),
    ("dead_axes", "keep", 0, {"wrench": wrench_with(c4=0.0)}),
    ("clipped_wrench", "weight", 50, {"wrench": wrench_with(c2=from_step(50, 0, 99))}),
    ("bad_stamps", "keep", 0, {"source_time_defects": {"duplicate": 2}}),
    ("bad_stamps", "weight", 0, {"source_time_defects": {"duplicate": 2, "backward": 9}}),
    ("gap", "weight", 12, stamped(12, 2.0)),
    ("dropped_steps", "weight", 12, stamped(12, 0.3)),
    ("outside_limits", "weight", 9, acted(3.75)),
    ("quaternion_norm", "keep", 7, bent(0.99)),
    ("quaternion_norm", "exclude", 7, bent(0.0)),
    ("blank_camera", "keep", 0, shown(wrist=clean_frames(), image_3=GREY)),
    ("blank_camera", "exclude", 0, shown(image_3=GREY)),
    ("black_camera", "exclude", 0, shown(wrist=BLACK)),
    ("blank_frames", "weight", 0, shown(wrist=GREY[:9] + clean_frames()[9:])),
    ("damaged_frames", "exclude", 0, damaged()),
    ("frozen_frames", "weight", 30, shown(wrist=FROZEN)),
    ("repeated_frames", "keep", -1, shown(wrist=SLOW)),
]


def test_a_clean_episode_has_nothing_against_it_and_all_its_figures() -> None:
    found = examine(clean())
    assert (found.findings, found.verdict, found.weight) == ((), "keep", 1.0)
    assert None not in [getattr(found, name) for name in Quality.__slots__]


@pytest.mark.parametrize(("defect", "verdict", "step", "change"), DEFECTS)
def test_each_defect_is_found_alone(defect: str, verdict: str, step: int, change: dict[str, Any]) -> None:
    found = examine(clean(**change))
    (finding,) = found.findings
    assert (finding.defect, finding.verdict, found.verdict) == (defect, verdict, verdict)
    assert finding.step == step or (step < 0 and finding.step < STEPS)
    assert found.weight == {"keep": 1.0, "weight": 0.5, "exclude": 0.0}[verdict]


def test_the_gravest_finding_decides_and_comes_first() -> None:
    found = examine(
        clean(wrench=np.zeros((STEPS, 6), np.float32), **stamped(12, 2.0), **shown(a=clean_frames(), b=GREY))
    )
    assert [finding.verdict for finding in found.ranked] == ["weight", "weight", "keep"]
    assert (found.verdict, found.weight) == ("weight", 0.25)


def test_arrays_that_are_not_there_are_not_measured() -> None:
    nothing = dict.fromkeys(("ee_pose", "proprio", "wrench", "executed_action"))
    found = examine(clean(**nothing, images={}, collection="demo"))
    unmeasured = [name for name in Quality.__slots__ if getattr(found, name) is None]
    assert len(unmeasured) == 10
    assert found.findings == ()


def test_a_camera_that_sees_nothing_does_not_stand_still() -> None:
    found = examine(clean(**shown(wrist=clean_frames(), image_3=GREY)))
    assert (found.repeated_share, found.frozen_s) == (0, 0)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_the_shortest_episodes_are_judged(length: int) -> None:
    assert examine(sample_episode(length=length)).steps == length


# --- a session -------------------------------------------------------------------------------------------------------


def test_one_soft_episode_stands_out_in_its_session() -> None:
    sharp = examine(clean(**shown(wrist=[np.roll(PICTURE, t, 1) for t in range(STEPS)])))
    soft = examine(clean(**shown(wrist=[blurred(np.roll(PICTURE, t, 1)).astype(np.uint8) for t in range(STEPS)])))
    judged = in_session([sharp] * 4 + [soft])
    assert [q.verdict for q in judged] == ["keep"] * 4 + ["weight"]
    assert "% of the session's usual sharpness" in judged[-1].findings[0].reason
    assert in_session(judged) == judged
    assert in_session(judged[1:])[-1].findings == ()


def test_a_lost_intervention_flag_is_told_of_the_takeovers() -> None:
    takeover, demo = examine(clean()), examine(clean(collection="demo"))
    judged = in_session([takeover, demo], flag_lost=True)
    assert [[finding.defect for finding in q.findings] for q in judged] == [["constant_flag"], []]
    assert in_session(judged) == [takeover, demo]
