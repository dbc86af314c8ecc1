"""How the controller's target moves: servo, constant speed, moves along a profile, and stopping.

A motion turns the joint target (position and speed of its own time) into the next one. Where the speed slider is not
at 1 the controller gives it less time; the motion does not know. Units: rad, m, s.

The servo is a critically damped second order filter: the dynamics of the real `servoj` are not public. Its lag behind
a ramp is `lookahead + 4.8 s / gain`, which fits the one public measurement (34 ms at 0.03 s and gain 1200).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt
from typing import Protocol

import numpy as np

from episodes.record import Array
from robot_io.ur import kinematics

GAIN_LAG_S = 4.8
STILL_RAD_S = 1e-6
SINGULAR_DAMPING = 1e-8
"""of J J^T, so that a speed through a singularity is huge and not an error: the speed limit sees it"""


class ScriptError(Exception):
    """What ends a running program: no inverse kinematics, two threads on one arm, an unknown command."""


@dataclass(slots=True)
class JointTarget:
    """Where the joints are to be, and how fast they are on their way there."""

    q: Array
    qd: Array


class Motion(Protocol):
    """One way for the target to move."""

    done: bool

    def step(self, now: JointTarget, dt_s: float) -> JointTarget: ...


@dataclass(slots=True)
class Servo:
    """Follow a joint target that is written anew while it runs (`servoj`)."""

    goal: Array
    lookahead_s: float
    gain: float
    done: bool = False

    def step(self, now: JointTarget, dt_s: float) -> JointTarget:
        w = 2.0 / (self.lookahead_s + GAIN_LAG_S / self.gain)
        qd = now.qd + (w * w * (self.goal - now.q) - 2.0 * w * now.qd) * dt_s
        return JointTarget(now.q + qd * dt_s, qd)


@dataclass(slots=True)
class JointSpeed:
    """A constant joint speed, reached with `acceleration` on the joint that has furthest to go (`speedj`)."""

    speed: Array
    acceleration: float
    done: bool = False

    def step(self, now: JointTarget, dt_s: float) -> JointTarget:
        change = self.speed - now.qd
        qd = now.qd + change * _share(self.acceleration * dt_s, float(np.abs(change).max()))
        return JointTarget(now.q + qd * dt_s, qd)


@dataclass(slots=True)
class ToolSpeed:
    """A constant tool velocity (6,) in the base (`speedl`); turning accelerates as fast in rad as moving does in m."""

    speed: Array
    acceleration: float
    tool: Array
    done: bool = False

    def step(self, now: JointTarget, dt_s: float) -> JointTarget:
        jacobian = kinematics.jacobian(now.q, self.tool)
        have = jacobian @ now.qd
        change = self.speed - have
        largest = max(float(np.linalg.norm(change[:3])), float(np.linalg.norm(change[3:])))
        qd = joint_speed(jacobian, have + change * _share(self.acceleration * dt_s, largest))
        return JointTarget(now.q + qd * dt_s, qd)


@dataclass(slots=True)
class Stop:
    """Slow down along the way the arm is going, until it stands: `stopj`, and with a `tool` `stopl`."""

    deceleration: float
    tool: Array | None = None
    done: bool = False

    def step(self, now: JointTarget, dt_s: float) -> JointTarget:
        speed = self._speed(now)
        left = max(0.0, 1.0 - self.deceleration * dt_s / speed) if speed > STILL_RAD_S else 0.0
        self.done = left == 0.0
        return JointTarget(now.q + now.qd * left * dt_s, now.qd * left)

    def _speed(self, now: JointTarget) -> float:
        if self.tool is None:
            return float(np.abs(now.qd).max())
        velocity = kinematics.jacobian(now.q, self.tool) @ now.qd
        return max(float(np.linalg.norm(velocity[:3])), float(np.linalg.norm(velocity[3:])))


@dataclass(slots=True, kw_only=True)
class Along:
    """A way of `length`, gone with at most `speed` and `acceleration`: a trapezoid, from rest to rest."""

    way: Callable[[float, Array], Array]
    """(share of the way, present joints) -> joints"""
    length: float
    speed: float
    acceleration: float
    done: bool = False
    gone: float = 0.0
    rate: float = 0.0

    def step(self, now: JointTarget, dt_s: float) -> JointTarget:
        left = self.length - self.gone
        braking = sqrt(max(0.0, 2.0 * self.acceleration * left))
        self.rate = min(self.rate + self.acceleration * dt_s, self.speed, braking)
        self.gone = min(self.length, self.gone + self.rate * dt_s)
        self.done = self.gone >= self.length * (1.0 - 1e-9)
        q = self.way(1.0 if self.done else self.gone / self.length, now.q)
        qd = np.zeros(6) if self.done or dt_s == 0.0 else (q - now.q) / dt_s
        return JointTarget(q, qd)


@dataclass(slots=True)
class Path:
    """Moves one after another; each stands before the next begins, blend radii are not modelled."""

    legs: list[Callable[[Array], Motion]]
    done: bool = False
    _leg: Motion | None = field(default=None)

    def step(self, now: JointTarget, dt_s: float) -> JointTarget:
        if self._leg is None or self._leg.done:
            if not self.legs:
                self.done = True
                return JointTarget(now.q, np.zeros(6))
            self._leg = self.legs.pop(0)(now.q)
        return self._leg.step(now, dt_s)


def move_joints(start: Array, goal: Array, speed: float, acceleration: float) -> Along:
    """`movej`: a straight line in joint space; speed and acceleration are those of the leading joint."""
    span = np.asarray(goal, float) - start
    return Along(
        way=lambda share, _: start + share * span,
        length=max(float(np.abs(span).max()), 1e-9),
        speed=speed,
        acceleration=acceleration,
    )


def move_tool(start: Array, goal: Array, tool: Array, speed: float, acceleration: float) -> Along:
    """`movel`: the tool point along a straight line to the pose `goal` (4, 4), turning evenly.

    Raises `ScriptError` where the way leads out of the arm's reach.
    """
    first = kinematics.flange(start) @ tool
    shift = goal[:3, 3] - first[:3, 3]
    turn = kinematics.rotation_vector(goal[:3, :3] @ first[:3, :3].T)
    back = np.linalg.inv(tool)

    def way(share: float, near: Array) -> Array:
        between = np.eye(4)
        between[:3, :3] = kinematics.rotation(share * turn) @ first[:3, :3]
        between[:3, 3] = first[:3, 3] + share * shift
        return solved(between @ back, near)

    length = max(float(np.linalg.norm(shift)), float(np.linalg.norm(turn)), 1e-9)
    return Along(way=way, length=length, speed=speed, acceleration=acceleration)


def solved(flange: Array, near: Array) -> Array:
    """The joints for a flange pose (4, 4); `ScriptError` where there are none."""
    found = kinematics.inverse(flange, near) if np.isfinite(flange).all() else None
    if found is None:
        raise ScriptError("no inverse kinematics for the pose")
    return found


def joint_speed(jacobian: Array, velocity: Array) -> Array:
    """(6,) joint speeds of a tool velocity (6,)."""
    squared = jacobian @ jacobian.T + SINGULAR_DAMPING * np.eye(6)
    return np.asarray(jacobian.T @ np.linalg.solve(squared, velocity))


def _share(allowed: float, wanted: float) -> float:
    """How much of a change fits into one step."""
    return 1.0 if wanted <= allowed else allowed / wanted
