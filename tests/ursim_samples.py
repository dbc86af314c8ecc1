"""A controller without sockets or physics: an arm that follows exactly, and the client's side of the registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from robot_io.ur import kinematics
from robot_io.ur.link import LinkConfig, Reading, Setup
from robot_io.ursim.controller import DT_S, Controller
from robot_io.ursim.modes import Runtime
from robot_io.ursim.program import program
from robot_io.ursim.script import Script

HOME = np.array([0.3, -1.6, 1.9, -1.9, -1.57, 0.4])
WEIGHT = np.array([0.0, 0.0, -0.92 * 9.82])
"""what the payload of the installation weighs, base axes"""


@dataclass
class FakeArm:
    """Joints that are where the target is."""

    q: np.ndarray = field(default_factory=HOME.copy)
    qd: np.ndarray = field(default_factory=lambda: np.zeros(6))
    pressed: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """the world's force on the tool, N"""

    @property
    def flange(self) -> np.ndarray:
        return kinematics.flange(self.q)

    @property
    def wrench(self) -> np.ndarray:
        turned = self.flange[:3, :3]
        torque = kinematics.cross(turned[:, 2] * 0.069, WEIGHT) + kinematics.cross(turned[:, 2] * 0.165, self.pressed)
        return np.concatenate([WEIGHT + self.pressed, torque])

    def track(self, q: np.ndarray, qd: np.ndarray, dt_s: float) -> None:
        self.q, self.qd = q.copy(), qd.copy()


class Bench:
    """A controller with its control script, and a client that writes registers as `ur_rtde` does."""

    def __init__(self, *, offset: int = 0, script: Script | None = None) -> None:
        self.arm = FakeArm()
        self.robot = Controller(self.arm)
        self.offset = offset
        self.script = script or Script(name="rtde_control", is_control=True, offset=offset)

    def upload(self) -> None:
        self.robot.start_program(lambda: program(self.robot, self.script))
        self.ticks(10)

    def ticks(self, count: int) -> None:
        for _ in range(count):
            self.robot.tick()

    def until_still(self, limit: int = 5000) -> int:
        """Ticks until the target stands."""
        for tick in range(limit):
            if not self.robot.drive.moves:
                return tick
            self.robot.tick()
        raise AssertionError("the arm does not stop")

    def write(self, command: int, doubles: Sequence[float] = (), integers: Sequence[int] = ()) -> None:
        """The doubles from 0 on, the integers from 1 on, and the command."""
        registers, now_s = self.robot.registers, self.robot.time_s
        for index, number in enumerate(doubles):
            registers.write(f"input_double_register_{self.offset + index}", number, now_s)
        for index, whole in enumerate(integers, start=1):
            registers.write(f"input_int_register_{self.offset + index}", whole, now_s)
        registers.write(f"input_int_register_{self.offset}", command, now_s)

    def stream(self, command: int, doubles: Sequence[float] = (), integers: Sequence[int] = (), ticks: int = 1) -> None:
        """A real-time command, and some ticks."""
        self.write(command, doubles, integers)
        self.ticks(ticks)

    def call(
        self, command: int, doubles: Sequence[float] = (), integers: Sequence[int] = (), limit: int = 5000
    ) -> bool:
        """A command that the client waits for: until `done`, then cleared. False where the program ended first."""
        self.write(command, doubles, integers)
        for _ in range(limit):
            self.robot.tick()
            if self.state == 2:
                self.write(0)
                self.ticks(2)
                return True
            if self.robot.runtime is not Runtime.PLAYING:
                return False
        raise AssertionError(f"command {command} never ends")

    @property
    def state(self) -> int:
        return self.robot.registers.ints_out[self.offset]

    @property
    def async_word(self) -> int:
        return self.robot.registers.ints_out[self.offset + 2]

    def answered(self, count: int = 6) -> np.ndarray:
        return np.array(self.robot.registers.doubles_out[self.offset : self.offset + count])

    def tool_pose(self) -> np.ndarray:
        return kinematics.pose(self.arm.flange @ self.robot.tool.point)

    def last_words(self) -> str:
        return self.robot.log[-1] if self.robot.log else ""


class InProcess:
    """A worker's link to a controller in the same process, whose time passes only in `pass_time`."""

    def __init__(self, robot: Controller, config: LinkConfig) -> None:
        self.robot, self._config = robot, config
        robot.start_program(lambda: program(robot, Script(name="rtde_control", is_control=True)))
        self.pass_time(0.12)
        robot.zero_force()

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / DT_S)):
            self.robot.tick()

    def read(self) -> Reading:
        robot = self.robot
        return Reading(
            controller_s=robot.time_s,
            q=robot.arm.q,
            qd=robot.arm.qd,
            tcp_pose=kinematics.pose(robot.arm.flange @ robot.tool.point),
            tcp_speed=kinematics.jacobian(robot.arm.q, robot.tool.point) @ robot.arm.qd,
            tcp_force=robot.force_on_tool,
            robot_mode=robot.robot_mode,
            safety_mode=robot.safety_mode,
            runtime=robot.runtime,
            speed_scaling=robot.drive.scaling,
        )

    def is_connected(self) -> bool:
        return True

    def servo(self, joints: np.ndarray) -> None:
        streamed = [*joints, 0.0, 0.0, 1.0 / self._config.frequency_hz, self._config.lookahead_s, self._config.gain]
        for index, number in enumerate(streamed):
            self.robot.registers.write(f"input_double_register_{index}", number, self.robot.time_s)
        self.robot.registers.write("input_int_register_0", 11, self.robot.time_s)

    def prepare(self, setup: Setup) -> None: ...
    def stop(self) -> None: ...


def seconds(ticks: int) -> float:
    return ticks * DT_S
