"""Every RTDE output there is here: its type, since which PolyScope, and how it is read off the controller.

Constant are what no user of it looks at: temperatures, voltages, currents. Units as RTDE has them: rad, m, s, N, Nm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from episodes.record import Array
from robot_io.ur import kinematics
from robot_io.ursim.controller import DT_S, Controller
from robot_io.ursim.modes import (
    JOINT_IDLE,
    JOINT_POWER_OFF,
    JOINT_RUNNING,
    SAFETY_BITS,
    RobotMode,
    Runtime,
    bits,
)
from robot_io.ursim.registers import COUNT

NOMINAL_V, NOMINAL_CURRENT_A = 48.0, 0.5


@dataclass(frozen=True, slots=True)
class Variable:
    """One output."""

    kind: str
    read: Callable[[Controller], Any]
    since: tuple[int, int] = (3, 0)


def _joints(robot: Controller) -> Array:
    return robot.drive.target.q


def _actual_jacobian(robot: Controller) -> Array:
    return kinematics.jacobian(robot.arm.q, robot.tool.point)


def _joint_modes(robot: Controller) -> list[int]:
    modes = {RobotMode.RUNNING: JOINT_RUNNING, RobotMode.IDLE: JOINT_IDLE}
    return [modes.get(robot.robot_mode, JOINT_POWER_OFF)] * 6


def _status(robot: Controller) -> int:
    powered = robot.robot_mode >= RobotMode.POWER_ON
    programmed = robot.runtime in (Runtime.PLAYING, Runtime.PAUSED)
    return powered * bits(0) + programmed * bits(1)


def _zeros(_: Controller) -> list[float]:
    return [0.0] * 6


def _vector(read: Callable[[Controller], Any], since: tuple[int, int] = (3, 0)) -> Variable:
    return Variable("VECTOR6D", read, since)


def _number(read: Callable[[Controller], float], since: tuple[int, int] = (3, 0)) -> Variable:
    return Variable("DOUBLE", read, since)


def _register(kind: str, index: int) -> Variable:
    since = (3, 9) if index >= COUNT // 2 else (3, 4)
    if kind == "INT32":
        return Variable(kind, lambda robot: robot.registers.ints_out[index], since)
    return Variable(kind, lambda robot: robot.registers.doubles_out[index], since)


VARIABLES: Mapping[str, Variable] = {
    "timestamp": _number(lambda robot: robot.time_s),
    "target_q": _vector(_joints),
    "target_qd": _vector(lambda robot: robot.drive.target.qd),
    "target_qdd": _vector(lambda robot: robot.drive.acceleration),
    "target_current": _vector(_zeros),
    "target_moment": _vector(_zeros),
    "actual_q": _vector(lambda robot: robot.arm.q),
    "actual_qd": _vector(lambda robot: robot.arm.qd),
    "actual_current": _vector(_zeros),
    "actual_current_as_torque": _vector(_zeros, (5, 23)),
    "joint_control_output": _vector(_zeros),
    "actual_TCP_pose": _vector(lambda robot: kinematics.pose(robot.arm.flange @ robot.tool.point)),
    "actual_TCP_speed": _vector(lambda robot: _actual_jacobian(robot) @ robot.arm.qd),
    "actual_TCP_force": _vector(lambda robot: robot.force_on_tool),
    "target_TCP_pose": _vector(lambda robot: kinematics.pose(kinematics.flange(_joints(robot)) @ robot.tool.point)),
    "target_TCP_speed": _vector(
        lambda robot: kinematics.jacobian(_joints(robot), robot.tool.point) @ robot.drive.target.qd
    ),
    "actual_digital_input_bits": Variable("UINT64", lambda _: 0),
    "joint_temperatures": _vector(lambda _: [28.0] * 6),
    "actual_execution_time": _number(lambda _: 1e3 * DT_S / 2),
    "robot_mode": Variable("INT32", lambda robot: robot.robot_mode),
    "joint_mode": Variable("VECTOR6INT32", _joint_modes),
    "safety_mode": Variable("INT32", lambda robot: robot.safety_mode),
    "safety_status": Variable("INT32", lambda robot: robot.safety_mode, (5, 4)),
    "actual_tool_accelerometer": Variable("VECTOR3D", lambda robot: -robot.tool.gravity),
    "speed_scaling": _number(lambda robot: robot.drive.scaling),
    "target_speed_fraction": _number(lambda robot: robot.drive.slider),
    "actual_momentum": _number(lambda _: 0.0),
    "actual_main_voltage": _number(lambda _: NOMINAL_V),
    "actual_robot_voltage": _number(lambda _: NOMINAL_V),
    "actual_robot_current": _number(lambda _: NOMINAL_CURRENT_A),
    "actual_joint_voltage": _vector(lambda _: [NOMINAL_V] * 6),
    "actual_digital_output_bits": Variable("UINT64", lambda robot: robot.outputs.digital),
    "runtime_state": Variable("UINT32", lambda robot: robot.runtime),
    "standard_analog_input0": _number(lambda _: 0.0),
    "standard_analog_input1": _number(lambda _: 0.0),
    "standard_analog_output0": _number(lambda robot: robot.outputs.analog[0]),
    "standard_analog_output1": _number(lambda robot: robot.outputs.analog[1]),
    "robot_status_bits": Variable("UINT32", _status),
    "safety_status_bits": Variable("UINT32", lambda robot: bits(*SAFETY_BITS[robot.safety_mode])),
    "ft_raw_wrench": _vector(lambda robot: robot.measured, (5, 9)),
    "payload": _number(lambda robot: robot.tool.mass_kg, (3, 11)),
    "payload_cog": Variable("VECTOR3D", lambda robot: robot.tool.centre_m, (3, 11)),
    "payload_inertia": _vector(lambda robot: robot.tool.inertia, (3, 15)),
    "tcp_offset": _vector(lambda robot: kinematics.pose(robot.tool.point), (5, 10)),
    **{f"output_int_register_{i}": _register("INT32", i) for i in range(COUNT)},
    **{f"output_double_register_{i}": _register("DOUBLE", i) for i in range(COUNT)},
}


def found(name: str, robot: Controller) -> Variable | None:
    """The output of that name, where this PolyScope has it."""
    variable = VARIABLES.get(name)
    return variable if variable is not None and robot.version[:2] >= variable.since else None


def values(names: tuple[str, ...], robot: Controller) -> list[Any]:
    """One value for each name, now."""
    return [np.asarray(VARIABLES[name].read(robot)).tolist() for name in names]
