"""Image mode: camera frames in place of the object tracker.

The robot as a method sees it then has no `priv/...` value; behind the rest of proprio stand the latents of its camera
frames, by an encoder that is trained on the run's own demonstrations and frozen (`models.seeing`). Latents are recorded
and remembered, no frames, so a method, its learner, monitor and recovery are those of the state mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from episodes.record import Array
from models.checkpoint import CONFIG, model_hash
from models.dataset import StepData
from models.seeing import FrameEncoder, SeeingConfig, fit_encoder
from models.value import select, value_columns
from robot_io.protocols import Observation, RobotSpec
from robot_io.sim import SimRobot, make_robot

SEEING = SeeingConfig()
"""of every run in image mode"""
ENCODER = "encoder"
"""its directory in the run's workspace"""


@dataclass(slots=True)
class SeeingRobot:
    """Implements `Robot`: a simulated one, seen through an encoder."""

    robot: SimRobot
    encoder: FrameEncoder
    spec: RobotSpec = field(init=False)
    _kept: list[int] = field(init=False)

    def __post_init__(self) -> None:
        spec = self.robot.spec
        self._kept = [spec.proprio_names.index(name) for name in value_columns(spec.proprio_names)]
        latents = self.encoder.names
        self.spec = replace(
            spec,
            cameras=(),
            proprio_names=(*(spec.proprio_names[i] for i in self._kept), *latents),
            proprio_units=(*(spec.proprio_units[i] for i in self._kept), *("" for _ in latents)),
        )

    def reset(self, seed: int) -> Observation:
        return self._seen(self.robot.reset(seed))

    def observe(self) -> Observation:
        return self._seen(self.robot.observe())

    def send(self, action: Array) -> Array:
        return self.robot.send(action)

    def stop(self) -> None:
        self.robot.stop()

    def _seen(self, observation: Observation) -> Observation:
        frames = np.stack([observation.images[camera] for camera in self.encoder.config.cameras])
        proprio = np.concatenate([observation.proprio[self._kept], self.encoder.of(frames[None])[0]])
        return replace(observation, proprio=proprio, images={})


def robot_with_cameras(task: str) -> SimRobot:
    """With those of `SEEING`; `MissingExtra` where frames cannot be rendered."""
    return make_robot(task, cameras=SEEING.cameras, image_px=SEEING.image_px)


def own_encoder(root: Path, demonstrations: Sequence[StepData], seed: int) -> tuple[FrameEncoder, dict[str, Any]]:
    """That of the run in `root`, trained where it is not there yet, and how it was made."""
    directory = root / ENCODER
    if not (directory / CONFIG).exists():
        fit_encoder(demonstrations, replace(SEEING, seed=seed)).save(directory)
    encoder = FrameEncoder.load(directory)
    return encoder, {**asdict(encoder.config), "encoder": model_hash(directory)}


def seen_through(encoder: FrameEncoder, episode: StepData) -> StepData:
    """A recorded episode as `SeeingRobot` would have shown it, but for what JPEG took from the frames."""
    names = value_columns(episode.proprio_names)
    proprio = np.concatenate([select(episode, names), encoder.episode(episode)], axis=1)
    return replace(episode, proprio=proprio, proprio_names=(*names, *encoder.names), frames={})
