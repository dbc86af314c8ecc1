"""`SimRobot`: a task on the simulated arm, seen through the loop's `Robot` protocol.

One `send` is one policy step (0.1 s of simulated time). The observation carries only what a real cell would
sense, plus the *object estimate*: proprio values named `priv/...`, an external pose tracker's reading with a
constant bias per episode. Models in image mode drop those columns by name. What no sensor gives (potential,
stall, failure mode) is in `privileged`, for scoring and for the scripted human.

Frame of proprio and actions: base axes, z up; rotations are rotation vectors from the tool-down orientation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from episodes.errors import DeviceError
from episodes.record import Array, Outcome
from robot_io.protocols import Observation, RobotSpec
from robot_io.sim.arm import ACTION_STEP, FPS_HZ, Arm, finger_travel, quaternion_xyzw
from robot_io.sim.render import CameraRenderer
from robot_io.sim.scene import OPENING_MAX_M
from robot_io.sim.stall import HELP_STEPS, STALL_STEPS, StallWatch
from robot_io.sim.task import SimTask
from robot_io.sim.wrench import WrenchSensor

ROBOT_NAME = "simulated ur7e (DH of UR5e)"
HELD_STEPS = 5
"""success must hold for 0.5 s"""
AXES = ("x", "y", "z", "rx", "ry", "rz")
PROPRIO_NAMES = (
    *(f"tool/{a}" for a in AXES),
    *(f"velocity/{a}" for a in AXES),
    *(f"command_error/{a}" for a in AXES),
    "gripper/opening",
    *(f"wrench/{a}" for a in ("fx", "fy", "fz", "tx", "ty", "tz")),
)
PROPRIO_UNITS = (
    *(["m"] * 3 + ["rad"] * 3),
    *(["m/s"] * 3 + ["rad/s"] * 3),
    *(["m"] * 3 + ["rad"] * 3),
    "0..1",
    *(["N"] * 3 + ["Nm"] * 3),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Privileged:
    """What the simulator knows and no sensor tells. For scoring and for the scripted human, never for a model."""

    phi: float
    """task potential, in the task's unit (m, or a share); 0 is done"""
    phi_resolution: float
    stalled: bool
    """no progress for 1.0 s"""
    help_needed: bool
    """no progress for 3.0 s"""
    outcome: Outcome
    """unlike the observation's, this one calls an episode that ran past `SimRobot.max_steps` a failure"""
    failure: str
    """failure mode once it has failed: jam, slip, wrong_grasp, drop, timeout, fault; else empty"""


class SimRobot:
    """The simulated arm on one task; equal seeds give equal episodes, bit for bit."""

    def __init__(
        self,
        task: SimTask,
        *,
        cameras: tuple[str, ...] = ("third",),
        image_px: int = 64,
    ) -> None:
        self.task = task
        self.arm = Arm(task.scene_xml(), task.limits)
        self.spec = _spec(task, cameras, image_px)
        self.max_steps = round(task.time_limit_s * FPS_HZ)
        self._sensor = WrenchSensor()
        self._stall = StallWatch(STALL_STEPS, task.phi_resolution)
        self._help = StallWatch(HELP_STEPS, task.phi_resolution)
        self._renderer: CameraRenderer | None = None
        self.reset(0)

    def reset(self, seed: int) -> Observation:
        """Start the episode that belongs to `seed`."""
        placing, sensing = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
        self.task.reset(self.arm, placing)
        self._sensor.reset(sensing, self.arm.wrench())
        self._bias = sensing.normal(0.0, self.task.estimate_noise)
        self._stall.reset()
        self._help.reset()
        self.steps, self._held, self._ended = 0, 0, Outcome.UNKNOWN
        self._privileged = self._judge()
        self._observation = self._sense()
        return self._observation

    def observe(self) -> Observation:
        """What was sensed after the last step."""
        return self._observation

    def send(self, action: Array) -> Array:
        """Execute one action (7,) and return it as executed: clipped to [-1, 1], a locked gripper closed.

        Reference limiting acts on the target, inside the controller, and is not an action. Raises `DeviceError`
        for an action that is not seven finite numbers.
        """
        if np.shape(action) != (7,) or not np.isfinite(action).all():
            raise DeviceError(f"the simulated arm got the action {action}; send seven finite numbers")
        executed = np.clip(np.asarray(action, np.float32), -1.0, 1.0)
        if self.task.gripper_locked:
            executed[6] = -1.0
        self.steps += 1
        try:
            self.arm.drive(executed[:6].astype(float), finger_travel(executed[6]), self.task.react)
        except DeviceError:
            self._break_down()
            return executed
        self.stepped()
        return executed

    def stepped(self) -> Observation:
        """Judge and sense one policy step that was counted and that the physics went through, whoever drove it."""
        self._privileged = self._judge()
        self._observation = self._sense()
        return self._observation

    def stop(self) -> None:
        """Stop pushing: the measured pose becomes the target."""
        self.arm.hold()

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    @property
    def privileged(self) -> Privileged:
        """The simulator's own knowledge after the last step."""
        return self._privileged

    def _judge(self) -> Privileged:
        """Potential, stall and outcome of the state just reached."""
        phi = self.task.potential(self.arm)
        stalled, help_needed = self._stall.update(phi), self._help.update(phi)
        force = float(np.linalg.norm(self._sensor.tared(self.arm.wrench())[:3]))
        self._held = self._held + 1 if self.task.succeeded(self.arm, force) else 0
        if self._ended is Outcome.UNKNOWN:
            self._ended = self._outcome()
        late = self._ended is Outcome.UNKNOWN and self.steps >= self.max_steps
        outcome = Outcome.FAILURE if late else self._ended
        failed = outcome is Outcome.FAILURE
        return Privileged(
            phi=phi,
            phi_resolution=self.task.phi_resolution,
            stalled=stalled,
            help_needed=help_needed,
            outcome=outcome,
            failure=self.task.failure_mode(self.arm, stalled=stalled) if failed else "",
        )

    def _outcome(self) -> Outcome:
        """What the cell's own predicates see; a time-out is the loop's to call."""
        if self._held > HELD_STEPS:
            return Outcome.SUCCESS
        return Outcome.FAILURE if self.task.lost(self.arm) else Outcome.UNKNOWN

    def _break_down(self) -> None:
        """The physics diverged: the episode is a failure, and the last sound observation is all there is."""
        self._ended = Outcome.FAILURE
        self._privileged = replace(self._privileged, outcome=self._ended, failure="fault")
        self._observation = replace(self._observation, time_s=self.steps / FPS_HZ, outcome=self._ended)

    def _sense(self) -> Observation:
        arm = self.arm
        pose, wrench = arm.pose(), self._sensor.read(arm.wrench())
        opening = [arm.jaw_m() / OPENING_MAX_M]
        estimate = self.task.estimate(arm) + self._bias
        proprio = np.concatenate([pose, arm.velocity(), arm.target - pose, opening, wrench, estimate])
        return Observation(
            time_s=self.steps / FPS_HZ,
            ee_pose=np.concatenate([arm.position(), quaternion_xyzw(arm.rotation())]),
            proprio=proprio.astype(np.float32),
            wrench=wrench,
            images={camera: self._frame(camera) for camera in self.spec.cameras},
            outcome=self._ended,
        )

    def _frame(self, camera: str) -> Array:
        if self._renderer is None:
            self._renderer = CameraRenderer(self.arm.model, self.spec.image_px)
        return self._renderer.frame(self.arm.model, self.arm.data, camera)


def _spec(task: SimTask, cameras: tuple[str, ...], image_px: int) -> RobotSpec:
    return RobotSpec(
        robot=ROBOT_NAME,
        task=task.slug,
        instruction=task.instruction,
        fps=FPS_HZ,
        proprio_names=(*PROPRIO_NAMES, *task.estimate_names),
        proprio_units=(*PROPRIO_UNITS, *task.estimate_units),
        cameras=cameras,
        image_px=image_px,
        action_space={
            "names": [*AXES, "gripper"],
            "units": ["m"] * 3 + ["rad"] * 3 + ["-1 closed, 1 open"],
            "frame": "base axes, moves the impedance target",
            "limits": [-1.0, 1.0],
            "scale": [*ACTION_STEP.tolist(), 1.0],
            "locked": [6] if task.gripper_locked else [],
            "gripper_at_reset": -1.0 if task.gripper_locked else 1.0,
        },
        wrench_attrs={"frame": "base axes at the flange", "sign_convention": "exerted on the tool", "tared": True},
    )
