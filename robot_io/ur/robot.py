"""`UrRobot`: the arm behind its controller, with its cell, seen through the loop's `Robot` protocol.

Action space, proprio names, units, axes and rate are those of the simulated robot, so that what was trained on one is
accepted on the other. `send` moves the impedance target (`reference`) and hands it to the worker process, which pulls
the tool there evenly over one step. Times are those of observing, on the controller's clock; `wait` waits by it.

Each reset ends the worker, lets the cell put scene and arm where an episode begins, and starts a new worker, which
zeroes the force sensor there. When a worker has left, whatever comes next is a `SafetyStop` with its reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from math import cos, sin
from typing import Protocol

import numpy as np

from episodes.errors import DeviceError, SafetyStop
from episodes.record import Array
from robot_io.protocols import Observation, RobotSpec
from robot_io.ur import kinematics
from robot_io.ur.cell import Cell
from robot_io.ur.frames import TOOL_DOWN
from robot_io.ur.messages import ArmState
from robot_io.ur.native import native_stream
from robot_io.ur.reference import Reference

FRESH_S = 0.2
"""a state of the arm that is older is not acted on"""
LATE_S, LOOK_S = 1.0, 0.005
"""a worker that gives none that is newer for this long is a stop; the controller's watchdog stops the arm before"""
LEFT_BOX_M, LEFT_BOX_RAD = 0.03, 0.1
"""an arm this far out of its box is not where anybody put it"""
TOOL_M = (0.0, 0.0, 0.165)
"""the tool point in the flange"""


class Arm(Protocol):
    """What is asked of a running arm; `UrArm` is one."""

    def follow(self, target: Array, over_s: float = 0.0) -> None: ...
    def hold(self) -> None: ...
    def state(self) -> ArmState: ...
    def states_since(self, count: int) -> tuple[int, Array]: ...


class UrRobot:
    """One arm with its cell, on one task; use it as a context, so that no process is left."""

    def __init__(
        self,
        arms: Callable[[], AbstractContextManager[Arm]],
        cell: Cell,
        spec: RobotSpec,
        reference: Reference,
        *,
        fresh_s: float = FRESH_S,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`arms` starts a worker each time it is called."""
        self.spec, self.cell = spec, cell
        self.target = np.zeros(6)
        self._arms, self._reference = arms, reference
        self._fresh_s, self._now, self._sleep = fresh_s, now, sleep
        self._gripper = self._gripper_at_reset = float(spec.action_space["gripper_at_reset"])
        self._held = ExitStack()
        self._arm: Arm | None = None

    def __enter__(self) -> UrRobot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the arm, end its worker, let go of the cell."""
        self._leave()
        self.cell.close()

    def reset(self, seed: int) -> Observation:
        """Scene and arm as the episode of `seed` begins. `DeviceError` where the arm cannot be controlled."""
        self._leave()
        self.cell.reset(seed)
        self._images()  # a camera's first frame may take seconds, which no worker waits
        self._gripper = self._gripper_at_reset
        self._arm = self._held.enter_context(self._arms())
        state = self._state()
        self._must_be_in_its_box(state.pose)
        self.target = self._reference.within(state.pose)
        self._started_s = state.controller_s
        (self._streamed, _), self._streamed_s = self._arm.states_since(0), 0.0
        return self.observe()

    def observe(self) -> Observation:
        """What arm and cell sense now."""
        sensed = self.cell.sense()
        images = self._images()
        state = self._state()
        wrench = at_flange(state.force, state.pose)
        error, opening = self.target - state.pose, np.array([sensed.opening])
        proprio = np.concatenate([state.pose, state.velocity, error, opening, wrench, sensed.estimate])
        return Observation(
            time_s=state.controller_s - self._started_s,
            ee_pose=np.concatenate([state.pose[:3], tool_quaternion(state.pose)]),
            proprio=proprio.astype(np.float32),
            wrench=wrench.astype(np.float32),
            images=images,
            outcome=sensed.outcome,
            stream=self._stream(),
        )

    def send(self, action: Array) -> Array:
        """Move the target by one action (7,), and return it as executed: clipped, a locked gripper as it is."""
        if np.shape(action) != (7,) or not np.isfinite(action).all():
            raise DeviceError(f"the arm got the action {action}; send seven finite numbers")
        executed = np.clip(np.asarray(action, np.float32), -1.0, 1.0)
        for index in self.spec.action_space["locked"]:
            executed[index] = self._gripper
        measured = self._state().pose
        self._must_be_in_its_box(measured)
        self.target = self._reference.next(self.target, measured, executed[:6].astype(float))
        self._running().follow(self.target, 1.0 / self.spec.fps)
        self._grip(float(executed[6]))
        return executed

    def stop(self) -> None:
        """Stand where the tool is. An arm whose worker has left was stopped by it."""
        if self._arm is None:
            return
        with suppress(SafetyStop):
            self._arm.hold()
            self.target = self._reference.within(self._arm.state().pose)

    def controller_s(self) -> float:
        """What the controller's clock says; with `wait`, the time of a `RealClock`."""
        return self._state().controller_s

    def wait(self, seconds: float) -> None:
        """Until the controller's clock has gone on by this much: a simulated one may be slower than ours."""
        end_s = self.controller_s() + seconds
        while (left_s := end_s - self.controller_s()) > 0.0:
            self._sleep(min(left_s, LOOK_S))

    def _stream(self) -> dict[str, Array]:
        self._streamed, rows = self._running().states_since(self._streamed)
        stream = native_stream(rows, self._started_s, self._streamed_s)
        self._streamed_s = float(max([self._streamed_s, *stream["t"]]))
        return stream

    def _images(self) -> dict[str, Array]:
        return {camera: self.cell.frame(camera, self.spec.image_px) for camera in self.spec.cameras}

    def _grip(self, command: float) -> None:
        """Tell the gripper what is new to it."""
        if command != self._gripper:
            self.cell.grip(command)
            self._gripper = command

    def _state(self) -> ArmState:
        """Fresh, or a stop: a worker that is late is waited for, but not for long."""
        end_s = self._now() + LATE_S
        while True:
            state = self._running().state()
            age_s = self._now() - state.read_s
            if age_s <= self._fresh_s:
                return state
            if self._now() > end_s:
                raise SafetyStop(
                    f"the arm's state is {age_s:.2f} s old; see whether this machine is too busy to drive it"
                )
            self._sleep(LOOK_S)

    def _must_be_in_its_box(self, pose: Array) -> None:
        outside = self._reference.outside(pose)
        if outside[:3].max() > LEFT_BOX_M or outside[3:].max() > LEFT_BOX_RAD:
            raise SafetyStop(
                f"the tool is at {np.round(pose, 3).tolist()}, out of the box of task {self.spec.task}; bring it back"
            )

    def _running(self) -> Arm:
        if self._arm is None:
            raise DeviceError("the arm has no worker yet; reset it first")
        return self._arm

    def _leave(self) -> None:
        self._arm = None
        self._held.close()


def at_flange(force: Array, pose: Array) -> Array:
    """(6,) the wrench about the tool point -> about the flange, task axes, as the simulated sensor has it."""
    arm = kinematics.rotation(pose[3:]) @ TOOL_DOWN @ np.array(TOOL_M)
    return np.concatenate([force[:3], force[3:] + np.cross(arm, force[:3])])


def tool_quaternion(pose: Array) -> Array:
    """(4,) unit quaternion x y z w of the tool's axes: the pose's rotation after half a turn about x."""
    angle = float(np.linalg.norm(pose[3:]))
    x, y, z = pose[3:] * (sin(angle / 2.0) / angle if angle > 1e-9 else 0.5)
    return np.array([cos(angle / 2.0), z, -y, -x])
