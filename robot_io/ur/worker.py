"""The process that speaks to the arm: a servo loop with absolute deadlines, and nothing that waits for anybody.

It is spawned, because the client library can end its interpreter. Each cycle it reads the arm, pulls the virtual tool
(`admittance`) and sends what the `gate` makes of it. It leaves by itself, with a reason and an exit code, on a lost
link, a standing clock, a stopped robot, a driver that is gone, and what must not be sent.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import NoReturn

import numpy as np

from episodes.errors import DeviceError, RegraspError
from episodes.record import Array
from robot_io.ur import frames, kinematics
from robot_io.ur.admittance import Admittance
from robot_io.ur.bounds import axis_bounds
from robot_io.ur.gate import STANDING, Cycle, Passing, Step, gate
from robot_io.ur.hangup import when_ended
from robot_io.ur.limiter import Moving
from robot_io.ur.limits import Limits
from robot_io.ur.link import Link, LinkConfig, Reading, RtdeLink, why_stopped, why_unready
from robot_io.ur.messages import ArmState, Command, Order, Phase, columns, from_row, to_row
from robot_io.ur.ring import Ring
from robot_io.ur.site import simulated_limits
from robot_io.ur.watch import Exit, Seen, Watch

STATE_ROWS, COMMAND_ROWS = 4096, 64
AHEAD = 1.5
"""cycles that what was sent may be ahead of the controller's clock: time is the controller's, however late it is"""
STOPS_ARM = (Exit.DONE, Exit.OUT_OF_LIMITS, Exit.DRIVER_GONE, Exit.FORCE, Exit.STATE_ABSURD)
"""where the link is well and the robot runs, the worker stops it before it leaves"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """One worker."""

    link: LinkConfig
    limits: Limits = field(default_factory=simulated_limits)


@dataclass(frozen=True, slots=True)
class Leg:
    """The way to one command's target: its number, when it came by the controller's clock, what was held then."""

    number: int
    came_s: float
    start: Array

    def towards(self, command: Command, controller_s: float) -> Array:
        """(6,) where on the way the tool is to be pulled by now."""
        gone_s = controller_s - self.came_s
        share = 1.0 if command.over_s <= 0.0 else min(max(gone_s / command.over_s, 0.0), 1.0)
        return np.asarray(self.start + share * (command.target - self.start))


class ServoLoop:
    """One cycle after another on any `Link`; `cycle` returns why to leave, or None."""

    def __init__(self, link: Link, config: WorkerConfig, commands: Ring, states: Ring) -> None:
        self._link, self._commands, self._states, self._limits = link, commands, states, config.limits
        self._dt_s, self._lag_s = 1.0 / config.link.frequency_hz, config.limits.calibration.servo_lag_s
        self._tool = kinematics.transform(np.array(config.limits.calibration.tcp))
        self._bounds = axis_bounds(self._limits, self._tool, link.read().q)
        self._phase = Phase.STARTING

    def start(self, now_s: float) -> None:
        """Stand where the arm stands. `DeviceError` where that is out of the workspace: nothing drives it back."""
        reading = self._link.read()
        self._joints = reading.q
        pose = frames.tool_pose(kinematics.flange(reading.q) @ self._tool)
        self._limits.workspace.must_hold(pose)
        self._virtual, self._held, self._wanted = Admittance(pose), pose, pose
        self._sent_until_s = reading.controller_s
        self._stand(pose)
        self._leg = Leg(0, reading.controller_s, pose)
        self._started_s = reading.controller_s
        self._watch = Watch(reading, now_s)

    def cycle(self, now_s: float, late_s: float = 0.0) -> tuple[Exit, str] | None:
        """Read, judge, move, tell."""
        reading = self._link.read()
        command = self._command()
        leave = command is not None and command.order is Order.LEAVE
        commanded_s = reading.controller_s if leave else command.sent_s if command else self._started_s
        seen = self._watch.look(reading, connected=self._link.is_connected(), now_s=now_s, commanded_s=commanded_s)
        passed = self._move(reading, command, seen, late_s)
        self._states.write(to_row(self._state(reading, passed, now_s, late_s)))
        if passed.stop is not None:
            return passed.stop, passed.why
        return (Exit.DONE, "asked to leave") if leave else self._send(passed.joints)

    def _stand(self, pose: Array) -> None:
        """What is sent stands at this tool pose."""
        self._moving, self._joint_speeds = tuple(Moving(x) for x in pose.tolist()), np.zeros(6)
        self._virtual.be(pose, np.zeros(6), self._lag_s)

    def _send(self, joints: Array) -> tuple[Exit, str] | None:
        try:
            self._link.servo(joints)
        except DeviceError as error:
            return Exit.LINK_LOST, str(error)
        return None

    def _command(self) -> Command | None:
        self._number, row = self._commands.count, self._commands.last()
        return None if row is None else from_row(Command, row)

    def _move(self, reading: Reading, command: Command | None, seen: Seen, late_s: float) -> Passing:
        """Pull the virtual tool, and what the gate makes of where it is then; where no time passed, all stands."""
        self._aim(reading, command, seen)
        if self._sent_until_s > reading.controller_s + AHEAD * self._dt_s:
            return self._wait(reading, seen, late_s)
        self._sent_until_s = max(self._sent_until_s + self._dt_s, reading.controller_s)
        force = frames.in_task(reading.tcp_force)
        force = force if np.isfinite(force).all() else np.zeros(6)
        self._virtual.step(self._held, force, self._dt_s * reading.speed_scaling)
        wanted = self._virtual.ahead(self._lag_s)
        passed = gate(wanted, self._facts(reading, seen, late_s))
        if not np.allclose(passed.pose, wanted, rtol=0.0, atol=1e-6):
            self._virtual.be(passed.pose, np.array([axis.v for axis in passed.moving]), self._lag_s)
        self._joint_speeds = (passed.joints - self._joints) / self._dt_s
        self._moving, self._joints, self._wanted = passed.moving, passed.joints, wanted
        return passed

    def _wait(self, reading: Reading, seen: Seen, late_s: float) -> Passing:
        """The controller has not had what was sent: sending on would be a jump for it. After a while the arm stands."""
        passed = gate(self._wanted, self._facts(reading, seen, late_s), STANDING)
        if passed.brakes:
            self._stand(np.array([axis.x for axis in self._moving]))
        return passed

    def _aim(self, reading: Reading, command: Command | None, seen: Seen) -> None:
        """Where the tool is pulled to: on the way to a command's target while one is new, else where it is."""
        patience = self._limits.patience
        late = seen.stood_s > patience.hold_after_s or seen.command_age_s > patience.command_s
        follows = command is not None and command.order is Order.FOLLOW and np.isfinite(command.target).all()
        if follows and not late:
            assert command is not None
            if self._number != self._leg.number:
                self._leg = Leg(self._number, reading.controller_s, self._held)
            self._held, self._phase = self._leg.towards(command, reading.controller_s), Phase.FOLLOWING
        elif self._phase is not Phase.HOLDING and self._phase is not Phase.STALE:
            self._held = self._virtual.pose.copy()
            self._phase = Phase.STALE if late and follows else Phase.HOLDING

    def _facts(self, reading: Reading, seen: Seen, late_s: float) -> Cycle:
        return Cycle(
            limits=self._limits,
            dt_s=self._dt_s,
            tool=self._tool,
            reading=reading,
            seen=seen,
            measured=frames.tool_pose(kinematics.transform(reading.tcp_pose)),
            moving=self._moving,
            bounds=self._bounds,
            joints=self._joints,
            joint_speeds=self._joint_speeds,
            wanted_before=self._wanted,
            late_s=late_s,
        )

    def _state(self, reading: Reading, passed: Passing, now_s: float, late_s: float) -> ArmState:
        return ArmState(
            read_s=now_s,
            controller_s=reading.controller_s,
            phase=self._phase,
            robot_mode=reading.robot_mode,
            safety_mode=reading.safety_mode,
            runtime=reading.runtime,
            speed_scaling=reading.speed_scaling,
            command_count=self._number,
            late_s=late_s,
            stepped_in=passed.reasons[0][0] if passed.reasons else Step.NONE,
            q=reading.q,
            qd=reading.qd,
            pose=frames.tool_pose(kinematics.transform(reading.tcp_pose)),
            velocity=frames.in_task(reading.tcp_speed),
            force=frames.in_task(reading.tcp_force),
            commanded=self._virtual.pose,
        )


def run(config: WorkerConfig, commands_name: str, states_name: str, told: Connection, driver_pid: int) -> None:
    """The worker process. Tells `ready` or why not over the pipe; ends with one of `watch.Exit`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    commands = Ring.attach(commands_name, COMMAND_ROWS, columns(Command))
    states = Ring.attach(states_name, STATE_ROWS, columns(ArmState))
    try:
        link = RtdeLink(config.link)
        loop = ServoLoop(link, config, commands, states)
        link.prepare(config.limits.setup)  # from here on the controller's watchdog waits for nobody
        loop.start(time.monotonic())
    except RegraspError as error:
        _leave(told, Exit.REFUSED, str(error))
    when_ended(link.connections(), lambda: _cut_off(link, told))
    told.send_bytes(json.dumps({"ready": True}).encode())
    exit_code, why = paced(loop.cycle, 1.0 / config.link.frequency_hz, lambda: os.getppid() == driver_pid)
    _tell(told, exit_code, why)
    if exit_code in STOPS_ARM:
        link.stop()
    os._exit(exit_code)


def paced(
    cycle: Callable[[float, float], tuple[Exit, str] | None], period_s: float, driver_lives: Callable[[], bool]
) -> tuple[Exit, str]:
    """Call `cycle(now, how late)` at absolute deadlines until it says why to leave."""
    due_s = time.monotonic()
    while True:
        now_s = time.monotonic()
        why = cycle(now_s, now_s - due_s)
        if why is not None:
            return why
        if not driver_lives():
            return Exit.DRIVER_GONE, "the driver's process is gone"
        due_s = max(due_s + period_s, now_s)
        time.sleep(max(0.0, due_s - time.monotonic()))


def _cut_off(link: Link, told: Connection) -> NoReturn:
    """A program that had ended before is the better reason; of a robot that says nonsense nothing is believed."""
    reading = link.read()
    well = not why_unready(reading.safety_mode, reading.robot_mode)
    ended = why_stopped(reading) if well else ""
    _leave(told, Exit.ROBOT_STOPPED if ended else Exit.LINK_LOST, ended or "the connection to the arm is lost")


def _leave(told: Connection, code: Exit, why: str) -> NoReturn:
    """Say why and end: the client's own way out reconnects, waits and may crash."""
    _tell(told, code, why)
    os._exit(code)


def _tell(told: Connection, code: Exit, why: str) -> None:
    told.send_bytes(json.dumps({"ready": False, "exit": int(code), "why": why}).encode())


def rings() -> tuple[Ring, Ring]:
    """Commands and states, made by the driver."""
    return Ring.create(COMMAND_ROWS, columns(Command)), Ring.create(STATE_ROWS, columns(ArmState))


def empty_target() -> Array:
    """(6,) what a command says that has no target."""
    return np.full(6, np.nan)
