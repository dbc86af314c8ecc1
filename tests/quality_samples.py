"""An episode that nothing can be said against, to be spoiled in one way at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from episode_samples import sample_episode, sample_frame

from episodes.images import encode_jpeg
from episodes.record import Array, EncodedFrames, Episode

STEPS = 60


def pictures(frames: list[Array]) -> EncodedFrames:
    return EncodedFrames.pack([encode_jpeg(f) for f in frames], "jpeg", frames[0].shape[0], frames[0].shape[1])


def clean_frames() -> list[Array]:
    return [sample_frame(t) for t in range(STEPS)]


def swinging() -> Array:
    """A pose (STEPS, 7) that swings slowly by 0.2 m."""
    pose = np.tile([0.1, 0.2, 0.3, 0, 0, 0, 1.0], (STEPS, 1))
    pose[:, 0] += 0.2 * np.sin(np.arange(STEPS) / 10)
    return pose


def clean(**changes: Any) -> Episode:
    """An episode with nothing against it, changed."""
    fields = {"ee_pose": swinging(), "images": {"wrist": pictures(clean_frames())}}
    return sample_episode(length=STEPS, **(fields | changes))


def noisy(scale: float) -> Array:
    pose = swinging()
    pose[:, :3] += np.random.default_rng(1).normal(0, scale, (STEPS, 3))
    return pose
