"""The simulated tasks as Gymnasium environments, `regrasp/TubeInsertion-v0` and so on; `robot_io.sim` registers them.

The observation is a flat dict with the names of the episode file: `observation/proprio` (P,) float32,
`observation/ee_pose` (7,) float64, `observation/wrench` (6,) float32, and for each camera asked for
`observation/images/<camera>` (px, px, 3) uint8 RGB. Units are those of `env.unwrapped.robot.spec`.

The action is (7,) in [-1, 1], x y z rx ry rz gripper; a locked gripper ignores the last one. The reward is 1 on the
step that succeeds, else 0. An episode terminates with success, with an object that is lost, or with a physics fault,
and is truncated at the task's time limit. `info` is privileged: it is for scoring, not for a policy.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Space

from episodes.errors import UsageError
from episodes.record import Array, Outcome
from robot_io.protocols import Observation
from robot_io.sim import SimRobot, make_robot
from robot_io.sim.render import CameraRenderer

LARGEST = 1000.0
"""no sensed value is beyond this, whatever its unit"""
PREVIEW_PX = 256


class TaskEnvironment(gymnasium.Env[Any, Array]):
    """One task. `reset(seed=s)` starts the very episode that `SimRobot.reset(s)` starts."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self, task: str, *, cameras: tuple[str, ...] = (), image_px: int = 64, render_mode: str | None = None
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise UsageError(f"the simulated tasks have no render mode {render_mode!r}; use rgb_array or none")
        self.robot: SimRobot = make_robot(task, cameras=cameras, image_px=image_px)
        self.render_mode = render_mode
        self.action_space = Box(-1.0, 1.0, (7,), np.float32)
        self.observation_space = Dict({key: _space(value) for key, value in flat(self.robot.observe()).items()})
        self._preview: CameraRenderer | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """Start the episode of `seed`, or without one the next that the last seed leads to."""
        super().reset(seed=seed)
        episode = int(self.np_random.integers(2**31)) if seed is None else seed
        return flat(self.robot.reset(episode)), self._info()

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        """One policy step, 0.1 s of simulated time."""
        self.robot.send(np.asarray(action))
        seen, info = self.robot.observe(), self._info()
        terminated = seen.outcome is not Outcome.UNKNOWN
        truncated = not terminated and self.robot.steps >= self.robot.max_steps
        return flat(seen), float(info["success"]), terminated, truncated, info

    def render(self) -> Array | None:
        """(256, 256, 3) uint8 RGB from the third-person camera, in render mode `rgb_array`."""
        if self.render_mode is None:
            return None
        if self._preview is None:
            self._preview = CameraRenderer(self.robot.arm.model, PREVIEW_PX)
        return self._preview.frame(self.robot.arm.model, self.robot.arm.data, "third")

    def close(self) -> None:
        """Free the renderers; a second call does nothing."""
        self.robot.close()
        if self._preview is not None:
            self._preview.close()
            self._preview = None

    def _info(self) -> dict[str, Any]:
        known = self.robot.privileged
        return {
            "phi": known.phi,
            "stalled": known.stalled,
            "help_needed": known.help_needed,
            "success": known.outcome is Outcome.SUCCESS,
            "failure": known.failure,
        }


def flat(seen: Observation) -> dict[str, Array]:
    """An observation of the simulated robot under the names of the episode file."""
    sensed = {"proprio": seen.proprio, "ee_pose": seen.ee_pose, "wrench": seen.wrench}
    images = {f"images/{camera}": image for camera, image in seen.images.items()}
    return {f"observation/{name}": np.array(value) for name, value in (sensed | images).items()}


def _space(value: Array) -> Space[Any]:
    """The space that a sensed value lives in."""
    if value.dtype == np.uint8:
        return Box(0, 255, value.shape, np.uint8)
    return Box(-LARGEST, LARGEST, value.shape, value.dtype.type)
