"""Small made-up episodes for tests: a value for every field, real JPEG frames, different for each seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from episodes.images import encode_jpeg
from episodes.record import Array, CameraInfo, EncodedFrames, Episode, Outcome

CAMERA = CameraInfo(height_px=16, width_px=24, intrinsics=(20.0, 20.0, 12.0, 8.0))


def sample_frame(seed: int) -> Array:
    """A smooth uint8 (16, 24, 3) picture that JPEG keeps within a few grey levels."""
    ramp = np.linspace(0, 255, 16 * 24 * 3).reshape(16, 24, 3)
    return np.roll(ramp, seed, axis=1).astype(np.uint8)


def sample_frames(length: int, seed: int = 0) -> EncodedFrames:
    frames = [encode_jpeg(sample_frame(seed + t)) for t in range(length)]
    return EncodedFrames.pack(frames, "jpeg", 16, 24)


def sample_episode(seed: int = 0, length: int = 6, **changes: Any) -> Episode:
    """An episode of `length` steps: the policy acts, the human takes over for the last two steps."""
    random = np.random.default_rng(seed)
    source = np.zeros(length, np.uint8)
    source[-2:] = 2
    human = np.full((length, 7), np.nan, np.float32)
    human[-2:] = 0.5
    fields: dict[str, Any] = {
        "task": "tube_insertion",
        "instruction": "Insert the tube",
        "session": "monday",
        "time_s": np.arange(length) / 10,
        "action_source": source,
        "recorded_at": "2026-01-02T03:04:05+00:00",
        "fps": 10.0,
        "collection": "takeover",
        "end_reason": "success",
        "success": Outcome.SUCCESS,
        "success_derivation": "operator key",
        "terminal": True,
        "source_time_defects": {"duplicate": 0},
        "action_space": {"names": list("abcdefg"), "units": ["1"] * 7, "limits": [[-9, 9]] * 7},
        "cameras": {"wrist": CAMERA},
        "collected_by": {"policy": "bc@1234", "recovery_budget": 2},
        "ee_pose": np.tile([0.1, 0.2, 0.3, 0, 0, 0, 1.0], (length, 1)),
        "proprio": random.normal(size=(length, 8)).astype(np.float32),
        "proprio_names": tuple("qrstuvwx"),
        "proprio_units": ("rad",) * 8,
        "wrench": random.normal(size=(length, 6)).astype(np.float32),
        "wrench_attrs": {"frame": "tool", "sign_convention": "on the tool", "tared": True},
        "images": {"wrist": sample_frames(length, seed)},
        "policy_action": random.normal(size=(length, 7)).astype(np.float32),
        "human_action": human,
        "executed_action": random.normal(size=(length, 7)).astype(np.float32),
        "raw_action": random.normal(size=(length, 6)).astype(np.float32),
        "policy_id": ("bc@1234",) * (length - 2) + ("", ""),
        "reward": np.zeros(length, np.float32),
        "robot_stream": {"t": np.arange(20) / 125, "bits": np.arange(20, dtype=np.int64)},
        "events": ({"t": max(length - 2, 0), "kind": "takeover", "reason": "stall"},),
    }
    return Episode(**(fields | changes))
