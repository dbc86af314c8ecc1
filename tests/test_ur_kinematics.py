"""The UR5e's closed forms against UR's DH table, finite differences and the simulated arm."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_io.ur import kinematics as kin

DH = (
    (0.1625, 0.0, pi / 2),
    (0.0, -0.425, 0.0),
    (0.0, -0.3922, 0.0),
    (0.1333, 0.0, pi / 2),
    (0.0997, 0.0, -pi / 2),
    (0.0996, 0.0, 0.0),
)
"""UR's public table: d and a in metres, alpha in radians"""
joint_vectors = arrays(float, 6, elements=st.floats(-pi, pi))
rotation_vectors = arrays(float, 3, elements=st.floats(-pi, pi))


def dh_flange(joints: np.ndarray) -> np.ndarray:
    """The table's product of transforms, in the base."""
    made = np.eye(4)
    for q, (d, a, alpha) in zip(joints, DH, strict=True):
        c, s, ca, sa = np.cos(q), np.sin(q), np.cos(alpha), np.sin(alpha)
        made = made @ [[c, -s * ca, s * sa, a * c], [s, c * ca, -c * sa, a * s], [0, sa, ca, d], [0, 0, 0, 1]]
    return made


@given(joint_vectors)
def test_the_flange_is_where_the_dh_table_puts_it(joints: np.ndarray) -> None:
    assert np.allclose(kin.flange(joints), dh_flange(joints), atol=1e-12)


@given(joint_vectors, st.floats(0.0, 0.3))
def test_the_jacobian_is_the_derivative(joints: np.ndarray, reach: float) -> None:
    tool = kin.transform(np.array([0.02, -0.01, reach, 0.0, 0.0, 0.0]))
    step = 1e-6
    for joint, column in enumerate(kin.jacobian(joints, tool).T):
        ahead, behind = joints.copy(), joints.copy()
        ahead[joint] += step
        behind[joint] -= step
        after, before = kin.flange(ahead) @ tool, kin.flange(behind) @ tool
        turn = kin.rotation_vector(after[:3, :3] @ before[:3, :3].T)
        moved = np.concatenate([after[:3, 3] - before[:3, 3], turn]) / (2 * step)
        assert np.allclose(column, moved, atol=1e-6)


@given(joint_vectors)
def test_the_inverse_finds_the_joints_it_is_near(joints: np.ndarray) -> None:
    goal = kin.flange(joints)
    found = kin.inverse(goal, joints)
    assert found is not None
    assert np.allclose(kin.flange(found), goal, atol=1e-6)
    assert np.abs(found - joints).sum() < 1e-4 or np.abs(np.sin(joints[4])) < 1e-3 or is_folded(joints)


def is_folded(joints: np.ndarray) -> bool:
    """Where branches meet: the elbow stretched or folded, or the wrist over the shoulder's axis."""
    singular = np.linalg.svd(kin.jacobian(joints), compute_uv=False)[-1]
    return bool(singular < 1e-3)


@given(joint_vectors)
def test_every_solution_reaches_the_same_flange(joints: np.ndarray) -> None:
    goal = kin.flange(joints)
    for found in kin.solutions(goal, joints):
        assert np.allclose(kin.flange(found), goal, atol=1e-6)


def test_most_poses_have_eight_solutions_and_far_ones_none() -> None:
    joints = np.array([0.3, -1.6, 1.9, -1.9, -1.2, 0.4])
    found = list(kin.solutions(kin.flange(joints), joints))
    assert len(found) == 8
    assert len({tuple(np.round(one % (2 * pi), 6)) for one in found}) == 8
    assert kin.inverse(kin.transform(np.array([2.0, 0.0, 0.5, 0.0, pi, 0.0])), joints) is None


@given(joint_vectors, st.lists(st.sampled_from([-1, 0, 1]), min_size=6, max_size=6))
def test_the_inverse_stays_on_the_turn_it_is_near(joints: np.ndarray, turns: list[int]) -> None:
    near = np.clip(joints + 2 * pi * np.array(turns), -2 * pi, 2 * pi)
    found = kin.inverse(kin.flange(near), near)
    assert found is not None
    assert np.abs(found).max() <= 2 * pi


@given(rotation_vectors)
def test_rotation_vectors_come_back_no_longer_than_half_a_turn(vector: np.ndarray) -> None:
    back = kin.rotation_vector(kin.rotation(vector))
    assert np.linalg.norm(back) <= pi + 1e-9
    assert np.allclose(kin.rotation(back), kin.rotation(vector), atol=1e-7)


@pytest.mark.parametrize("axis", [[pi, 0, 0], [0, pi, 0], [0, 0, pi], [pi / np.sqrt(2), -pi / np.sqrt(2), 0]])
def test_half_a_turn_is_exact(axis: list[float]) -> None:
    back = kin.rotation_vector(kin.rotation(np.array(axis)))
    assert np.allclose(np.abs(back), np.abs(axis), atol=1e-12)


def test_a_pose_comes_back() -> None:
    given_pose = np.array([0.4, -0.1, 0.2, 0.1, 3.0, -0.2])
    assert np.allclose(kin.pose(kin.transform(given_pose)), given_pose)
