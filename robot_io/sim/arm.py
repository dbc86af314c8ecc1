"""The simulated arm: reset by inverse kinematics, then one impedance target per policy step.

Every pose here is six numbers in base axes (x y z up, metres; rotation vector from the tool-down orientation,
radians). An action in [-1, 1] moves the *target*, never the arm itself. The target may lead the measured pose by
at most the push limit L (reference limiting, as in HIL-SERL), so a static push is at most KP * L per axis, and it
stays inside a pose box, orientation included.

The policy runs at 10 Hz over 500 Hz physics, 200 Hz with cloth; the target moves in `TARGET_PIECES` equal pieces,
each one C call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Any

import mujoco
import numpy as np

from episodes.errors import DeviceError
from episodes.record import Array
from robot_io.sim.scene import OPENING_MAX_M

FPS_HZ = 10.0
ACTION_STEP = np.array([0.015] * 3 + [0.08] * 3)
"""metres and radians that a full action moves the target in one step"""
TARGET_PIECES = 5
ROTATION_LEAD_RAD = 0.06
TO_BASE = np.array([1.0, -1.0, -1.0, 1.0, -1.0, -1.0])
"""tool-down axes to base axes: half a turn about x"""
WALL_M = 0.002
"""this close to a side of the pose box, the target leans on its wall"""
HOME_JOINTS_RAD = (0.0, -1.6, 1.9, -1.9, -pi / 2, 0.0)
# A diverging simulation is reported by `Arm.drive`; MuJoCo would also write a log file where the process runs.
mujoco.set_mju_user_warning(logging.getLogger(__name__).debug)
FAULTS = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmLimits:
    """How far the target may lead and where it may go."""

    push_limit_m: float
    """L: the target's largest lead over the measured pose, per axis"""
    low: tuple[float, ...]
    """lower corner of the pose box, m and rad"""
    high: tuple[float, ...]
    """upper corner of the pose box, m and rad"""


class Arm:
    """Six joints, a gripper and an impedance target on a compiled cell."""

    def __init__(self, xml: str, limits: ArmLimits) -> None:
        self.model: Any = mujoco.MjModel.from_xml_string(xml)
        self.data: Any = mujoco.MjData(self.model)
        self.limits = limits
        self.target = np.zeros(6)
        self.opening_m = 0.0
        self._tool = self.model.site("tool").id
        self._flange = self.model.site("flange").id
        self._low, self._high = np.array(limits.low), np.array(limits.high)
        self._piece_steps = round(1.0 / FPS_HZ / TARGET_PIECES / self.model.opt.timestep)
        self._lead = np.array([limits.push_limit_m] * 3 + [ROTATION_LEAD_RAD] * 3)

    def pose(self) -> Array:
        """(6,) tool position and rotation from tool-down, base axes."""
        return np.asarray(TO_BASE * self.data.actuator_length[:6])

    def velocity(self) -> Array:
        """(6,) m/s and rad/s, base axes."""
        return np.asarray(TO_BASE * self.data.actuator_velocity[:6])

    def position(self) -> Array:
        """(3,) the tool point in the base frame, m."""
        return np.array(self.data.site_xpos[self._tool])

    def rotation(self) -> Array:
        """(3, 3) tool axes in the base frame."""
        return np.array(self.data.site_xmat[self._tool]).reshape(3, 3)

    def jaw_m(self) -> float:
        """Measured travel of one finger."""
        return float(self.data.qpos[6])

    def wrench(self) -> Array:
        """(6,) what the world exerts on the tool at the flange, base axes, N and Nm, not tared."""
        axes = self.data.site_xmat[self._flange].reshape(3, 3)
        raw = self.data.sensordata[:6]
        return -np.concatenate([axes @ raw[:3], axes @ raw[3:]])

    def at_wall(self) -> bool:
        """The target leans on a side wall (x or y) of the pose box."""
        lateral = self.target[:2]
        return bool(np.any(lateral <= self._low[:2] + WALL_M) or np.any(lateral >= self._high[:2] - WALL_M))

    def place(self, position: Array, yaw_rad: float, opening_m: float) -> None:
        """Reset the physics and put the tool point at `position`, tool down, turned by `yaw_rad`."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[6:8] = opening_m
        self._solve_joints(np.asarray(position, float), _tool_down(yaw_rad))
        self.hold()
        self.opening_m = opening_m
        self.data.ctrl[6] = opening_m

    def weld(self, name: str, parent: str, child: str) -> None:
        """Weld `child` to `parent` where it is now (equality `name`)."""
        mujoco.mj_forward(self.model, self.data)
        outer, inner = self.data.body(parent), self.data.body(child)
        back, relative = np.zeros(4), np.zeros(4)
        mujoco.mju_negQuat(back, outer.xquat)
        mujoco.mju_mulQuat(relative, back, inner.xquat)
        fixed = self.model.equality(name).data
        fixed[:3] = 0.0
        fixed[3:6] = outer.xmat.reshape(3, 3).T @ (inner.xpos - outer.xpos)
        fixed[6:10] = relative

    def settle(self, steps: int) -> None:
        """Let the physics run under the present target, then hold where the tool came to rest."""
        mujoco.mj_step(self.model, self.data, nstep=steps)
        self.hold()

    def hold(self) -> None:
        """Make the measured pose the target: the arm stops pushing."""
        mujoco.mj_forward(self.model, self.data)
        self.target = np.clip(self.pose(), self._low, self._high)
        self.data.ctrl[:6] = TO_BASE * self.target

    def drive(self, action: Array, opening_m: float, react: Callable[[Arm], None] = lambda arm: None) -> None:
        """One policy step: move the target by `action` (6,) within its limits and run the physics.

        After each of the target's pieces the objects may `react`.

        Raises `DeviceError` when the physics diverges.
        """
        measured, before = self.pose(), self.target
        wanted = np.clip(before + action * ACTION_STEP, self._low, self._high)
        self.target = measured + np.clip(wanted - measured, -self._lead, self._lead)
        self.opening_m = self.data.ctrl[6] = opening_m
        for piece in range(1, TARGET_PIECES + 1):
            self.data.ctrl[:6] = TO_BASE * (before + (self.target - before) * piece / TARGET_PIECES)
            mujoco.mj_step(self.model, self.data, nstep=self._piece_steps)
            react(self)
        self._check()

    def _check(self) -> None:
        """MuJoCo notes a NaN as a warning and resets the state by itself; here it is the end of the episode."""
        if any(self.data.warning[kind].number for kind in FAULTS) or not np.isfinite(self.data.qpos).all():
            raise DeviceError(
                f"the simulated physics diverged at {self.data.time:.2f} s; the episode is a failure, reset to go on"
            )

    def _solve_joints(self, position: Array, axes: Array) -> None:
        """Damped least squares from the home joints: dq = J^T (J J^T + 1e-4 I)^-1 error."""
        joints, jacobian = np.array(HOME_JOINTS_RAD), np.zeros((6, self.model.nv))
        for _ in range(200):
            self.data.qpos[:6] = joints
            mujoco.mj_kinematics(self.model, self.data)
            mujoco.mj_comPos(self.model, self.data)
            error = np.concatenate([position - self.position(), rotation_vector(axes @ self.rotation().T)])
            if np.linalg.norm(error) < 1e-6:
                break
            mujoco.mj_jacSite(self.model, self.data, jacobian[:3], jacobian[3:], self._tool)
            arm = jacobian[:, :6]
            joints = joints + arm.T @ np.linalg.solve(arm @ arm.T + 1e-4 * np.eye(6), np.clip(error, -0.1, 0.1))


def rotation_vector(matrix: Array) -> Array:
    """(3, 3) -> (3,) rotation vector, rad."""
    quaternion, vector = np.zeros(4), np.zeros(3)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(matrix).ravel())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector


def quaternion_xyzw(matrix: Array) -> Array:
    """(3, 3) -> (4,) unit quaternion x y z w."""
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(matrix).ravel())
    return quaternion[[1, 2, 3, 0]]


def finger_travel(command: float) -> float:
    """Gripper command in [-1, 1] (closed, open) -> travel of one finger, m."""
    return (float(command) + 1.0) / 2.0 * OPENING_MAX_M


def _tool_down(yaw_rad: float) -> Array:
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, -1.0]])
