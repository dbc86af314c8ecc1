"""What the simulated robot asks of a task. Each task is one file in `robot_io/sim/tasks/`."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from episodes.record import Array
from robot_io.sim.arm import ACTION_STEP, Arm, ArmLimits


class SimTask(Protocol):
    """One task on the simulated arm. All readings are noise-free; only the robot adds noise."""

    slug: str
    instruction: str
    limits: ArmLimits
    time_limit_s: float
    gripper_locked: bool
    phi_resolution: float
    """smallest change of the potential that counts as progress, in its unit"""
    estimate_names: tuple[str, ...]
    """what an external pose tracker would say, each `priv/...`"""
    estimate_units: tuple[str, ...]
    estimate_noise: tuple[float, ...]
    """sd of the tracker's constant bias per episode, in the estimate's units"""

    def scene_xml(self) -> str: ...
    def reset(self, arm: Arm, random: np.random.Generator) -> None: ...
    def react(self, arm: Arm) -> None:
        """What the objects do by themselves, five times a step, after each piece of physics: a latch clicks."""
        ...

    def estimate(self, arm: Arm) -> Array: ...
    def potential(self, arm: Arm) -> float:
        """Remaining work, negative, in m or as a share: 0 is done, and a careful approach never lowers it."""
        ...

    def succeeded(self, arm: Arm, force_n: float) -> bool: ...
    def lost(self, arm: Arm) -> bool:
        """The object is where neither policy nor person can bring it back."""
        ...

    def failure_mode(self, arm: Arm, *, stalled: bool) -> str:
        """What went wrong, in the words of the audit: slip, jam, wrong_grasp, drop, timeout."""
        ...

    def carried(self, arm: Arm) -> bool:
        """The object is in the hand, off the table."""
        ...

    def lying(self, arm: Arm) -> bool:
        """The object is out of the hand, where it does not belong."""
        ...

    def near_contact(self, arm: Arm) -> bool: ...
    def expert(self, arm: Arm) -> Array:
        """(7,) what an expert who sees everything does next."""
        ...


GAIN = 0.5
"""share of the way to its goal that an expert asks for in one step: smooth enough to be learned from"""


def action_towards(arm: Arm, goal: Array, gripper: float) -> Array:
    """(7,) the action that moves the target towards the pose `goal` (6,), as far as one step allows."""
    return np.append(np.clip(GAIN * (goal - arm.target) / ACTION_STEP, -1.0, 1.0), gripper)
