"""How far wrist and tool are from the arm's own links: capsules on UR's link lines. m, rad.

Link lines are those of the DH table; the upper arm stands off its line by 0.138 m along the second axis, as on a UR5e.
Radii are rounded up from UR's drawings.
"""

from __future__ import annotations

from math import cos, sin, sqrt

import numpy as np

from episodes.record import Array
from robot_io.ur import kinematics
from robot_io.ur.kinematics import Vector

UPPER_ARM_OFF_M = 0.138
COLUMN_R, UPPER_R, FOREARM_R, WRIST_R, TOOL_R = 0.075, 0.06, 0.055, 0.05, 0.06
Capsule = tuple[Vector, Vector, float]


def clearance(joints: Array, tool: Array) -> float:
    """The smallest gap between what is near the base and what is near the tool; negative where they meet."""
    near, far = _capsules(joints, tool)
    return min(_distance(a, b) for a in near for b in far)


def singularity(joints: Array, tool: Array) -> float:
    """The smallest singular value of the Jacobian (m and rad as they are): 0 where a direction is lost."""
    return float(np.linalg.svd(kinematics.jacobian(joints, tool), compute_uv=False)[-1])


def _capsules(joints: Array, tool: Array) -> tuple[list[Capsule], list[Capsule]]:
    """Those near the base, and those near the tool."""
    *_, points = kinematics.chain(joints)
    q1 = float(joints[0])
    off = (UPPER_ARM_OFF_M * sin(q1), -UPPER_ARM_OFF_M * cos(q1), 0.0)
    shoulder, elbow = (_plus(point, off) for point in (points[0], points[1]))
    tip = (kinematics.flange(joints) @ tool)[:3, 3].tolist()
    near = [((0.0, 0.0, 0.0), points[0], COLUMN_R), (shoulder, elbow, UPPER_R)]
    far = [(points[4], points[5], WRIST_R), (points[5], (tip[0], tip[1], tip[2]), TOOL_R)]
    return near, far


def _plus(a: Vector, b: Vector) -> Vector:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def _distance(one: Capsule, other: Capsule) -> float:
    """Between the skins of two capsules: the closest points of two segments, each clamped to its own."""
    (p, p_end, p_radius), (q, q_end, q_radius) = one, other
    u, v, w = _minus(p_end, p), _minus(q_end, q), _minus(p, q)
    a, b, c, d, e = _dot(u, u), _dot(u, v), _dot(v, v), _dot(u, w), _dot(v, w)
    apart = a * c - b * b
    s = min(max((b * e - c * d) / apart, 0.0), 1.0) if apart > 1e-12 else 0.0
    t = min(max((b * s + e) / c, 0.0), 1.0)
    s = min(max((b * t - d) / a, 0.0), 1.0)
    gap = [w[i] + s * u[i] - t * v[i] for i in range(3)]
    return sqrt(sum(part * part for part in gap)) - p_radius - q_radius


def _minus(a: Vector, b: Vector) -> Vector:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
