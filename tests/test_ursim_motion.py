"""How the target moves: within its limits, to its goal, and to a stand."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_io.ur import kinematics as kin
from robot_io.ursim.force import ForceMode
from robot_io.ursim.motion import (
    JointSpeed,
    JointTarget,
    Motion,
    Path,
    ScriptError,
    Servo,
    Stop,
    ToolSpeed,
    move_joints,
    move_tool,
)

DT_S = 0.002
HOME = np.array([0.3, -1.6, 1.9, -1.9, -1.57, 0.4])
TOOL = kin.transform(np.array([0.0, 0.0, 0.165, 0.0, 0.0, 0.0]))
goals = arrays(float, 6, elements=st.floats(-2.0, 2.0))


def gone(motion: Motion, start: JointTarget, ticks: int = 20_000) -> list[JointTarget]:
    """Every target until the motion is done."""
    way = [start]
    while not motion.done:
        way.append(motion.step(way[-1], DT_S))
        assert len(way) < ticks
    return way


def at_rest(joints: np.ndarray = HOME) -> JointTarget:
    return JointTarget(joints.copy(), np.zeros(6))


@settings(max_examples=20)
@given(goals, st.floats(0.1, 3.0), st.floats(0.5, 20.0))
def test_a_joint_move_keeps_its_limits_and_ends_at_rest(goal: np.ndarray, speed: float, acceleration: float) -> None:
    way = gone(move_joints(HOME, goal, speed, acceleration), at_rest())
    q = np.array([target.q for target in way])
    qd = np.diff(q, axis=0) / DT_S
    assert np.allclose(way[-1].q, goal, atol=1e-12)
    assert np.abs(qd).max() <= speed * (1 + 1e-6)
    assert np.all(way[-1].qd == 0.0)
    assert np.diff(np.abs(qd).max(1), prepend=0.0).max() / DT_S <= acceleration * (1 + 1e-6)


def test_a_tool_move_is_a_straight_line() -> None:
    start = kin.flange(HOME) @ TOOL
    goal = start.copy()
    goal[:3, 3] += [0.05, -0.03, 0.04]
    goal[:3, :3] = kin.rotation(np.array([0.0, 0.0, 0.3])) @ goal[:3, :3]
    way = gone(move_tool(HOME, goal, TOOL, 0.2, 1.0), at_rest())
    points = np.array([(kin.flange(target.q) @ TOOL)[:3, 3] for target in way])
    off = np.cross(points - start[:3, 3], goal[:3, 3] - start[:3, 3])
    assert np.abs(off).max() < 1e-9
    assert np.allclose(kin.flange(way[-1].q) @ TOOL, goal, atol=1e-9)


def test_a_tool_move_out_of_reach_ends_the_program() -> None:
    goal = kin.flange(HOME) @ TOOL
    goal[:3, 3] = [1.5, 0.0, 0.2]
    with pytest.raises(ScriptError, match="no inverse kinematics"):
        gone(move_tool(HOME, goal, TOOL, 0.5, 1.0), at_rest())


@settings(max_examples=20)
@given(st.floats(0.03, 0.2), st.floats(100.0, 2000.0))
def test_a_servo_comes_to_its_goal_without_going_past_it(lookahead_s: float, gain: float) -> None:
    servo, now = Servo(HOME + 0.1, lookahead_s, gain), at_rest()
    for _ in range(1000):
        now = servo.step(now, DT_S)
        assert np.all(now.q <= HOME + 0.1 + 1e-12)
    assert np.allclose(now.q, HOME + 0.1, atol=1e-6)


def test_a_servo_lags_behind_a_ramp_as_measured_on_a_robot() -> None:
    servo, now, speed = Servo(HOME.copy(), 0.03, 1200.0), at_rest(), 0.3
    for _ in range(1000):
        servo.goal = servo.goal + speed * DT_S
        now = servo.step(now, DT_S)
    assert (servo.goal - now.q)[0] / speed == pytest.approx(0.034, abs=0.002)


@settings(max_examples=20)
@given(goals, st.floats(0.5, 20.0))
def test_a_stop_only_slows_down_and_keeps_its_direction(speed: np.ndarray, deceleration: float) -> None:
    way = gone(Stop(deceleration), JointTarget(HOME, speed))
    rates = [float(np.abs(target.qd).max()) for target in way]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 0.0
    assert len(way) <= np.abs(speed).max() / deceleration / DT_S + 3


def test_a_tool_stop_takes_the_deceleration_of_the_tool() -> None:
    start = JointTarget(HOME, np.linalg.solve(kin.jacobian(HOME, TOOL), [0.1, 0.0, 0.0, 0.0, 0.0, 0.0]))
    assert len(gone(Stop(1.0, TOOL), start)) == pytest.approx(0.1 / 1.0 / DT_S, abs=3)


def test_speeds_are_reached_with_their_acceleration() -> None:
    joint, tool, a, b = (
        JointSpeed(np.full(6, 0.2), 1.0),
        ToolSpeed(np.eye(6)[2] * 0.05, 0.5, TOOL),
        at_rest(),
        at_rest(),
    )
    for _ in range(50):
        a, b = joint.step(a, DT_S), tool.step(b, DT_S)
    assert np.allclose(a.qd, 0.1)
    assert np.allclose(kin.jacobian(b.q, TOOL) @ b.qd, [0, 0, 0.05, 0, 0, 0], atol=1e-3)


def test_a_path_goes_through_its_points_in_order() -> None:
    points = [HOME + 0.1, HOME - 0.1]
    legs = [lambda q, goal=goal: move_joints(q, goal, 1.0, 5.0) for goal in points]
    way = [target.q for target in gone(Path(list(legs)), at_rest())]
    reached = [next(i for i, q in enumerate(way) if np.allclose(q, goal)) for goal in points]
    assert reached == sorted(reached)
    assert np.allclose(way[-1], points[-1])


def test_force_mode_moves_only_its_axes_until_the_forces_meet() -> None:
    frame = kin.transform(np.array([0.0, 0.0, 0.0, 0.0, 0.0, pi / 2]))
    mode = ForceMode(
        frame=frame,
        compliant=np.eye(6, dtype=bool)[0],
        wrench=np.array([10.0, 0, 0, 0, 0, 0]),
        limits=np.full(6, 0.004),
    )
    wanted = np.array([0.01, 0.02, 0.03, 0.0, 0.0, 0.0])
    pressed = np.array([0.0, -10.0, 0.0, 0.0, 0.0, 0.0])
    assert np.allclose(mode.velocity(wanted, pressed, 1.0), [0.01, 0.0, 0.03, 0, 0, 0])
    assert np.allclose(mode.velocity(wanted, np.zeros(6), 1.0), [0.01, 0.004, 0.03, 0, 0, 0])
