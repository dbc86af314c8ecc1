"""What an arm may do at one site: where, how fast, how hard, how old. Plain numbers, checked against the robot's own.

Task axes; m, rad, s, N, kg. The robot's own limits are UR's presets for a UR5e; a site only narrows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from episodes.errors import DeviceError, UsageError
from episodes.record import Array
from robot_io.safety import ForceLimits
from robot_io.ur.link import Setup

Three = tuple[float, float, float]
Six = tuple[float, float, float, float, float, float]
STEEP = 100.0
"""1/s, least jerk over acceleration: with less, what is limited swings about its target"""
REACH_M = 1.05
"""of the tool point, from the base"""


class Read:
    """How a part of a site file is read (`site`): nothing that is not known, no number that is none."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration(Read):
    """What was measured of this tool on this arm."""

    tcp: Six
    """UR pose of the tool point in the flange"""
    payload_kg: float
    payload_centre_m: Three
    servo_lag_s: float
    """how far the arm is behind what it is sent"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(Read):
    """A box that the tool point keeps out of."""

    name: str
    low: Three
    high: Three


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace(Read):
    """Where the tool may be."""

    low: Six
    """lower corner of the box of tool poses"""
    high: Six
    tilt_rad: float
    """how far the tool may lean from straight down"""
    keep_out: tuple[Block, ...]

    def must_hold(self, pose: Array) -> None:
        """`DeviceError` for a tool pose (6,) that is not in it."""
        place = np.round(pose, 3).tolist()
        if np.less(pose, self.low).any() or np.greater(pose, self.high).any():
            raise DeviceError(f"the tool is at {place}, out of the site's workspace; bring it back at the pendant")
        for block in self.keep_out:
            if np.greater(pose[:3], block.low).all() and np.less(pose[:3], block.high).all():
                raise DeviceError(f"the tool is at {place}, in {block.name}; bring it out at the pendant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion(Read):
    """How the tool may move: lengths of vectors, kept for each axis by its share."""

    lead_m: float
    """on each axis, how far what is sent may be ahead of what is measured"""
    lead_rad: float
    speed_m_s: float
    speed_rad_s: float
    acceleration_m_s2: float
    acceleration_rad_s2: float
    jerk_m_s3: float
    jerk_rad_s3: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Joints(Read):
    """How the joints may move."""

    margin_rad: float
    """kept from the end of each joint"""
    speed_rad_s: float
    acceleration_rad_s2: float
    """of what is sent, from one cycle to the next"""
    singular: float
    """smallest singular value of the Jacobian that is driven at"""
    clearance_m: float
    """kept between wrist or tool and the arm's own links"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Force(Read):
    """How hard the tool may press: |F| of the tared wrench."""

    soft_n: float
    soft_s: float
    hard_n: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience(Read):
    """How long the worker waits for what is not there."""

    hold_after_s: float
    """without a newer state it holds"""
    leave_after_s: float
    """and then it leaves, before the client's own reconnect does harm"""
    command_s: float
    """without a newer command it holds"""
    driver_s: float
    """and then it leaves"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filmed(Read):
    """A camera of the cell and its device."""

    name: str
    """as a robot's observation has it: `third`, `wrist`"""
    address: str
    """as `robot_io.cameras.rig` has them: `v4l2:/dev/video0`, `realsense:SERIAL`"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Read):
    """All of it, and the version of the file it stands in."""

    version: int
    name: str
    calibration: Calibration
    workspace: Workspace
    motion: Motion
    joints: Joints
    force: Force
    watchdog_hz: float
    """the controller ends the program when commands come less often"""
    patience: Patience
    cameras: tuple[Filmed, ...] = ()
    """those with a device of their own; the rest are the cell's"""

    def __post_init__(self) -> None:
        for name, given, least, most in self._spans():
            if not least <= given <= most:
                raise UsageError(f"{name} is {given:g}; give {least:g} to {most:g}, which is what the robot allows")
        space = self.workspace
        boxes = [("workspace", space.low, space.high), *((b.name, b.low, b.high) for b in space.keep_out)]
        for name, low, high in boxes:
            if np.greater_equal(low, high).any():
                raise UsageError(f"the box {name} goes from {low} to {high}; give low below high everywhere")
        if not self.force.soft_n <= self.force.hard_n or self.force.soft_s < 0.0:
            raise UsageError(f"{self.force} do not fit; give soft_n below hard_n and soft_s of 0 or more")
        patience = self.patience
        if patience.hold_after_s >= patience.leave_after_s or patience.command_s >= patience.driver_s:
            raise UsageError(f"{patience} leaves before it holds; give the times of holding below those of leaving")

    @property
    def guarded_force(self) -> ForceLimits:
        """For the guard of the loop, where it is known who acts."""
        return ForceLimits(soft_n=self.force.soft_n, soft_s=self.force.soft_s, hard_n=self.force.hard_n)

    @property
    def setup(self) -> Setup:
        """What of it the controller is told."""
        tool = self.calibration
        return Setup(
            tcp=tool.tcp,
            payload_kg=tool.payload_kg,
            payload_centre_m=tool.payload_centre_m,
            watchdog_hz=self.watchdog_hz,
        )

    def _spans(self) -> Iterator[tuple[str, float, float, float]]:
        """Name, value, least, most of every number that the robot bounds."""
        motion, joints, small = self.motion, self.joints, 1e-6
        for number, (low, high) in enumerate(zip(self.workspace.low[:3], self.workspace.high[:3], strict=True)):
            yield f"workspace.low[{number}]", low, -REACH_M, REACH_M
            yield f"workspace.high[{number}]", high, -REACH_M, REACH_M
        yield "workspace.tilt_rad", self.workspace.tilt_rad, small, np.pi / 2
        yield "calibration.payload_kg", self.calibration.payload_kg, 0.0, 5.0
        yield "calibration.servo_lag_s", self.calibration.servo_lag_s, 0.0, 0.2
        yield "motion.lead_m", motion.lead_m, small, 0.1
        yield "motion.lead_rad", motion.lead_rad, small, 0.5
        yield "motion.speed_m_s", motion.speed_m_s, small, 1.5
        yield "motion.speed_rad_s", motion.speed_rad_s, small, np.pi
        yield "motion.acceleration_m_s2", motion.acceleration_m_s2, small, 50.0
        yield "motion.acceleration_rad_s2", motion.acceleration_rad_s2, small, 100.0
        yield "motion.jerk_m_s3", motion.jerk_m_s3, STEEP * motion.acceleration_m_s2, 1e5
        yield "motion.jerk_rad_s3", motion.jerk_rad_s3, STEEP * motion.acceleration_rad_s2, 1e6
        yield "joints.margin_rad", joints.margin_rad, 0.0, np.pi
        yield "joints.speed_rad_s", joints.speed_rad_s, small, np.pi
        yield "joints.acceleration_rad_s2", joints.acceleration_rad_s2, small, 60.0
        yield "joints.singular", joints.singular, small, 0.2
        yield "joints.clearance_m", joints.clearance_m, 0.0, 0.2
        yield "force.soft_n", self.force.soft_n, small, 150.0
        yield "force.hard_n", self.force.hard_n, small, 150.0
        yield "watchdog_hz", self.watchdog_hz, 2.0, 100.0
        yield "patience.leave_after_s", self.patience.leave_after_s, small, 1.0
        yield "patience.driver_s", self.patience.driver_s, small, 10.0
