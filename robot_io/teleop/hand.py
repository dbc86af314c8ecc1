"""What a hand device says at one moment, and how its axes become motion.

Axes are x y z roll pitch yaw in -1..1 as the person sees them: x to the right, y away from them, z up, rotations
right-handed. They stand across the robot and look at it, as the camera `third` does, so that away from them is -x of
the base and their right is +y.

    motion = R · sign(a) · ((|a| - d) / (1 - d))^e      a clipped to -1..1; zero where |a| <= d

with the deadband d, which hides a puck that does not rest at zero, and the exponent e, which gives small motions more
room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from episodes.record import Array

AXES = 6
DEADBAND = 0.08
EXPONENT = 1.6
FROM_OPERATOR = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""the person's axes in the robot's base frame"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """One moment of a device."""

    axes: Array
    """(6,) as read, not clipped"""
    held: bool
    """the deadman is held: the person drives"""
    presses: int = 0
    """of the gripper button, since the device was opened"""
    pressed: bool = False
    """the gripper button is down"""

    @property
    def raw(self) -> Array:
        """(8,) float32 for the record: the axes, deadman, gripper button."""
        return np.array([*self.axes, self.held, self.pressed], np.float32)


class HandDevice(Protocol):
    """Something that a hand moves. `read` never waits; `SafetyStop` where the device is gone."""

    @property
    def hold_s(self) -> float:
        """how long the person keeps the arm after letting go"""
        ...

    @property
    def legend(self) -> str:
        """how to drive with it, in one line"""
        ...

    def read(self, keys: Sequence[str]) -> Hand:
        """The newest; `keys` are those of the terminal that were pressed since the last call."""
        ...

    def close(self) -> None: ...


def motion(axes: Array) -> Array:
    """(6,) axes -> (6,) motion in the robot's base frame, -1..1."""
    clipped = np.clip(axes, -1.0, 1.0)
    beyond = np.maximum(np.abs(clipped) - DEADBAND, 0.0) / (1.0 - DEADBAND)
    shaped = np.sign(clipped) * beyond**EXPONENT
    return np.concatenate([FROM_OPERATOR @ shaped[:3], FROM_OPERATOR @ shaped[3:]])
