"""What moves the target: one motion, force mode over it, and speed scaling under it.

A motion works on a target of its own; what it moves by is what the arm's target moves by, except along the compliant
axes of a force mode. So a servo that pulls to where it was is not undone by the force, and the other way round.
"""

from __future__ import annotations

import numpy as np

from episodes.record import Array
from robot_io.ur import kinematics
from robot_io.ursim.force import ForceMode
from robot_io.ursim.motion import JointTarget, Motion, ScriptError, Stop, joint_speed

SCALING_PER_S = 5.0
"""how fast speed scaling follows the slider, a pause and its end"""
FORCE_GAIN = 0.5
"""that the client's script sets at its start"""


class Drive:
    """The target of the joints, and all that moves it."""

    def __init__(self, joints: Array) -> None:
        self.motion: Motion | None = None
        self.force_mode: ForceMode | None = None
        self.force_gain = FORCE_GAIN
        self.slider = self.scaling = 1.0
        self.target = self._own = JointTarget(joints.copy(), np.zeros(6))
        self.acceleration = np.zeros(6)

    def settle(self, joints: Array) -> None:
        """Take the joints as they are (6,) for the target: nothing is pulled anywhere."""
        self.target = self._own = JointTarget(joints.copy(), np.zeros(6))
        self.acceleration = np.zeros(6)

    def begin(self, motion: Motion) -> None:
        """Give the arm to a motion. `ScriptError` where another thread of the program has it."""
        if self.busy and not isinstance(self.motion, Stop):
            raise ScriptError("another thread is already controlling the robot")
        self.motion = motion

    def release(self) -> None:
        """Take the arm from the motion that has it; the joints keep their speed for whatever comes next."""
        self.motion = None

    def stop(self, deceleration: float) -> None:
        """Slow down to a stand, whatever moved."""
        self.end_force_mode()
        if self.moves:
            self.motion = Stop(deceleration)
        elif not isinstance(self.motion, Stop):
            self.motion = None

    def end_force_mode(self) -> None:
        """All axes are stiff again, from where they are."""
        self.force_mode, self._own = None, self.target

    @property
    def busy(self) -> bool:
        """A motion has the arm."""
        return self.motion is not None and not self.motion.done

    @property
    def moves(self) -> bool:
        """The target is on its way."""
        return bool(np.abs(self.target.qd).max() > 0.0)

    def step(self, dt_s: float, tool: Array, force: Array, *, paused: bool) -> None:
        """Move the target on by `dt_s`; `force` (6,) is the world's on the tool point, `tool` (4, 4) in the flange.

        `ScriptError` where the motion cannot go on; the target is then as it was.
        """
        self._scale(dt_s, paused)
        share = 1.0 if isinstance(self.motion, Stop) else self.scaling
        own = self._own
        if self.motion is not None and not self.motion.done:
            own = self.motion.step(own, dt_s * share)
        else:
            own = JointTarget(own.q, np.zeros(6))
        moved = own.q - self._own.q
        if self.force_mode is not None:
            moved = self._yielding(self.force_mode, moved / dt_s, tool, force) * dt_s
        before, self._own = self.target, own
        self.target = JointTarget(before.q + moved, moved / dt_s)
        self.acceleration = (self.target.qd - before.qd) / dt_s

    def _scale(self, dt_s: float, paused: bool) -> None:
        step = SCALING_PER_S * dt_s
        self.scaling += min(step, max(-step, (0.0 if paused else self.slider) - self.scaling))

    def _yielding(self, mode: ForceMode, speed: Array, tool: Array, force: Array) -> Array:
        """(6,) joint speed with the compliant axes given to the force."""
        jacobian = kinematics.jacobian(self.target.q, tool)
        return joint_speed(jacobian, mode.velocity(jacobian @ speed, force, self.force_gain))
