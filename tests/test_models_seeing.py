"""The encoder of camera frames: it learns what is in the frames alone, and is the same after a save."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from episodes.errors import IntegrityError, UsageError
from episodes.record import ActionSource
from models.dataset import StepData
from models.networks import LATENT
from models.seeing import AT_ONCE, FrameEncoder, SeeingConfig, _shifted, fit_encoder

PX, CAMERAS = 16, ("third", "wrist")
CONFIG = SeeingConfig(image_px=PX, steps=150, batch=32, hidden=16, shift_px=1)


class Demonstration(SimpleNamespace):
    """As much of `StepData` as the encoder reads."""

    def __len__(self) -> int:
        return len(self.source)


def demonstration(steps: int, seed: int = 0) -> Any:
    """A bright patch whose column is the action; proprio, and the tracker's value, say nothing."""
    random = np.random.default_rng(seed)
    columns = random.integers(2, PX - 3, steps)
    frames = random.integers(0, 60, (steps, 2, PX, PX, 3)).astype(np.uint8)
    for frame, column in zip(frames, columns, strict=True):
        frame[:, :, column - 1 : column + 2] = 250
    return Demonstration(
        source=np.full(steps, ActionSource.HUMAN, np.uint8),
        proprio_names=("tool/x", "priv/part/x"),
        proprio=random.normal(size=(steps, 2)).astype(np.float32),
        executed_action=np.stack([2 * columns / PX - 1, np.zeros(steps)], 1).astype(np.float32),
        images=lambda which, cameras, image_px: frames[np.asarray(which)],
    )


@pytest.fixture(scope="module")
def demonstrations() -> list[StepData]:
    return [demonstration(60, seed) for seed in range(4)]


@pytest.fixture(scope="module")
def encoder(demonstrations: list[StepData]) -> FrameEncoder:
    return fit_encoder(demonstrations, CONFIG)


def frames_of(episode: StepData) -> np.ndarray[Any, Any]:
    return episode.images(range(len(episode)), CAMERAS, PX)


def test_its_latents_say_what_only_the_frames_showed(encoder: FrameEncoder, demonstrations: list[StepData]) -> None:
    """A line through the latents of three demonstrations tells the action of the fourth far better than their mean."""
    latents = [encoder.of(frames_of(d)) for d in demonstrations]
    actions = [d.executed_action[:, 0] for d in demonstrations]
    known = np.concatenate([np.ones((180, 1)), np.concatenate(latents[:3])], axis=1)
    weights = np.linalg.solve(known.T @ known + np.eye(known.shape[1]), known.T @ np.concatenate(actions[:3]))
    error = np.abs(np.concatenate([np.ones((60, 1)), latents[3]], axis=1) @ weights - actions[3]).mean()
    assert error < 0.5 * np.abs(actions[3] - np.mean(actions[3])).mean()


def test_equal_seeds_make_an_equal_encoder(demonstrations: list[StepData]) -> None:
    again, encoder = (fit_encoder(demonstrations, replace(CONFIG, steps=5)) for _ in range(2))
    frames = frames_of(demonstrations[0])
    assert np.array_equal(again.of(frames), encoder.of(frames))


def test_it_is_the_same_after_a_save_and_a_changed_byte_is_refused(
    encoder: FrameEncoder, demonstrations: list[StepData], tmp_path: Path
) -> None:
    encoder.save(tmp_path)
    frames = frames_of(demonstrations[0])
    assert np.array_equal(FrameEncoder.load(tmp_path).of(frames), encoder.of(frames))
    weights = next(tmp_path.glob("*.safetensors"))
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 0xFF
    weights.write_bytes(damaged)
    with pytest.raises(IntegrityError):
        FrameEncoder.load(tmp_path)


def test_an_episode_is_encoded_in_parts(encoder: FrameEncoder) -> None:
    long = demonstration(AT_ONCE + 3)
    latents = encoder.episode(long)
    assert latents.shape == (AT_ONCE + 3, len(CAMERAS) * LATENT) == (AT_ONCE + 3, len(encoder.names))
    np.testing.assert_allclose(latents[-1:], encoder.of(frames_of(long)[-1:]), atol=1e-5)


def test_it_never_reads_the_tracker(demonstrations: list[StepData]) -> None:
    moved = [demonstration(60, seed) for seed in range(4)]
    for d in moved:
        d.proprio[:, 1] += 1.0
    short = SeeingConfig(image_px=PX, steps=3, batch=8, hidden=16)
    frames = frames_of(moved[0])
    assert np.array_equal(fit_encoder(moved, short).of(frames), fit_encoder(demonstrations, short).of(frames))


def test_a_shift_moves_whole_frames_by_no_more_than_asked() -> None:
    frames = torch.arange(2 * 2 * 3 * 4 * 4, dtype=torch.float32).view(2, 2, 3, 4, 4)
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(_shifted(frames, 0, generator), frames)
    moved = [_shifted(frames, 1, generator) for _ in range(20)]
    assert len({tuple(m.flatten().tolist()) for m in moved}) > 5
    middle = frames[:, :, :, 1:3, 1:3]
    for m in moved:
        assert m.shape == frames.shape
        assert m.min() >= frames.min()
        assert any(torch.equal(m[0, :, :, y : y + 2, x : x + 2], middle[0]) for y in range(3) for x in range(3))


def test_without_a_camera_there_is_nothing_to_encode() -> None:
    with pytest.raises(UsageError, match="needs a camera"):
        SeeingConfig(cameras=())
