"""Each defect is found, named and placed; a clean episode has none."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from episode_samples import sample_episode, sample_frames

from episodes.images import encode_jpeg
from episodes.record import EncodedFrames
from episodes.validation import validate


def with_value(name: str, step: int, column: int, value: float) -> dict[str, Any]:
    array = getattr(sample_episode(), name).copy()
    array[step, column] = value
    return {name: array}


def camera(frames: list[bytes], height_px: int = 16) -> dict[str, Any]:
    return {"images": {"wrist": EncodedFrames.pack(frames, "jpeg", height_px, 24)}}


GREY = encode_jpeg(np.full((16, 24, 3), 127, np.uint8))
CLEAR = sample_frames(1).frame(0)

DEFECTS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("time_not_increasing", "error", "at step 3", {"time_s": np.array([0, 1, 2, 2, 3, 4.0])}),
    ("nan_in_time_s", "error", "time_s", {"time_s": np.array([0, 1, 2, np.inf, 3, 4.0])}),
    ("length_mismatch", "error", "proprio", {"proprio": np.zeros((7, 8), np.float32)}),
    ("length_mismatch", "error", "wrist has 5 frames for 6", {"images": {"wrist": sample_frames(5)}}),
    ("shape_mismatch", "error", r"\(6, 6\)", {"ee_pose": np.zeros((6, 6))}),
    ("unknown_source", "error", "ActionSource", {"action_source": np.full(6, 9, np.uint8)}),
    ("nan_in_proprio", "error", "at step 2", with_value("proprio", 2, 1, np.nan)),
    ("nan_in_executed_action", "error", "at step 4", with_value("executed_action", 4, 0, np.nan)),
    ("nan_in_human_action", "error", "at step 5", with_value("human_action", 5, 6, np.nan)),
    ("nan_in_raw_action", "error", "at step 0", {"raw_action": np.full((6, 6), 1e300)}),
    ("quaternion_norm", "error", "at step 1", with_value("ee_pose", 1, 6, 0.0)),
    ("quaternion_norm", "warning", "at step 1", with_value("ee_pose", 1, 6, 0.99)),
    ("gap", "warning", "1 gaps .* after step 3", {"time_s": np.array([0, 0.1, 0.2, 0.3, 1.3, 1.4])}),
    ("source_time_defects", "warning", "3 backward", {"source_time_defects": {"backward": 3, "duplicate": 0}}),
    ("constant_intervention", "warning", "source human", {"action_source": np.full(6, 2, np.uint8)}),
    ("no_action", "warning", "executed", {"executed_action": None}),
    ("action_units", "warning", "not declared", {"action_space": {}}),
    ("action_limits", "warning", "first at step 2", with_value("executed_action", 2, 0, 9.5)),
    ("action_limits", "warning", "no pairs", {"action_space": {"units": ["m"], "limits": [[0, 1], [2]]}}),
    ("dead_wrench", "warning", "never changes", {"wrench": np.ones((6, 6), np.float32)}),
    ("undecodable_frame", "error", "wrist", camera([CLEAR] * 5 + [CLEAR[:-60]])),
    ("frame_size", "error", "24 x 18", camera([sample_frames(1, t).frame(0) for t in range(6)], height_px=18)),
    ("blank_camera", "warning", "one colour", camera([GREY] * 6)),
    ("frozen_camera", "warning", "same frame", camera([CLEAR] * 6)),
]


def test_a_clean_episode_has_no_defect() -> None:
    assert validate(sample_episode()) == []


@pytest.mark.parametrize(("kind", "severity", "says", "change"), DEFECTS)
def test_each_defect_is_found_alone(kind: str, severity: str, says: str, change: dict[str, Any]) -> None:
    (defect,) = validate(sample_episode(**change))
    assert (defect.kind, defect.severity) == (kind, severity)
    assert re.search(says, defect.message)


def test_a_single_source_is_no_defect_outside_a_takeover() -> None:
    human = np.full(6, 2, np.uint8)
    assert validate(sample_episode(action_source=human, collection="demo")) == []


def test_errors_come_first() -> None:
    found = validate(sample_episode(**with_value("proprio", 2, 1, np.nan), action_space={}))
    assert [defect.severity for defect in found] == ["error", "warning"]
