"""The last thing before the arm: one chain of checks, in one order, pure; what it returns is what is sent.

    finite      a pose that is no six numbers is replaced: the tool brakes
    fresh       state and commands are new enough, and say what can be; else it brakes, and then the worker leaves
    workspace   the box clips; cone and keep-outs brake, before full braking would end inside them
    motion      lead, speed, acceleration and jerk of the tool, on each axis
    joints      speed and acceleration of each joint: the tool brakes as far as they need it. Reach, ends, singularity,
                the arm's own links; else the worker leaves, and this is not sent
    force       above the hard limit the worker leaves
    controller  a robot that is not running ends it
    watchdog    a cycle that is later than the watchdog allows brakes

Each check takes what the one before let through and returns it, changed or not, with its reason. The soft force limit
and the action space stand before this, in `robot_io.safety`, where it is known who acts; a hand's deadman stands in
its device. m, rad, s, N; task axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from math import hypot, sqrt

import numpy as np

from episodes.record import Array
from robot_io.ur import frames, kinematics
from robot_io.ur.bounds import AXES, stopping_length
from robot_io.ur.clearance import clearance, singularity
from robot_io.ur.limiter import Bounds, Moving, between, limited
from robot_io.ur.limits import Block, Limits
from robot_io.ur.link import Reading, why_stopped
from robot_io.ur.watch import Exit, Seen

HALVINGS = 6


class Step(IntEnum):
    """Which check stepped in; 0 none."""

    NONE = 0
    FINITE = 1
    FRESH = 2
    WORKSPACE = 3
    MOTION = 4
    JOINTS = 5
    FORCE = 6
    CONTROLLER = 7
    WATCHDOG = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """All that a check may look at."""

    limits: Limits
    dt_s: float
    tool: Array
    """(4, 4) the tool point in the flange"""
    reading: Reading
    seen: Seen
    measured: Array
    """(6,) tool pose"""
    moving: tuple[Moving, ...]
    """the tool pose sent last, axis by axis"""
    bounds: tuple[Bounds, ...]
    """of each axis (`bounds.axis_bounds`)"""
    joints: Array
    """(6,) sent last"""
    joint_speeds: Array
    """(6,) of what was sent last"""
    wanted_before: Array
    """(6,) the pose asked for a cycle ago"""
    late_s: float = 0.0
    """how late this cycle began"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """What is on its way through the chain."""

    pose: Array
    """(6,) asked for, then what may be sent"""
    moving: tuple[Moving, ...]
    joints: Array
    """(6,) what is sent"""
    brakes: bool = False
    stop: Exit | None = None
    reasons: tuple[tuple[Step, str], ...] = ()

    @property
    def why(self) -> str:
        """The last reason, which is that of a stop."""
        return self.reasons[-1][1] if self.reasons else ""

    def braking(self, step: Step, why: str) -> Passing:
        """The same, to come to rest."""
        return replace(self, brakes=True, reasons=(*self.reasons, (step, why)))

    def stopping(self, step: Step, exit_code: Exit, why: str) -> Passing:
        """The same, not to be sent."""
        return replace(self, stop=exit_code, reasons=(*self.reasons, (step, why)))


Check = Callable[[Passing, Cycle], Passing]


def finite(passing: Passing, cycle: Cycle) -> Passing:
    """A clip would let a NaN through."""
    if np.shape(passing.pose) == (AXES,) and np.isfinite(passing.pose).all():
        return passing
    return replace(passing, pose=_sent(cycle)).braking(Step.FINITE, "the pose asked for is not six finite numbers")


def fresh(passing: Passing, cycle: Cycle) -> Passing:
    """Judged by the controller's own clock; what the client returns is not asked."""
    seen, patience = cycle.seen, cycle.limits.patience
    if not seen.connected:
        return passing.stopping(Step.FRESH, Exit.LINK_LOST, "the connection to the arm is lost")
    if seen.stood_s > patience.leave_after_s:
        return passing.stopping(Step.FRESH, Exit.STATE_STALE, f"the arm's clock has stood for {seen.stood_s:.2f} s")
    if seen.absurd:
        return passing.stopping(Step.FRESH, Exit.STATE_ABSURD, seen.absurd)
    if seen.command_age_s > patience.driver_s:
        return passing.stopping(Step.FRESH, Exit.DRIVER_GONE, f"no command for {patience.driver_s:g} s")
    if seen.stood_s > patience.hold_after_s:
        return passing.braking(Step.FRESH, f"the arm's clock has stood for {seen.stood_s:.2f} s")
    return passing


def in_workspace(passing: Passing, cycle: Cycle) -> Passing:
    """Box, cone, keep-outs."""
    space = cycle.limits.workspace
    pose = np.clip(passing.pose, space.low, space.high)
    if not np.array_equal(pose, passing.pose):
        passing = replace(passing, pose=pose, reasons=(*passing.reasons, (Step.WORKSPACE, "clipped to the box")))
    if not space.keep_out and _may_lean(cycle.limits) <= space.tilt_rad:
        return passing
    now, then = _sent(cycle), _places(_moved(passing, cycle))
    margin = stopping_length(cycle.bounds[:3], cycle.dt_s)
    for block in space.keep_out:
        if _depth(then, block, margin) > max(0.0, _depth(now, block, margin)):
            return passing.braking(Step.WORKSPACE, f"the tool would come into {block.name}")
    most = space.tilt_rad - stopping_length(cycle.bounds[3:], cycle.dt_s) * sqrt(2.0)
    if hypot(then[3], then[4]) > max(most, hypot(now[3], now[4])):
        return passing.braking(Step.WORKSPACE, f"the tool would lean by more than {space.tilt_rad:g} rad")
    return passing


def in_motion_limits(passing: Passing, cycle: Cycle) -> Passing:
    """Where the tool is a cycle later, as far as lead, speed, acceleration, jerk and walls allow."""
    motion = cycle.limits.motion
    lead = np.array([motion.lead_m] * 3 + [motion.lead_rad] * 3)
    near = replace(passing, pose=np.clip(passing.pose, cycle.measured - lead, cycle.measured + lead))
    moving = _moved(near, cycle)
    pose = _places(moving)
    if not passing.brakes and not np.allclose(pose, passing.pose, rtol=0.0, atol=1e-9):
        passing = replace(passing, reasons=(*passing.reasons, (Step.MOTION, "slowed to the limits of motion")))
    return replace(passing, pose=pose, moving=moving)


def in_joint_limits(passing: Passing, cycle: Cycle) -> Passing:
    """Our own inverse: a pose out of reach would end the program of the robot, a joint too quick stop it for safety."""
    limits = cycle.limits.joints
    slowed, why = _as_quick_as_joints_can(passing, cycle)
    joints = slowed.joints
    if why:
        return passing.stopping(Step.JOINTS, Exit.OUT_OF_LIMITS, why)
    if np.abs(joints).max() > kinematics.SPAN_RAD - limits.margin_rad:
        why = f"joint {int(np.abs(joints).argmax()) + 1} would come to its end"
    elif singularity(joints, cycle.tool) < limits.singular:
        why = "the arm would come to a singular position"
    elif clearance(joints, cycle.tool) < limits.clearance_m:
        why = "the tool would come too near to the arm's own links"
    else:
        return slowed
    return passing.stopping(Step.JOINTS, Exit.OUT_OF_LIMITS, why)


def _as_quick_as_joints_can(passing: Passing, cycle: Cycle) -> tuple[Passing, str]:
    """As asked for, or as much nearer to braking as the joints need; and why, where braking is too much as well."""
    asked = _placed(passing, passing.moving, cycle)
    if not _too_quick(asked, cycle):
        return asked, ""
    gentle = [
        limited(now, None, 0.0, of.gentle(), cycle.dt_s) for now, of in zip(cycle.moving, cycle.bounds, strict=True)
    ]
    ways = list(zip(gentle, passing.moving, cycle.moving, strict=True))
    best, share, step = _placed(passing, tuple(gentle), cycle), 0.0, 0.5
    for _ in range(HALVINGS):
        moving = tuple(between(*way, share + step, cycle.dt_s) for way in ways)
        tried = _placed(passing, moving, cycle)
        if not _too_quick(tried, cycle):
            best, share = tried, share + step
        step /= 2.0
    slowed = replace(best, reasons=(*passing.reasons, (Step.JOINTS, "slowed to what the joints can")))
    return slowed, _too_quick(best, cycle)


def _placed(passing: Passing, moving: tuple[Moving, ...], cycle: Cycle) -> Passing:
    """Where the tool is then, and the joints; none where it is out of reach."""
    pose = _places(moving)
    joints = kinematics.inverse(frames.tool_in_base(pose) @ np.linalg.inv(cycle.tool), cycle.joints)
    return replace(passing, pose=pose, moving=moving, joints=np.empty(0) if joints is None else joints)


def _too_quick(passing: Passing, cycle: Cycle) -> str:
    """Which joint would be, or empty."""
    if not len(passing.joints):
        return f"the pose {np.round(passing.pose, 3).tolist()} is out of the arm's reach"
    limits = cycle.limits.joints
    speeds = (passing.joints - cycle.joints) / cycle.dt_s
    changes = (speeds - cycle.joint_speeds) / cycle.dt_s
    if np.abs(speeds).max() > limits.speed_rad_s:
        return f"joint {int(np.abs(speeds).argmax()) + 1} would be faster than {limits.speed_rad_s:g} rad/s"
    if np.abs(changes).max() > limits.acceleration_rad_s2:
        return (
            f"joint {int(np.abs(changes).argmax()) + 1} would change by more than {limits.acceleration_rad_s2:g} rad/s2"
        )
    return ""


def below_hard_force(passing: Passing, cycle: Cycle) -> Passing:
    """A dead sensor is none of this check's: then only a person may act (`robot_io.safety`)."""
    force_n, most_n = float(np.linalg.norm(cycle.reading.tcp_force[:3])), cycle.limits.force.hard_n
    if force_n > most_n:
        return passing.stopping(Step.FORCE, Exit.FORCE, f"the force on the tool is {force_n:.0f} N, above {most_n:g} N")
    return passing


def controller_runs(passing: Passing, cycle: Cycle) -> Passing:
    """What the controller says of itself."""
    why = why_stopped(cycle.reading)
    return passing.stopping(Step.CONTROLLER, Exit.ROBOT_STOPPED, why) if why else passing


def within_watchdog(passing: Passing, cycle: Cycle) -> Passing:
    """A worker this late may have been stopped by the controller's watchdog already: see before going on."""
    if cycle.late_s <= 1.0 / cycle.limits.watchdog_hz:
        return passing
    late = passing.braking(Step.WATCHDOG, f"this cycle is {cycle.late_s:.2f} s late")
    return in_joint_limits(in_motion_limits(late, cycle), cycle)


CHAIN: tuple[Check, ...] = (
    finite,
    fresh,
    in_workspace,
    in_motion_limits,
    in_joint_limits,
    below_hard_force,
    controller_runs,
    within_watchdog,
)


STANDING: tuple[Check, ...] = (fresh, below_hard_force, controller_runs)
"""where no time has passed for the controller: what was sent last is sent again"""


def gate(wanted: Array, cycle: Cycle, chain: tuple[Check, ...] = CHAIN) -> Passing:
    """What of the pose asked for is sent; with `stop`, nothing is."""
    passing = Passing(pose=wanted, moving=cycle.moving, joints=cycle.joints)
    for check in chain:
        passing = check(passing, cycle)
        if passing.stop is not None:
            break
    return passing


def _moved(passing: Passing, cycle: Cycle) -> tuple[Moving, ...]:
    """Each axis a cycle later; one that begins outside of the box may come back into it."""
    speeds = (passing.pose - cycle.wanted_before) / cycle.dt_s
    wanted = [None] * AXES if passing.brakes else passing.pose.tolist()
    return tuple(
        limited(now, to, speed, _reaching(bounds, now), cycle.dt_s)
        for now, to, speed, bounds in zip(cycle.moving, wanted, speeds.tolist(), cycle.bounds, strict=True)
    )


def _reaching(bounds: Bounds, now: Moving) -> Bounds:
    if bounds.low <= now.x <= bounds.high:
        return bounds
    return replace(bounds, low=min(bounds.low, now.x), high=max(bounds.high, now.x))


def _may_lean(limits: Limits) -> float:
    """How far a pose in the box can lean at most."""
    low, high = np.abs(limits.workspace.low), np.abs(limits.workspace.high)
    return float(np.hypot(*np.maximum(low, high)[3:5]))


def _depth(pose: Array, block: Block, margin: float) -> float:
    """How deep a tool point is in a block, grown by a margin; negative outside."""
    inside = np.minimum(pose[:3] - block.low, np.array(block.high) - pose[:3]) + margin
    return float(inside.min())


def _sent(cycle: Cycle) -> Array:
    return _places(cycle.moving)


def _places(moving: tuple[Moving, ...]) -> Array:
    return np.array([each.x for each in moving])
