"""The simulated arm: UR kinematics, reset, impedance, reference limiting, pose box."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest

from robot_io.sim.arm import Arm, ArmLimits, quaternion_xyzw, rotation_vector
from robot_io.sim.scene import DAMPING_N_S_PER_M, STIFFNESS_N_PER_M, cell_xml

UR5E_DH = (
    (0.1625, 0.0, pi / 2),
    (0.0, -0.425, 0.0),
    (0.0, -0.3922, 0.0),
    (0.1333, 0.0, pi / 2),
    (0.0997, 0.0, -pi / 2),
    (0.0996, 0.0, 0.0),
)
"""UR's public table: d and a in metres, alpha in radians"""
LIMITS = ArmLimits(push_limit_m=0.012, low=(0.3, -0.2, 0.05, -0.1, -0.1, -0.3), high=(0.6, 0.2, 0.4, 0.1, 0.1, 0.3))


@pytest.fixture(scope="module")
def arm() -> Arm:
    return Arm(cell_xml(""), LIMITS)


def dh_flange(joints: np.ndarray) -> np.ndarray:
    """(6,) joint angles -> (4, 4) flange pose in the world; the base stands turned by half a turn."""
    pose = np.diag([-1.0, -1.0, 1.0, 1.0])
    for q, (d, a, alpha) in zip(joints, UR5E_DH, strict=True):
        c, s, ca, sa = np.cos(q), np.sin(q), np.cos(alpha), np.sin(alpha)
        pose = pose @ [[c, -s * ca, s * sa, a * c], [s, c * ca, -c * sa, a * s], [0, sa, ca, d], [0, 0, 0, 1]]
    return pose


def test_the_flange_is_where_the_dh_table_puts_it(arm: Arm) -> None:
    import mujoco

    for joints in np.random.default_rng(0).uniform(-pi, pi, (50, 6)):
        arm.data.qpos[:6] = joints
        mujoco.mj_kinematics(arm.model, arm.data)
        expected, hand = dh_flange(joints), arm.data.body("hand")
        assert np.allclose(hand.xpos, expected[:3, 3], atol=1e-12)
        assert np.allclose(hand.xmat.reshape(3, 3), expected[:3, :3], atol=1e-12)


def test_reset_puts_the_tool_where_it_was_asked(arm: Arm) -> None:
    arm.place(np.array([0.5, 0.05, 0.2]), 0.2, 0.02)
    assert np.allclose(arm.pose(), [0.5, 0.05, 0.2, 0.0, 0.0, 0.2], atol=1e-5)
    assert np.allclose(rotation_vector(arm.rotation() @ np.diag([1.0, -1.0, -1.0])), [0.0, 0.0, 0.2], atol=1e-5)
    assert arm.jaw_m() == pytest.approx(0.02)


def test_actions_move_the_tool_along_base_axes(arm: Arm) -> None:
    for axis in range(6):
        arm.place(np.array([0.45, 0.0, 0.2]), 0.0, 0.02)
        action = np.zeros(6)
        action[axis] = 0.5
        arm.drive(action, 0.02)
        for _ in range(8):
            arm.drive(np.zeros(6), 0.02)
        moved = arm.pose() - [0.45, 0.0, 0.2, 0.0, 0.0, 0.0]
        assert np.argmax(np.abs(moved)) == axis
        assert moved[axis] == pytest.approx(0.5 * (0.015 if axis < 3 else 0.08), rel=0.05)


def test_the_target_leads_by_at_most_the_push_limit_and_stays_in_the_box(arm: Arm) -> None:
    arm.place(np.array([0.45, 0.0, 0.2]), 0.0, 0.02)
    for _ in range(60):
        measured = arm.pose()
        arm.drive(np.array([1.0, 0, 0, 0, 0, 1.0]), 0.02)
        assert np.abs(arm.target - measured)[:3].max() <= LIMITS.push_limit_m + 1e-12
        assert np.all(arm.target <= np.array(LIMITS.high) + LIMITS.push_limit_m)
    assert arm.pose()[0] == pytest.approx(0.6, abs=1e-3)
    assert arm.pose()[5] == pytest.approx(0.3, abs=1e-3)
    assert arm.at_wall()


def test_a_static_push_is_stiffness_times_push_limit(arm: Arm) -> None:
    low = ArmLimits(push_limit_m=0.012, low=(0.3, -0.2, -0.1, -0.1, -0.1, -0.3), high=LIMITS.high)
    pressing = Arm(cell_xml(""), low)
    pressing.place(np.array([0.45, 0.0, 0.05]), 0.0, 0.02)
    pressing.settle(25)
    resting = pressing.wrench()
    for _ in range(40):
        pressing.drive(np.array([0, 0, -1.0, 0, 0, 0]), 0.02)
    push = pressing.wrench() - resting
    assert push[2] == pytest.approx(STIFFNESS_N_PER_M * 0.012, rel=0.1)
    assert DAMPING_N_S_PER_M * np.abs(pressing.velocity()[:3]).max() < 1.0


def test_quaternions_are_xyzw() -> None:
    assert np.allclose(quaternion_xyzw(np.eye(3)), [0, 0, 0, 1])
    assert np.allclose(np.abs(quaternion_xyzw(np.diag([1.0, -1.0, -1.0]))), [1, 0, 0, 0])
