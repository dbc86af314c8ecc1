"""What each axis of the tool may do, and how hard it can be counted on to brake. m, rad, s.

A limit of the site is of a vector's length: each of its three axes keeps its share, that over the root of 3. Walls,
cone and keep-outs are kept by braking, and how hard a tool can brake is up to the joints: the acceleration counted on
is one that all six axes can have at once, anywhere in the site's box, within the joints' own,

    sum_i |J^-1|_ji a_i <= SURE A_joint        for each joint j,

half of it for moving, half for turning. The rest of A_joint is for what a moving Jacobian adds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from math import sqrt

import numpy as np

from episodes.record import Array
from robot_io.ur import frames, kinematics
from robot_io.ur.limiter import Bounds, Moving, limited
from robot_io.ur.limits import Limits, Motion

AXES = 6
SURE = 0.8
GRID = (5, 5, 3, 2, 2, 3)
"""places looked at on each axis of the box"""


def axis_bounds(limits: Limits, tool: Array, joints: Array) -> tuple[Bounds, ...]:
    """Of the six axes; `tool` (4, 4) in the flange, `joints` (6,) say how the arm is folded."""
    low, high = limits.workspace.low, limits.workspace.high
    shares = [_share(limits.motion, turns=axis > 2) for axis in range(AXES)]
    sure = _sure(limits, tool, joints, np.array([acceleration for _, acceleration, _ in shares]))
    return tuple(Bounds(low[i], high[i], *shares[i], float(sure[i])) for i in range(AXES))


def _share(motion: Motion, *, turns: bool) -> tuple[float, float, float]:
    lengths = (
        (motion.speed_rad_s, motion.acceleration_rad_s2, motion.jerk_rad_s3)
        if turns
        else (motion.speed_m_s, motion.acceleration_m_s2, motion.jerk_m_s3)
    )
    speed, acceleration, jerk = (length / sqrt(3.0) for length in lengths)
    return speed, acceleration, jerk


def _sure(limits: Limits, tool: Array, joints: Array, accelerations: Array) -> Array:
    """(6,) of the tool's accelerations (6,), what the joints can always do."""
    needed = np.full(2, 1e-9)
    for jacobian in _jacobians(limits, tool, joints):
        effort = np.abs(np.linalg.inv(jacobian)) * accelerations
        needed = np.maximum(needed, [effort[:, :3].sum(axis=1).max(), effort[:, 3:].sum(axis=1).max()])
    share = np.minimum(1.0, 0.5 * SURE * limits.joints.acceleration_rad_s2 / needed)
    return np.asarray(accelerations * np.repeat(share, 3))


def _jacobians(limits: Limits, tool: Array, joints: Array) -> Iterator[Array]:
    """Where in the box the arm may be driven."""
    space, back = limits.workspace, np.linalg.inv(tool)
    lines = [np.linspace(low, high, count) for low, high, count in zip(space.low, space.high, GRID, strict=True)]
    for pose in product(*lines):
        found = kinematics.inverse(frames.tool_in_base(np.array(pose)) @ back, joints)
        if found is None:
            continue
        jacobian = kinematics.jacobian(found, tool)
        if np.linalg.svd(jacobian, compute_uv=False)[-1] >= limits.joints.singular:
            yield jacobian


@cache
def stopping_length(bounds: tuple[Bounds, ...], dt_s: float) -> float:
    """How far braking from full speed, and from accelerating, goes at most on one axis."""
    return max(_stopping(each, dt_s) for each in bounds)


def _stopping(bounds: Bounds, dt_s: float) -> float:
    free = replace(bounds, low=-np.inf, high=np.inf).gentle()
    moving = Moving(0.0, bounds.speed, 0.0)
    while moving.v > 0.0:
        moving = limited(moving, None, 0.0, free, dt_s)
    return moving.x + 2.0 * bounds.speed * dt_s + bounds.speed * bounds.acceleration / bounds.jerk
