"""Commands of the control script that move nothing: settings, and questions that the registers answer."""

from __future__ import annotations

import numpy as np

from robot_io.ur import kinematics
from robot_io.ursim.controller import DT_S, Watchdog
from robot_io.ursim.limits import overstepped
from robot_io.ursim.motion import solved
from robot_io.ursim.running import Running


def zero_force(run: Running) -> None:
    run.robot.zero_force()


def set_payload(run: Running) -> None:
    mass, *centre = run.mail.vector(0, 4)
    run.robot.tool.mass_kg = float(mass)
    if any(centre):
        run.robot.tool.centre_m = np.array(centre)


def set_target_payload(run: Running) -> None:
    set_payload(run)
    run.robot.tool.inertia = run.mail.vector(4)


def set_gravity(run: Running) -> None:
    """UR is given the acceleration that holds against it: (0, 0, 9.82) upright."""
    run.robot.tool.gravity = -run.mail.vector(0, 3)


def set_tcp(run: Running) -> None:
    run.robot.tool.point = kinematics.transform(run.mail.vector(0))


def set_force_gain(run: Running) -> None:
    run.drive.force_gain = float(np.clip(run.mail.number(0), 0.0, 2.0))


def set_force_damping(run: Running) -> None:
    """Taken and without effect: the admittance has no inertia to damp."""
    run.mail.number(0)


def set_watchdog(run: Running) -> None:
    hertz = run.mail.number(0)
    name = f"input_int_register_{run.script.offset}"
    run.robot.watchdog = Watchdog(name, 1.0 / hertz, run.robot.time_s) if hertz > 0.0 else None


def protective_stop(run: Running) -> None:
    run.robot.protective_stop("asked for by the program")


def inverse(run: Running) -> None:
    run.mail.answer(solved(run.flange_of(run.mail.vector(0)), run.joints))


def inverse_near(run: Running) -> None:
    run.mail.answer(solved(run.flange_of(run.mail.vector(0)), run.mail.vector(6)))


def has_inverse(run: Running) -> None:
    run.mail.answer_integer(kinematics.inverse(run.flange_of(run.mail.vector(0)), run.joints) is not None)


def forward_now(run: Running) -> None:
    run.mail.answer(kinematics.pose(kinematics.flange(run.robot.arm.q) @ run.robot.tool.point))


def forward_of(run: Running) -> None:
    run.mail.answer(kinematics.pose(kinematics.flange(run.mail.vector(0)) @ kinematics.transform(run.mail.vector(6))))


def flange_pose(run: Running) -> None:
    run.mail.answer(kinematics.pose(run.robot.arm.flange))


def tcp_offset(run: Running) -> None:
    run.mail.answer(kinematics.pose(run.robot.tool.point))


def composed(run: Running) -> None:
    first, second = (kinematics.transform(run.mail.vector(i)) for i in (0, 6))
    run.mail.answer(kinematics.pose(first @ second))


def step_time(run: Running) -> None:
    run.mail.answer([DT_S])


def is_steady(run: Running) -> None:
    run.mail.answer_integer(run.robot.steady)


def pose_is_safe(run: Running) -> None:
    run.mail.answer_integer(kinematics.inverse(run.flange_of(run.mail.vector(0)), run.joints) is not None)


def joints_are_safe(run: Running) -> None:
    still = np.zeros(6)
    run.mail.answer_integer(not overstepped(run.mail.vector(0), still, still, 0.0, 0.0))
