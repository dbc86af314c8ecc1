"""The controller of the simulated arm: power, safety, program, motion; one `tick` is 2 ms of its time.

It knows no sockets: servers read it, write its registers and call its verbs. Its times are controller seconds. What
is UR's and public is as UR has it (states, registers, order of effects); the dynamics (servo, stopping, force mode,
stop thresholds, boot times) are modelled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from episodes.record import Array
from robot_io.ur import kinematics
from robot_io.ursim.drive import Drive
from robot_io.ursim.limits import overstepped
from robot_io.ursim.modes import POLYSCOPE, RobotMode, Runtime, SafetyMode, Version
from robot_io.ursim.motion import ScriptError, Stop
from robot_io.ursim.power import Power
from robot_io.ursim.registers import Registers
from robot_io.ursim.tool import Tool

DT_S = 0.002
UNLOCK_AFTER_S = 5.0
STOP_RAD_S2, PROTECTIVE_RAD_S2, BRAKE_RAD_S2 = 10.0, 20.0, 40.0
"""deceleration of the leading joint: program ended, protective or emergency stop, power lost"""
MOVES_RAD_S = 0.02
"""a joint that is slower stands"""
ZERO_TICKS = 50
"""of force readings are averaged for a new zero"""
START_TICKS = 5
"""from a script's last byte to its first line"""
LOG_LINES = 100


class ArmBehind(Protocol):
    """The arm that the controller drives."""

    @property
    def q(self) -> Array: ...
    @property
    def qd(self) -> Array: ...
    @property
    def flange(self) -> Array:
        """(4, 4) in the arm's base."""
        ...

    @property
    def wrench(self) -> Array:
        """(6,) what the sensor reads: the world's on the flange, base axes, N and Nm."""
        ...

    def track(self, q: Array, qd: Array, dt_s: float) -> None:
        """Go on by `dt_s` towards the target."""
        ...


@dataclass(slots=True)
class Outputs:
    """What the controller's terminals are set to."""

    digital: int = 0
    analog: list[float] = field(default_factory=lambda: [0.0, 0.0])


@dataclass(frozen=True, slots=True)
class Watchdog:
    """An input that must be written at least this often while the program runs."""

    name: str
    period_s: float
    since_s: float


Program = Iterator[None]


class Controller:
    """State and verbs of one controller."""

    def __init__(self, arm: ArmBehind, *, version: Version = POLYSCOPE["5.12"], powered: bool = True) -> None:
        self.arm, self.version = arm, version
        self.registers, self.tool, self.outputs = Registers(), Tool(), Outputs()
        self.ticks, self.remote = 0, True
        self.power = Power(RobotMode.RUNNING if powered else RobotMode.POWER_OFF)
        self.safety_mode, self.runtime = SafetyMode.NORMAL, Runtime.STOPPED
        self.drive = Drive(arm.q)
        self.watchdog: Watchdog | None = None
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.measured = arm.wrench
        self.force_on_tool = np.zeros(6)
        self._recent: deque[Array] = deque([self.measured], maxlen=ZERO_TICKS)
        self._program: Program | None = None
        self._starts: tuple[int, Callable[[], Program]] | None = None
        self._stopped_at_s = 0.0
        self.moved_at_s = 0.0
        """when the arm moved last"""

    @property
    def time_s(self) -> float:
        """Controller seconds since it was switched on."""
        return self.ticks * DT_S

    @property
    def robot_mode(self) -> RobotMode:
        """Power and brakes."""
        return self.power.mode

    def tick(self) -> None:
        """Go on by 2 ms."""
        self.ticks += 1
        if self.power.tick(self.time_s):
            self.drive.settle(self.arm.q)
        self._watch()
        self._run()
        self._move()
        self.arm.track(self.drive.target.q, self.drive.target.qd, DT_S)
        if np.abs(self.arm.qd).max() > MOVES_RAD_S:
            self.moved_at_s = self.time_s
        self.measured = self.arm.wrench
        self._recent.append(self.measured)
        self.force_on_tool = self.tool.force(self.arm.flange, self.measured)
        self._protect()

    def zero_force(self) -> None:
        """Make what the sensor has read lately the zero."""
        self.tool.zero(self.arm.flange, np.mean(self._recent, axis=0))

    # --- the program -------------------------------------------------------------------------------------------------

    def start_program(self, made: Callable[[], Program]) -> bool:
        """Replace the running program. False, and nothing happens, where the robot may not be moved."""
        if not self.remote or self.robot_mode is not RobotMode.RUNNING or self.safety_mode is not SafetyMode.NORMAL:
            self.say("a script was refused: the robot is not running, not safe or not in remote control")
            return False
        self.stop_program("replaced by another")
        self._starts = (self.ticks + START_TICKS, made)
        return True

    def stop_program(self, why: str, deceleration: float = STOP_RAD_S2) -> None:
        """End the program and stop the arm."""
        self._starts = None
        if self._program is not None:
            self.say(f"program stopped: {why}")
            self._program = None
        self.runtime, self.watchdog = Runtime.STOPPED, None
        self.drive.stop(deceleration)

    def pause(self) -> bool:
        """Hold the program where it is."""
        if self.runtime is not Runtime.PLAYING:
            return False
        self.runtime = Runtime.PAUSED
        return True

    def resume(self) -> bool:
        """Let a paused program go on."""
        if self.runtime is not Runtime.PAUSED or self.safety_mode is not SafetyMode.NORMAL:
            return False
        self.runtime = Runtime.PLAYING
        if self.watchdog is not None:
            self.watchdog = Watchdog(self.watchdog.name, self.watchdog.period_s, self.time_s)
        return True

    @property
    def steady(self) -> bool:
        """Whether the arm stands."""
        return not self.drive.moves and bool(np.abs(self.arm.qd).max() < 0.01)

    # --- power and safety --------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """From power off to idle, in a while."""
        self._boot_towards(RobotMode.IDLE)

    def release_brakes(self) -> None:
        """From power off or idle to running, in a while."""
        self._boot_towards(RobotMode.RUNNING)

    def power_off(self, why: str = "power off", mode: RobotMode = RobotMode.POWER_OFF) -> None:
        """Brakes on, at once; with mode IDLE the power stays."""
        self.stop_program(why, BRAKE_RAD_S2)
        self.power = Power(mode)

    def protective_stop(self, why: str) -> None:
        """Stop and wait for somebody to look."""
        if self.safety_mode is SafetyMode.NORMAL:
            self._stop_for_safety(SafetyMode.PROTECTIVE_STOP, why)

    def safeguard_stop(self, on: bool) -> None:
        """The light curtain: pauses, and goes on by itself when it is free."""
        if on and self.safety_mode is SafetyMode.NORMAL:
            self.safety_mode = SafetyMode.SAFEGUARD_STOP
            self.pause()
        elif not on and self.safety_mode is SafetyMode.SAFEGUARD_STOP:
            self.safety_mode = SafetyMode.NORMAL
            self.resume()

    def emergency_stop(self, mode: SafetyMode = SafetyMode.ROBOT_EMERGENCY_STOP) -> None:
        """The red button, or with another mode a violation or a fault: stop, then no power."""
        self._stop_for_safety(mode, mode.name.lower().replace("_", " "))
        self.power = Power(RobotMode.POWER_OFF)

    def release_emergency_stop(self) -> None:
        """The red button is pulled out; the robot stays off."""
        if self.safety_mode in (SafetyMode.ROBOT_EMERGENCY_STOP, SafetyMode.SYSTEM_EMERGENCY_STOP):
            self.safety_mode = SafetyMode.NORMAL

    def restart_safety(self) -> None:
        """The way out of a violation or a fault; the robot is off afterwards."""
        if self.safety_mode in (SafetyMode.VIOLATION, SafetyMode.FAULT):
            self.safety_mode = SafetyMode.NORMAL

    def unlock(self) -> bool:
        """End a protective stop. False within 5 s of it."""
        if self.safety_mode is not SafetyMode.PROTECTIVE_STOP:
            return True
        if self.time_s - self._stopped_at_s < UNLOCK_AFTER_S:
            return False
        self.safety_mode = SafetyMode.NORMAL
        return True

    @property
    def awaits_client(self) -> bool:
        """A client promised by a watchdog to write, is still connected, and half the watchdog's time is over."""
        if self.watchdog is None or self.runtime is not Runtime.PLAYING:
            return False
        name, since_s = self.watchdog.name, self.watchdog.since_s
        late_s = self.time_s - max(self.registers.written_s.get(name, 0.0), since_s)
        return self.registers.is_owned(name) and late_s > self.watchdog.period_s / 2.0

    def say(self, line: str) -> None:
        """A line for the log, which clients get as text messages."""
        self.log.append(f"{self.time_s:.3f} {line}")

    # --- one tick ----------------------------------------------------------------------------------------------------

    def _boot_towards(self, mode: RobotMode) -> None:
        if self.safety_mode in (SafetyMode.NORMAL, SafetyMode.PROTECTIVE_STOP):
            self.power.towards(mode, self.time_s)

    def _watch(self) -> None:
        if self.watchdog is None or self.runtime is not Runtime.PLAYING:
            return
        written_s = self.registers.written_s.get(self.watchdog.name, 0.0)
        if self.time_s - max(written_s, self.watchdog.since_s) > self.watchdog.period_s:
            self.stop_program(f"watchdog: {self.watchdog.name} was not written for {self.watchdog.period_s:.3f} s")

    def _run(self) -> None:
        if self._starts is not None and self.ticks >= self._starts[0]:
            self._program, self._starts = self._starts[1](), None
            self.runtime = Runtime.PLAYING
        if self._program is None or self.runtime is not Runtime.PLAYING:
            return
        try:
            next(self._program)
        except StopIteration:
            self.stop_program("it ended")
        except ScriptError as error:
            self.stop_program(str(error))

    def _move(self) -> None:
        paused = self.runtime is Runtime.PAUSED
        try:
            self.drive.step(DT_S, self.tool.point, self.force_on_tool, paused=paused)
        except ScriptError as error:
            self.stop_program(str(error))
            self.drive.step(DT_S, self.tool.point, self.force_on_tool, paused=paused)

    def _protect(self) -> None:
        if self.safety_mode is not SafetyMode.NORMAL or self.robot_mode is not RobotMode.RUNNING:
            return
        stopping = isinstance(self.drive.motion, Stop) and self._program is None
        target = self.drive.target
        velocity = kinematics.jacobian(target.q, self.tool.point)[:3] @ target.qd
        why = overstepped(
            target.q,
            target.qd,
            np.zeros(6) if stopping else self.drive.acceleration,
            float(np.linalg.norm(velocity)),
            float(np.linalg.norm(self.force_on_tool[:3])),
        )
        if why:
            self.protective_stop(why)

    def _stop_for_safety(self, mode: SafetyMode, why: str) -> None:
        self.safety_mode, self._stopped_at_s = mode, self.time_s
        self.say(f"stopped: {why}")
        self.stop_program(why, PROTECTIVE_RAD_S2)
