"""The arm and the world behind the controller: a task of `robot_io.sim`, its joints driven stiffly.

The simulated arm is six joints under a Cartesian impedance; a UR is stiff in its joints. So here the impedance is
switched off and the joints follow the controller's target by computed torque,

    tau = M(q) (w^2 (q_target - q) + 2 w (qd_target - qd)) + bias,    |tau| <= the joint's own limit,

after each reset of the task. The arm's base stands turned by half a turn: x and y of UR's base are -x and -y of the
world that tasks speak of. m, rad, s, N, Nm.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import mujoco
import numpy as np

from episodes.errors import UsageError
from episodes.record import Array
from robot_io.sim import TASKS, SimRobot, make_robot
from robot_io.sim.arm import FPS_HZ, TARGET_PIECES, finger_travel
from robot_io.sim.render import CameraRenderer
from robot_io.sim.wrench import BIAS_RANGE, NOISE_SD
from robot_io.ursim.controller import DT_S

TO_BASE = np.diag([-1.0, -1.0, 1.0])
"""world axes to those of the arm's base"""
SHARPNESS = 0.3
"""w times the physics step"""
TORQUE_LIMITS_NM = np.array([150.0, 150.0, 150.0, 28.0, 28.0, 28.0])
CAMERAS = ("third", "wrist")


@dataclass(slots=True)
class _Due:
    """Something that happens every `every` ticks."""

    every: int
    ticks: int = field(default=0)

    def now(self) -> bool:
        self.ticks = (self.ticks + 1) % self.every
        return self.ticks == 0


class Cell:
    """One task with its arm; the controller drives it, the simulation port looks at it."""

    def __init__(self, task: str, seed: int = 0) -> None:
        self.load(task, seed)

    def load(self, task: str, seed: int = 0) -> None:
        """Another task in the place of this one. `UsageError` where there is none of that name."""
        if task not in TASKS:
            raise UsageError(f"there is no simulated task {task!r}; choose one of {', '.join(sorted(TASKS))}")
        self.task = task
        self.robot: SimRobot = make_robot(task, cameras=())
        self._renderers: dict[int, CameraRenderer] = {}
        self.pushed = np.zeros(6)
        arm = self.robot.arm
        self._model, self._data = arm.model, arm.data
        self._impedance = arm.model.actuator_gainprm[:6].copy(), arm.model.actuator_biasprm[:6].copy()
        self._inertia = np.zeros((arm.model.nv, arm.model.nv))
        self._flange = arm.model.site("flange").id
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Begin the episode that belongs to `seed`: the arm is put where the task wants it."""
        self._model.actuator_gainprm[:6], self._model.actuator_biasprm[:6] = self._impedance
        self.robot.reset(seed)
        self._model.actuator_gainprm[:6] = self._model.actuator_biasprm[:6] = 0.0
        self._random = np.random.default_rng(seed)
        self._bias = self._random.uniform(-BIAS_RANGE, BIAS_RANGE)
        self._reacts = _Due(round(1.0 / FPS_HZ / TARGET_PIECES / DT_S))
        self._judges = _Due(round(1.0 / FPS_HZ / DT_S))
        self._left_s = 0.0

    def grip(self, command: float) -> None:
        """Move the gripper: -1 closed, 1 open; where the task has it locked it stays closed."""
        if not self.robot.task.gripper_locked:
            self.robot.arm.opening_m = self._data.ctrl[6] = finger_travel(float(np.clip(command, -1.0, 1.0)))

    def frame(self, camera: str, size_px: int) -> Array:
        """(size, size, 3) uint8 RGB, of now."""
        if size_px not in self._renderers:
            self._renderers[size_px] = CameraRenderer(self._model, size_px)
        return self._renderers[size_px].frame(self._model, self._data, camera)

    def expert(self, target: Array) -> Array:
        """(7,) what an expert who sees everything does next, where the impedance target (6,) is the given one."""
        self.robot.arm.target = np.asarray(target, float)
        return self.robot.task.expert(self.robot.arm)

    def close(self) -> None:
        """Free what the renderers hold."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    # --- what the controller drives ----------------------------------------------------------------------------------

    @property
    def q(self) -> Array:
        """(6,) measured joints."""
        return np.array(self._data.qpos[:6])

    @property
    def qd(self) -> Array:
        """(6,) measured joint speeds."""
        return np.array(self._data.qvel[:6])

    @property
    def flange(self) -> Array:
        """(4, 4) the flange in the arm's base, as the physics has it."""
        made = np.eye(4)
        made[:3, :3] = TO_BASE @ self._data.site_xmat[self._flange].reshape(3, 3)
        made[:3, 3] = TO_BASE @ self._data.site_xpos[self._flange]
        return made

    @property
    def wrench(self) -> Array:
        """(6,) one reading of the sensor: the world's on the flange, base axes, with its bias and noise."""
        true = self.robot.arm.wrench()
        turned = np.concatenate([TO_BASE @ true[:3], TO_BASE @ true[3:]])
        return np.asarray(turned + self._bias + self.pushed + self._random.normal(0.0, NOISE_SD))

    def track(self, q: Array, qd: Array, dt_s: float) -> None:
        """Go on by `dt_s`, in as many steps of physics as fit."""
        self._left_s += dt_s
        step_s = self._model.opt.timestep
        while self._left_s > step_s - 1e-9:
            self._left_s -= step_s
            self._data.qfrc_applied[:6] = self._torque(q, qd, step_s)
            mujoco.mj_step(self._model, self._data)
        if self._reacts.now():
            self.robot.task.react(self.robot.arm)
        if self._judges.now():
            self.robot.arm.target = self.robot.arm.pose()
            self.robot.steps += 1
            self.robot.stepped()

    def _torque(self, q: Array, qd: Array, step_s: float) -> Array:
        w = SHARPNESS / step_s
        wanted = w * w * (q - self._data.qpos[:6]) + 2.0 * w * (qd - self._data.qvel[:6])
        mujoco.mj_fullM(self._model, self._data, self._inertia)
        bias = self._data.qfrc_bias[:6] - self._data.qfrc_gravcomp[:6]
        return np.asarray(np.clip(self._inertia[:6, :6] @ wanted + bias, -TORQUE_LIMITS_NM, TORQUE_LIMITS_NM))
