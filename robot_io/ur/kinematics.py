"""Closed-form kinematics of the UR5e, whose link lengths the UR7e shares.

Frames: the arm's own base (x, y, z of UR's DH table) and the flange. Joints q1..q6 in rad, lengths in m. With
c1 = cos q1, s1 = sin q1 and t = q2 + q3 + q4, the arm lies in one vertical plane, whose directions are

    e(a) = (c1 cos a, s1 cos a, sin a)        n = (s1, -c1, 0)        u = (c1 sin t, s1 sin t, -cos t)

and the points on its joint axes are o1 = (0, 0, d1), o2 = o1 + a2 e(q2), o3 = o2 + a3 e(q2 + q3), o4 = o3 + d4 n,
o5 = o4 + d5 u, and the flange o6 = o5 + d6 z with z = -sin q5 e(t) + cos q5 n. The axes are (0, 0, 1), n, n, n, u, z.
Inverse: n . o5 = d4 gives q1, n . z = cos q5 gives q5, n seen from the flange gives q6, and what is left is a planar
arm of two links.

A UR pose is six numbers `x y z rx ry rz`, the last three a rotation vector; a transform is (4, 4).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import acos, atan2, cos, hypot, pi, sin, sqrt

import numpy as np

from episodes.record import Array

Vector = tuple[float, float, float]
D1_M, D4_M, D5_M, D6_M = 0.1625, 0.1333, 0.0997, 0.0996
A2_M, A3_M = -0.425, -0.3922
SPAN_RAD = 2 * pi
"""each joint turns this far either way"""
STRAIGHT = 1e-6
"""|sin q5| below this: axes 4 and 6 are parallel, q6 is free"""
REACH_SLACK = 1e-9
"""a cosine may exceed 1 by this, from rounding, at the edge of the reach"""


def flange(joints: Array) -> Array:
    """(6,) joints -> (4, 4) the flange in the base."""
    x, y, z, points = chain(joints)
    return np.array(
        [
            [x[0], y[0], z[0], points[5][0]],
            [x[1], y[1], z[1], points[5][1]],
            [x[2], y[2], z[2], points[5][2]],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def jacobian(joints: Array, tool: Array | None = None) -> Array:
    """(6, 6) from joint speeds to the velocity (m/s) and angular velocity (rad/s) of the tool point, in the base.

    `tool` (4, 4) is the tool in the flange; without it the tool point is the flange.
    """
    x, y, z, points = chain(joints)
    point = np.array(points[5])
    if tool is not None:
        point = point + np.column_stack([x, y, z]) @ tool[:3, 3]
    s1, c1, turned = sin(joints[0]), cos(joints[0]), float(joints[1] + joints[2] + joints[3])
    normal = (s1, -c1, 0.0)
    wrist = (c1 * sin(turned), s1 * sin(turned), -cos(turned))
    axes = np.array([(0.0, 0.0, 1.0), normal, normal, normal, wrist, z]).T
    arms = point[:, None] - np.array([(0.0, 0.0, 0.0), *points[:5]]).T
    return np.concatenate([cross(axes, arms), axes])


def inverse(goal: Array, near: Array) -> Array | None:
    """(6,) the joints that put the flange at `goal` (4, 4), nearest to `near`; None where it cannot reach."""
    found = [_nearest_turns(joints, near) for joints in solutions(goal, near)]
    found = [joints for joints in found if np.abs(joints).max() <= SPAN_RAD]
    return min(found, key=lambda joints: float(np.abs(joints - near).sum()), default=None)


def solutions(goal: Array, near: Array) -> Iterator[Array]:
    """Up to eight (6,) joint vectors for one flange pose (4, 4); `near` gives q6 where it is free."""
    x, y, z, place = goal[:3].T.tolist()
    centre = [at - D6_M * towards for at, towards in zip(place, z, strict=True)]
    for q1 in _shoulders(centre[0], centre[1]):
        c1, s1 = cos(q1), sin(q1)
        bent = acos(min(1.0, max(-1.0, s1 * z[0] - c1 * z[1])))
        for q5 in (bent, -bent):
            s5 = sin(q5)
            free = abs(s5) < STRAIGHT
            q6 = float(near[5]) if free else atan2((c1 * y[1] - s1 * y[0]) / s5, (s1 * x[0] - c1 * x[1]) / s5)
            wrist = [-(sin(q6) * xi + cos(q6) * yi) for xi, yi in zip(x, y, strict=True)]
            turned = atan2(c1 * wrist[0] + s1 * wrist[1], -wrist[2])
            elbow = [at - D5_M * towards for at, towards in zip(centre, wrist, strict=True)]
            for q2, q3 in _two_links(c1 * elbow[0] + s1 * elbow[1], elbow[2] - D1_M):
                yield np.array([q1, q2, q3, turned - q2 - q3, q5, q6])


def transform(pose: Array) -> Array:
    """UR pose (6,) -> (4, 4)."""
    made = np.eye(4)
    made[:3, :3] = rotation(pose[3:])
    made[:3, 3] = pose[:3]
    return made


def pose(matrix: Array) -> Array:
    """(4, 4) -> UR pose (6,), its rotation vector no longer than pi."""
    return np.concatenate([matrix[:3, 3], rotation_vector(matrix[:3, :3])])


def rotation(vector: Array) -> Array:
    """Rotation vector (3,) -> (3, 3), by Rodrigues: I + sin a K + (1 - cos a) K^2."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3) + _skew(vector)
    axis = _skew(np.asarray(vector, float) / angle)
    return np.asarray(np.eye(3) + sin(angle) * axis + (1.0 - cos(angle)) * (axis @ axis))


def rotation_vector(matrix: Array) -> Array:
    """(3, 3) -> (3,), by the unit quaternion, so that half a turn is as exact as none."""
    w, axis = _quaternion(matrix)
    length = float(np.linalg.norm(axis))
    if length < 1e-12:
        return 2.0 * axis
    return np.asarray(axis / length * (2.0 * atan2(length, w)))


def cross(a: Array, b: Array) -> Array:
    """(3,) x (3,) or column by column (3, n) x (3, n); many times faster than NumPy's own."""
    return np.asarray(a[[1, 2, 0]] * b[[2, 0, 1]] - a[[2, 0, 1]] * b[[1, 2, 0]])


def chain(joints: Array) -> tuple[Vector, Vector, Vector, list[Vector]]:
    """The flange's axes x y z, and the points o1..o6, all in the base."""
    q1, q2, q3, q4, q5, q6 = (float(q) for q in joints)
    c1, s1, c5, s5, c6, s6 = cos(q1), sin(q1), cos(q5), sin(q5), cos(q6), sin(q6)
    turned = q2 + q3 + q4
    ct, st = cos(turned), sin(turned)
    out, up = (c1 * ct, s1 * ct, st), (c1 * st, s1 * st, -ct)
    normal = (s1, -c1, 0.0)
    z = (-s5 * out[0] + c5 * normal[0], -s5 * out[1] + c5 * normal[1], -s5 * out[2])
    bent = (c5 * out[0] + s5 * normal[0], c5 * out[1] + s5 * normal[1], c5 * out[2])
    x = (c6 * bent[0] - s6 * up[0], c6 * bent[1] - s6 * up[1], c6 * bent[2] - s6 * up[2])
    y = (-s6 * bent[0] - c6 * up[0], -s6 * bent[1] - c6 * up[1], -s6 * bent[2] - c6 * up[2])
    points = [(0.0, 0.0, D1_M)]
    for length, (dx, dy, dz) in (
        (A2_M, (c1 * cos(q2), s1 * cos(q2), sin(q2))),
        (A3_M, (c1 * cos(q2 + q3), s1 * cos(q2 + q3), sin(q2 + q3))),
        (D4_M, normal),
        (D5_M, up),
        (D6_M, z),
    ):
        px, py, pz = points[-1]
        points.append((px + length * dx, py + length * dy, pz + length * dz))
    return x, y, z, points


def _shoulders(x: float, y: float) -> tuple[float, ...]:
    """q1 of s1 x - c1 y = d4."""
    distance = hypot(x, y)
    if distance < D4_M:
        return ()
    towards, off = atan2(y, x), acos(D4_M / distance)
    return towards + off + pi / 2, towards - off + pi / 2


def _two_links(out: float, up: float) -> tuple[tuple[float, float], ...]:
    """(q2, q3) of a2 e(q2) + a3 e(q2 + q3) = (out, up)."""
    cosine = (out * out + up * up - A2_M * A2_M - A3_M * A3_M) / (2.0 * A2_M * A3_M)
    if abs(cosine) > 1.0 + REACH_SLACK:
        return ()
    cosine = min(1.0, max(-1.0, cosine))
    sine, towards = sqrt(1.0 - cosine * cosine), atan2(up, out)
    return tuple((towards - atan2(A3_M * s, A2_M + A3_M * cosine), atan2(s, cosine)) for s in (sine, -sine))


def _nearest_turns(joints: Array, near: Array) -> Array:
    """The same angles, each within half a turn of `near`, and within the joint's span."""
    turned = joints + 2 * pi * np.round((near - joints) / (2 * pi))
    return np.asarray(turned - 2 * pi * np.sign(turned) * (np.abs(turned) > SPAN_RAD))


def _skew(v: Array) -> Array:
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])


def _quaternion(m: Array) -> tuple[float, Array]:
    """(3, 3) -> w >= 0 and (3,) of the unit quaternion; the largest of its parts is the divisor."""
    squares = np.array([1 + m[0, 0] + m[1, 1] + m[2, 2], *(1 + 2 * m[i, i] - np.trace(m) for i in range(3))])
    largest = int(np.argmax(squares))
    part = sqrt(float(squares[largest])) / 2
    skew = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    if largest == 0:
        return part, skew / (4 * part)
    i = largest - 1
    axis = (m[:, i] + m[i, :]) / (4 * part)
    axis[i] = part
    w = float(skew[i]) / (4 * part)
    return (w, axis) if w >= 0 else (-w, -axis)
