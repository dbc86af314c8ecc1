"""The simulated robot: equal seeds, what is observed, outcomes, physics faults, images."""

from __future__ import annotations

import numpy as np
import pytest

from episodes.errors import DeviceError, MissingExtra, UsageError
from episodes.record import Outcome
from robot_io.protocols import Robot
from robot_io.sim import TASKS, SimRobot, make_robot
from robot_io.sim import render as render_module

STILL = np.zeros(7)


@pytest.fixture(scope="module")
def robot() -> SimRobot:
    return make_robot("tube_insertion", cameras=())


def drive_expert(robot: SimRobot, seed: int) -> list[np.ndarray]:
    seen = [robot.reset(seed).proprio]
    while robot.privileged.outcome is Outcome.UNKNOWN:
        robot.send(robot.task.expert(robot.arm))
        seen.append(robot.observe().proprio)
    return seen


def test_equal_seeds_give_equal_episodes_bit_for_bit(robot: SimRobot) -> None:
    first = drive_expert(robot, 7)
    drive_expert(robot, 8)
    again = drive_expert(robot, 7)
    other = drive_expert(make_robot("tube_insertion", cameras=()), 7)
    assert np.array_equal(first, again)
    assert np.array_equal(first, other)
    assert not np.array_equal(first[0], drive_expert(robot, 9)[0])


@pytest.mark.parametrize("task", sorted(TASKS))
def test_names_units_and_shapes_agree(task: str) -> None:
    robot: Robot = make_robot(task, cameras=())
    spec, seen = robot.spec, robot.reset(0)
    assert seen.proprio.dtype == np.float32
    assert seen.proprio.shape == (len(spec.proprio_names),) == (len(spec.proprio_units),)
    assert len(set(spec.proprio_names)) == len(spec.proprio_names)
    assert spec.proprio_names[:6] == ("tool/x", "tool/y", "tool/z", "tool/rx", "tool/ry", "tool/rz")
    privileged = [name.startswith("priv/") for name in spec.proprio_names]
    assert not any(privileged[:25])
    assert all(privileged[25:])
    assert seen.ee_pose.shape == (7,)
    assert seen.wrench.shape == (6,)
    assert np.array_equal(seen.wrench, seen.proprio[19:25])
    assert np.allclose(seen.ee_pose[:3], seen.proprio[:3], atol=1e-6)
    assert np.allclose(np.abs(seen.ee_pose[3:]), [1, 0, 0, 0], atol=0.01)


def test_the_command_error_is_target_minus_pose(robot: SimRobot) -> None:
    robot.reset(0)
    for _ in range(3):
        robot.send(np.array([1.0, 0, 0, 0, 0, 0, 0]))
    names = robot.spec.proprio_names
    error = robot.observe().proprio[names.index("command_error/x")]
    assert error == pytest.approx(robot.arm.target[0] - robot.arm.pose()[0], abs=1e-6)
    assert error > 0.003


def test_the_object_estimate_has_a_constant_bias_in_an_episode(robot: SimRobot) -> None:
    first = robot.spec.proprio_names.index("priv/hole_dx")
    biases = []
    for seed in range(12):
        robot.reset(seed)
        errors = []
        for _ in range(3):
            errors.append(robot.observe().proprio[first : first + 5] - robot.task.estimate(robot.arm))
            robot.send(STILL)
        assert np.allclose(errors[0], errors[2], atol=1e-6)
        biases.append(errors[0])
    spread = np.std(biases, axis=0)
    assert (spread[:3] > 0.0001).all()
    assert (spread[:3] < 0.0008).all()
    assert (spread[3:] < 1e-6).all()


def test_actions_are_clipped_and_a_locked_gripper_stays_closed(robot: SimRobot) -> None:
    robot.reset(0)
    executed = robot.send(np.array([9.0, -9.0, 0.5, 0, 0, 0, 1.0]))
    assert executed.tolist() == [1.0, -1.0, 0.5, 0.0, 0.0, 0.0, -1.0]
    assert robot.spec.action_space["locked"] == [6]
    assert make_robot("pick_eggplant", cameras=()).send(np.ones(7))[6] == 1.0


@pytest.mark.parametrize("action", [np.zeros(6), np.full(7, np.nan)])
def test_what_is_no_action_is_refused(robot: SimRobot, action: np.ndarray) -> None:
    robot.reset(0)
    with pytest.raises(DeviceError, match="seven finite numbers"):
        robot.send(action)


def test_a_time_out_is_the_loops_to_call_and_a_failure_to_the_privileged(robot: SimRobot) -> None:
    robot.reset(0)
    for _ in range(robot.max_steps - 1):
        robot.send(STILL)
    assert robot.privileged.outcome is Outcome.UNKNOWN
    robot.send(STILL)
    assert robot.privileged.outcome is Outcome.FAILURE
    assert robot.privileged.failure == "jam"
    assert robot.privileged.help_needed
    assert robot.observe().outcome is Outcome.UNKNOWN
    assert robot.observe().time_s == pytest.approx(15.0)
    while robot.observe().outcome is Outcome.UNKNOWN:
        robot.send(robot.task.expert(robot.arm))
    assert robot.privileged.outcome is Outcome.SUCCESS
    assert robot.privileged.failure == ""


def test_diverging_physics_ends_the_episode_as_a_fault_and_a_reset_heals_it(robot: SimRobot) -> None:
    before = robot.reset(3)
    robot.arm.data.qvel[0] = np.nan
    for step in (1, 2):
        robot.send(STILL)
        seen = robot.observe()
        assert seen.outcome is Outcome.FAILURE
        assert seen.time_s == pytest.approx(step / 10)
        assert np.isfinite(seen.proprio).all()
    assert robot.privileged.failure == "fault"
    robot.stop()
    assert np.array_equal(robot.reset(3).proprio, before.proprio)
    assert robot.privileged.outcome is Outcome.UNKNOWN


def test_success_is_held_for_half_a_second(robot: SimRobot) -> None:
    robot.reset(0)
    held = 0
    while robot.privileged.outcome is Outcome.UNKNOWN:
        robot.send(robot.task.expert(robot.arm))
        held += robot.task.succeeded(robot.arm, 0.0)
    assert held == 6
    assert robot.observe().outcome is Outcome.SUCCESS


def test_two_robots_render_their_own_cameras() -> None:
    big = make_robot("tube_insertion", cameras=("third", "wrist"), image_px=32)
    frames = big.reset(5).images
    assert {name: image.shape for name, image in frames.items()} == {"third": (32, 32, 3), "wrist": (32, 32, 3)}
    assert frames["third"].dtype == np.uint8
    assert frames["third"].std() > 10
    small = make_robot("pick_eggplant", cameras=("third",), image_px=16)
    assert small.reset(5).images["third"].shape == (16, 16, 3)
    small.close()
    del small
    assert np.array_equal(big.reset(5).images["wrist"], frames["wrist"])
    big.close()


def test_without_opengl_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_module, "LIBRARIES", {"egl": "libNoEGL.so.1", "osmesa": "libNoOSMesa.so.8"})
    with pytest.raises(MissingExtra, match="apt-get install"):
        make_robot("tube_insertion", cameras=("third",))
    assert make_robot("tube_insertion", cameras=()).observe().images == {}


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="no simulated task 'tubes'"):
        make_robot("tubes")
    with pytest.raises(UsageError, match="no camera 'top'"):
        make_robot("tube_insertion", cameras=("top",))
