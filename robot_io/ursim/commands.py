"""What the control script does for each command number, after the script of `ur_rtde` 1.6.5.

A command takes its arguments from the mailbox and acts on the controller at once, or returns a motion to wait for.
Commands that are not in the table end the program with a reason, as an unknown function would: `servoC`, jogging,
teach and freedrive mode, contact detection, joint position history, torques, dynamics, external force sensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from episodes.record import Array
from robot_io.ur import kinematics
from robot_io.ursim import questions
from robot_io.ursim.force import ForceMode
from robot_io.ursim.motion import (
    JointSpeed,
    Motion,
    Path,
    ScriptError,
    Servo,
    Stop,
    ToolSpeed,
    move_joints,
    move_tool,
    solved,
)
from robot_io.ursim.running import Command, Running
from robot_io.ursim.script import PathMove

FORCE_STOP = 10.0


def _moved(run: Running, motion: Motion) -> Motion | None:
    """Begin a move; the client waits for it unless it asked not to. A move that it did not wait for is dropped."""
    if run.mail.async_runs:
        run.drive.release()
        run.mail.async_ends()
    run.drive.begin(motion)
    if run.mail.integer(1) != 1:
        return motion
    run.mail.async_begins()
    return None


def _profile(run: Running) -> tuple[float, float]:
    speed, acceleration = run.mail.vector(6, 2)
    if speed <= 0.0 or acceleration <= 0.0:
        raise ScriptError(f"a move with speed {speed} and acceleration {acceleration}")
    return float(speed), float(acceleration)


def move_j(run: Running) -> Motion | None:
    return _moved(run, move_joints(run.joints, run.mail.vector(0), *_profile(run)))


def move_j_to_pose(run: Running) -> Motion | None:
    goal = solved(run.flange_of(run.mail.vector(0)), run.joints)
    return _moved(run, move_joints(run.joints, goal, *_profile(run)))


def move_l(run: Running) -> Motion | None:
    goal = kinematics.transform(run.mail.vector(0))
    return _moved(run, move_tool(run.joints, goal, run.robot.tool.point, *_profile(run)))


def move_l_to_joints(run: Running) -> Motion | None:
    goal = kinematics.flange(run.mail.vector(0)) @ run.robot.tool.point
    return _moved(run, move_tool(run.joints, goal, run.robot.tool.point, *_profile(run)))


def move_path(run: Running) -> Motion | None:
    tool = run.robot.tool.point
    return _moved(run, Path([_leg(move, tool) for move in run.script.path]))


def _leg(move: PathMove, tool: Array) -> Callable[[Array], Motion]:
    def begin(joints: Array) -> Motion:
        pose = kinematics.transform(move.goal) if move.is_pose else kinematics.flange(move.goal) @ tool
        if move.linear:
            return move_tool(joints, pose, tool, move.speed, move.acceleration)
        goal = solved(pose @ np.linalg.inv(tool), joints) if move.is_pose else move.goal
        return move_joints(joints, goal, move.speed, move.acceleration)

    return begin


def force_mode(run: Running) -> None:
    run.drive.force_mode = ForceMode(
        frame=kinematics.transform(run.mail.vector(0)),
        compliant=np.array([run.mail.integer(i) != 0 for i in range(2, 8)]),
        wrench=run.mail.vector(6),
        limits=run.mail.vector(12),
    )


def force_mode_stop(run: Running) -> Motion | None:
    run.drive.end_force_mode()
    return _stopped(run, Stop(FORCE_STOP, run.robot.tool.point))


def _stopped(run: Running, stop: Stop) -> Motion:
    run.drive.release()
    run.drive.begin(stop)
    return stop


def speed_j(run: Running) -> None:
    speed, (acceleration, _) = run.mail.vector(0), run.mail.vector(6, 2)
    if isinstance(run.drive.motion, JointSpeed):
        run.drive.motion.speed, run.drive.motion.acceleration = speed, float(acceleration)
    else:
        run.drive.begin(JointSpeed(speed, float(acceleration)))


def speed_l(run: Running) -> None:
    speed, (acceleration, _) = run.mail.vector(0), run.mail.vector(6, 2)
    if isinstance(run.drive.motion, ToolSpeed):
        run.drive.motion.speed, run.drive.motion.acceleration = speed, float(acceleration)
    else:
        run.drive.begin(ToolSpeed(speed, float(acceleration), run.robot.tool.point))


def servo_j(run: Running) -> None:
    _servo(run, run.mail.vector(0))


def servo_l(run: Running) -> None:
    _servo(run, solved(run.flange_of(run.mail.vector(0)), run.joints))


def _servo(run: Running, goal: Array) -> None:
    _, lookahead_s, gain = run.mail.vector(8, 3)
    if lookahead_s <= 0.0 or gain <= 0.0:
        raise ScriptError(f"servoj with lookahead {lookahead_s} and gain {gain}")
    if isinstance(run.drive.motion, Servo):
        run.drive.motion.goal, run.drive.motion.lookahead_s, run.drive.motion.gain = (
            goal,
            lookahead_s,
            gain,
        )
    else:
        run.drive.begin(Servo(goal, float(lookahead_s), float(gain)))


def stop_servo(run: Running) -> Motion | None:
    return _stopped(run, Stop(run.mail.number(0), run.robot.tool.point))


def stop_speed(run: Running) -> Motion | None:
    linear = isinstance(run.drive.motion, ToolSpeed)
    return _stopped(run, Stop(run.mail.number(0), run.robot.tool.point if linear else None))


def stop_move(run: Running) -> Motion | None:
    if isinstance(run.drive.motion, Servo | JointSpeed | ToolSpeed):
        raise ScriptError("another thread is already controlling the robot")
    if run.mail.async_runs:
        run.mail.async_ends()
    stop = _stopped(run, Stop(run.mail.number(0)))
    if run.mail.integer(1) != 1:
        return stop
    run.mail.async_begins()
    return None


REALTIME: Mapping[int, Command] = {
    6: force_mode,
    9: speed_j,
    10: speed_l,
    11: servo_j,
    24: servo_l,
    26: questions.step_time,
    58: questions.flange_pose,
}
"""repeated each cycle while their number stands in the register"""
REALTIME_NUMBERS = frozenset({6, 9, 10, 11, 24, 25, 26, 27, 38, 58, 66, 67, 68, 69, 70, 71})
ONCE: Mapping[int, Command] = {
    1: move_j,
    2: move_j_to_pose,
    3: move_l,
    4: move_l_to_joints,
    7: force_mode_stop,
    8: questions.zero_force,
    15: stop_speed,
    16: stop_servo,
    17: questions.set_payload,
    20: questions.set_force_damping,
    21: questions.set_force_gain,
    29: questions.set_tcp,
    30: questions.inverse_near,
    31: questions.protective_stop,
    33: stop_move,
    34: stop_move,
    35: questions.set_watchdog,
    36: questions.pose_is_safe,
    37: questions.joints_are_safe,
    39: questions.composed,
    40: questions.tcp_offset,
    43: questions.forward_now,
    44: questions.forward_of,
    45: move_path,
    46: questions.inverse,
    47: questions.is_steady,
    59: questions.set_gravity,
    60: questions.has_inverse,
    61: questions.has_inverse,
    65: questions.set_target_payload,
}
"""done once, then `done` stands until the register is cleared"""
END = 255
