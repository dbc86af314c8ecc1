"""The controller's states and the control script, without sockets: commands, stops, watchdog, power."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ursim_samples import HOME, Bench, seconds

from robot_io.ur import kinematics as kin
from robot_io.ursim.controller import Controller
from robot_io.ursim.modes import RobotMode, Runtime, SafetyMode

SERVO = (0.0, 0.0, 0.002, 0.1, 300.0)
"""speed, acceleration (both unused), time, lookahead, gain"""
STOPS_WITHIN_S = 0.2


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.upload()
    return made


def servo_on(bench: Bench, ticks: int = 100, rate_rad_s: float = 0.3) -> None:
    """Stream a ramp of the first joint."""
    for _ in range(ticks):
        goal = bench.robot.drive.target.q + np.eye(6)[0] * rate_rad_s * 0.116
        bench.stream(11, [*goal, *SERVO])


def test_a_script_starts_and_says_that_it_is_ready(bench: Bench) -> None:
    assert bench.robot.runtime is Runtime.PLAYING
    assert bench.state == 1


def test_a_move_ends_where_it_was_sent_and_says_done(bench: Bench) -> None:
    assert bench.call(1, [*(HOME + 0.2), 1.0, 3.0], [0])
    assert np.allclose(bench.arm.q, HOME + 0.2)
    assert bench.state == 1
    pose = bench.tool_pose() + np.array([0.03, 0.02, -0.04, 0, 0, 0])
    assert bench.call(3, [*pose, 0.2, 1.0], [0])
    assert np.allclose(bench.tool_pose(), pose, atol=1e-6)


def test_a_move_that_is_not_waited_for_is_done_at_once_and_tells_its_end(bench: Bench) -> None:
    before = bench.async_word
    assert bench.call(1, [*(HOME + 0.2), 1.0, 3.0], [1], limit=5)
    assert bench.async_word & 1 << 15
    assert bench.async_word >> 24 == (before >> 24) + 1
    bench.until_still()
    bench.ticks(2)
    assert not bench.async_word & 1 << 15
    assert np.allclose(bench.arm.q, HOME + 0.2)


def test_a_servo_follows_and_stops_when_asked(bench: Bench) -> None:
    servo_on(bench)
    assert bench.arm.qd[0] == pytest.approx(0.3, rel=0.2)
    assert bench.call(16, [10.0])
    assert not bench.robot.drive.moves


def test_a_servo_in_tool_coordinates_goes_to_its_pose(bench: Bench) -> None:
    pose = bench.tool_pose() + np.eye(6)[2] * 0.01
    bench.stream(24, [*pose, *SERVO], ticks=500)
    assert np.allclose(bench.tool_pose()[:3], pose[:3], atol=1e-5)


def test_a_speed_goes_on_until_it_is_stopped(bench: Bench) -> None:
    start = bench.tool_pose()
    bench.stream(10, [0, 0, 0.05, 0, 0, 0, 1.0, 0.0], ticks=500)
    assert bench.tool_pose()[2] - start[2] == pytest.approx(0.05, rel=0.1)
    assert bench.call(15, [10.0])
    assert not bench.robot.drive.moves
    bench.stream(9, [0.1, 0, 0, 0, 0, 0, 1.0, 0.0], ticks=300)
    assert bench.arm.qd[0] == pytest.approx(0.1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("command", [1, 3, 6, 9, 10, 11, 24])
def test_a_number_that_is_none_ends_the_program_without_motion(bench: Bench, command: int, bad: float) -> None:
    bench.write(command, [bad] * 18, [0] * 7)
    bench.ticks(3)
    assert bench.robot.runtime is Runtime.STOPPED
    assert np.array_equal(bench.arm.q, HOME)
    assert "not a finite number" in bench.last_words()


def test_a_pose_out_of_reach_ends_the_program(bench: Bench) -> None:
    bench.write(24, [1.5, 0, 0.2, 0, 0, 0, *SERVO])
    bench.ticks(3)
    assert bench.robot.runtime is Runtime.STOPPED
    assert "no inverse kinematics" in bench.last_words()


def test_two_threads_on_one_arm_end_the_program(bench: Bench) -> None:
    servo_on(bench, 5)
    bench.write(0)
    bench.ticks(2)
    assert not bench.call(1, [*HOME, 1.0, 1.0], [0])
    assert "another thread" in bench.last_words()


def test_a_command_that_is_not_modelled_ends_the_program(bench: Bench) -> None:
    assert not bench.call(12, [0.0] * 9)
    assert "command 12 is not modelled" in bench.last_words()


def test_the_watchdog_stops_the_arm_when_nothing_is_written(bench: Bench) -> None:
    assert bench.call(35, [25.0])
    servo_on(bench)
    assert bench.robot.runtime is Runtime.PLAYING
    bench.ticks(21)
    assert bench.robot.runtime is Runtime.STOPPED
    assert "watchdog" in bench.last_words()
    assert seconds(bench.until_still()) < STOPS_WITHIN_S


def test_a_client_that_dies_leaves_a_speed_running_without_a_watchdog(bench: Bench) -> None:
    bench.stream(10, [0, 0, 0.02, 0, 0, 0, 1.0, 0.0], ticks=500)
    assert bench.robot.drive.moves


@pytest.mark.parametrize(
    "stop",
    [
        lambda robot: robot.protective_stop("injected"),
        Controller.emergency_stop,
        lambda robot: robot.emergency_stop(SafetyMode.VIOLATION),
        Controller.power_off,
        lambda robot: robot.safeguard_stop(True),
        lambda robot: robot.stop_program("stopped at the pendant"),
        Controller.pause,
    ],
)
def test_every_stop_stops_within_200_ms_and_the_servo_moves_no_more(bench: Bench, stop: object) -> None:
    servo_on(bench, rate_rad_s=0.8)
    stop(bench.robot)  # type: ignore[operator]
    assert bench.robot.runtime in (Runtime.STOPPED, Runtime.PAUSED)
    ticks = 0
    while bench.robot.drive.moves:
        bench.stream(11, [*(HOME + 1.0), *SERVO])
        ticks += 1
        assert seconds(ticks) <= STOPS_WITHIN_S + 0.002
    still = bench.arm.q.copy()
    bench.stream(11, [*(HOME + 1.0), *SERVO], ticks=100)
    assert np.array_equal(bench.arm.q, still)


def test_a_protective_stop_is_unlocked_after_five_seconds_and_a_new_script_goes_on(bench: Bench) -> None:
    bench.robot.protective_stop("injected")
    assert not bench.robot.unlock()
    bench.robot.ticks += 2499
    assert not bench.robot.unlock()
    bench.ticks(1)
    assert bench.robot.unlock()
    assert bench.robot.safety_mode is SafetyMode.NORMAL
    bench.write(0)
    bench.upload()
    assert bench.call(1, [*(HOME + 0.1), 1.0, 3.0], [0])


def test_no_script_starts_while_the_robot_may_not_move(bench: Bench) -> None:
    robot = bench.robot
    robot.protective_stop("injected")
    assert not robot.start_program(lambda: iter(()))
    robot.ticks, robot.safety_mode, robot.remote = robot.ticks + 3000, SafetyMode.NORMAL, False
    assert not robot.start_program(lambda: iter(()))
    robot.remote = True
    robot.power_off()
    assert not robot.start_program(lambda: iter(()))


def test_power_comes_in_steps(bench: Bench) -> None:
    robot = bench.robot
    robot.emergency_stop()
    assert robot.robot_mode is RobotMode.POWER_OFF
    robot.power_on()
    bench.ticks(600)
    assert robot.robot_mode is RobotMode.POWER_OFF, "a pressed red button gives no power"
    robot.release_emergency_stop()
    robot.power_on()
    seen = []
    for _ in range(1000):
        bench.ticks(1)
        seen += [robot.robot_mode] if robot.robot_mode not in seen else []
    assert seen == [RobotMode.POWER_OFF, RobotMode.POWER_ON, RobotMode.IDLE]
    robot.release_brakes()
    bench.ticks(600)
    assert robot.robot_mode is RobotMode.RUNNING


def test_the_speed_slider_slows_a_move_and_a_pause_holds_it(bench: Bench) -> None:
    bench.robot.drive.slider = 0.5
    bench.ticks(200)
    bench.write(1, [*(HOME + 0.4), 0.5, 5.0], [0])
    bench.ticks(200)
    assert np.abs(bench.robot.drive.target.qd).max() == pytest.approx(0.25)
    assert bench.robot.pause()
    bench.ticks(200)
    assert not bench.robot.drive.moves
    assert bench.robot.resume()
    bench.ticks(20)
    bench.until_still()
    assert np.allclose(bench.arm.q, HOME + 0.4)


def test_a_jump_of_the_servo_target_is_a_protective_stop(bench: Bench) -> None:
    bench.stream(11, [*(HOME + 1.5), *SERVO], ticks=50)
    assert bench.robot.safety_mode is SafetyMode.PROTECTIVE_STOP
    assert np.abs(bench.arm.q - HOME).max() < 0.1


def test_too_much_force_is_a_protective_stop(bench: Bench) -> None:
    bench.arm.pressed = np.array([0.0, 0.0, 151.0])
    bench.ticks(1)
    assert bench.robot.safety_mode is SafetyMode.PROTECTIVE_STOP


def test_the_force_is_the_world_s_on_the_tool_without_the_payload(bench: Bench) -> None:
    bench.arm.pressed = np.array([3.0, -2.0, 20.0])
    bench.ticks(50)
    assert np.allclose(bench.robot.force_on_tool, [3.0, -2.0, 20.0, 0, 0, 0], atol=1e-9)
    assert bench.call(8)
    assert np.allclose(bench.robot.force_on_tool, 0.0, atol=1e-9)
    assert bench.call(17, [1.92, 0.0, 0.0, 0.0])
    assert bench.robot.force_on_tool[2] == pytest.approx(9.82)


def test_force_mode_presses_until_the_world_presses_back(bench: Bench) -> None:
    start = bench.tool_pose()
    down = [0.0] * 6 + [0, 0, -10.0, 0, 0, 0] + [0.1] * 6
    bench.stream(6, down, [2, 0, 0, 1, 0, 0, 0], ticks=200)
    moved = bench.tool_pose() - start
    assert moved[2] < -1e-3
    assert np.abs(moved[:2]).max() < 1e-6
    bench.arm.pressed = np.array([0.0, 0.0, 10.0])
    bench.ticks(2)
    held = bench.tool_pose()
    bench.ticks(200)
    assert np.allclose(bench.tool_pose(), held, atol=1e-6)
    assert bench.call(7)
    assert bench.robot.drive.force_mode is None


def test_questions_are_answered_from_the_registers_on(bench: Bench) -> None:
    assert bench.call(47)
    assert bench.robot.registers.ints_out[1] == 1
    assert bench.call(46, bench.tool_pose())
    assert np.allclose(bench.answered(), HOME, atol=1e-6)
    assert bench.call(29, [0.0, 0.0, 0.1, 0.0, 0.0, 0.0])
    assert bench.call(40)
    assert np.allclose(bench.answered(), [0, 0, 0.1, 0, 0, 0])
    assert bench.call(43)
    assert np.allclose(bench.answered(), kin.pose(bench.arm.flange @ bench.robot.tool.point))
    assert bench.call(60, [1.5, 0, 0.2, 0, 0, 0])
    assert bench.robot.registers.ints_out[1] == 0


def test_the_upper_registers_are_a_mailbox_of_their_own() -> None:
    bench = Bench(offset=24)
    bench.upload()
    assert bench.call(1, [*(HOME + 0.1), 1.0, 3.0], [0])
    assert bench.robot.registers.ints_out[:3] == [0, 0, 0]


def test_a_client_ends_its_script(bench: Bench) -> None:
    bench.write(255)
    bench.ticks(2)
    assert bench.robot.runtime is Runtime.STOPPED
    assert bench.state == 1


@settings(max_examples=15)
@given(
    st.lists(
        st.sampled_from(
            ["servo", "speed", "far", "pstop", "unlock", "estop", "release", "off", "on", "pause", "upload"]
        ),
        max_size=12,
    )
)
def test_whatever_happens_the_target_is_finite_and_stands_unless_the_robot_runs(events: list[str]) -> None:
    bench = Bench()
    bench.upload()
    robot = bench.robot
    does = {
        "servo": lambda: bench.write(11, [*(robot.drive.target.q + 0.02), *SERVO]),
        "speed": lambda: bench.write(10, [0, 0, 0.02, 0, 0, 0, 1.0, 0.0]),
        "far": lambda: bench.write(11, [*(robot.drive.target.q + 3.0), *SERVO]),
        "pstop": lambda: robot.protective_stop("injected"),
        "unlock": robot.unlock,
        "estop": robot.emergency_stop,
        "release": robot.release_emergency_stop,
        "off": robot.power_off,
        "on": robot.release_brakes,
        "pause": robot.pause,
        "upload": bench.upload,
    }
    for event in events:
        does[event]()
        bench.ticks(60)
        assert np.isfinite(robot.drive.target.q).all()
    if robot.runtime is not Runtime.PLAYING:
        bench.ticks(150)
        assert not robot.drive.moves
