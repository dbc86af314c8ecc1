"""What the worker needs of an arm, and the arm behind `ur_rtde`. Loaded in the worker process alone.

Nothing the client returns is believed: `servoJ` says True on a dead link and getters give the last values for ever.
What counts is that the controller's clock goes on.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from socket import create_connection, socket
from typing import Any, Protocol

import numpy as np

from episodes.errors import DeviceError, MissingExtra
from episodes.record import Array
from robot_io.ur.hangup import connections
from robot_io.ur.messages import VECTOR

VARIABLES = [
    "timestamp",
    "actual_q",
    "actual_qd",
    "actual_TCP_pose",
    "actual_TCP_speed",
    "actual_TCP_force",
    "robot_mode",
    "safety_mode",
    "runtime_state",
    "speed_scaling",
    "robot_status_bits",
    "safety_status_bits",
]
ROBOT_RUNNING, SAFETY_NORMAL, PROGRAM_PLAYING = 7, 1, 2
RTDE_PORT, ANSWER_S = 30004, 2.0
VERSION_2, ACCEPTED = b"\x00\x05V\x00\x02", b"\x00\x04V\x01"
"""the first request of a connection and its answer: length, kind, number"""
CONTROL_HZ = 500.0
"""of the command interface: an answer takes two of its cycles"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the controller says, in its own axes."""

    controller_s: float
    q: Array
    qd: Array
    tcp_pose: Array
    """(6,) UR pose"""
    tcp_speed: Array
    tcp_force: Array
    robot_mode: int
    safety_mode: int
    runtime: int
    speed_scaling: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the controller is told of tool and watchdog."""

    tcp: tuple[float, ...]
    """UR pose of the tool point in the flange"""
    payload_kg: float
    payload_centre_m: tuple[float, ...]
    watchdog_hz: float


class Link(Protocol):
    """One connection to one arm."""

    def read(self) -> Reading: ...
    def is_connected(self) -> bool: ...
    def servo(self, joints: Array) -> None:
        """`DeviceError` where the client finds out by itself that the link is lost."""
        ...

    def prepare(self, setup: Setup) -> None:
        """Tool, payload, force zero, watchdog."""
        ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """How to speak to the arm."""

    host: str
    frequency_hz: float = 125.0
    """of the state and of the servo"""
    lookahead_s: float = 0.03
    gain: float = 1000.0
    stop_rad_s2: float = 5.0


class RtdeLink:
    """The genuine client."""

    def __init__(self, config: LinkConfig) -> None:
        self._config = config
        _must_speak_version_2(config.host)
        try:
            receive, control = import_module("rtde_receive"), import_module("rtde_control")
        except ImportError as error:
            raise MissingExtra("the UR arm needs the package ur_rtde; run `pip install ur_rtde==1.6.5`") from error
        try:
            self._receive: Any = receive.RTDEReceiveInterface(config.host, config.frequency_hz, VARIABLES)
            self._must_be_ready()
            self._control: Any = control.RTDEControlInterface(config.host, CONTROL_HZ)
        except (RuntimeError, ValueError) as error:
            raise DeviceError(f"the arm at {config.host} cannot be controlled ({_first_line(error)})") from error

    def _must_be_ready(self) -> None:
        """Said before the client uploads its script: it would only say that the script did not start."""
        if not self._receive.isConnected():
            raise DeviceError(f"the arm at {self._config.host} sends no data; see its pendant")
        why = why_unready(self._receive.getSafetyMode(), self._receive.getRobotMode())
        if why:
            raise DeviceError(f"{why} at {self._config.host}; make it ready at its pendant")

    def read(self) -> Reading:
        receive = self._receive
        return Reading(
            controller_s=receive.getTimestamp(),
            q=np.array(receive.getActualQ()),
            qd=np.array(receive.getActualQd()),
            tcp_pose=np.array(receive.getActualTCPPose()),
            tcp_speed=np.array(receive.getActualTCPSpeed()),
            tcp_force=np.array(receive.getActualTCPForce()),
            robot_mode=receive.getRobotMode(),
            safety_mode=receive.getSafetyMode(),
            runtime=receive.getRuntimeState(),
            speed_scaling=receive.getSpeedScaling(),
        )

    def is_connected(self) -> bool:
        return bool(self._receive.isConnected() and self._control.isConnected())

    def connections(self) -> list[socket]:
        """Those whose end is the end."""
        return connections(RTDE_PORT)

    def prepare(self, setup: Setup) -> None:
        control = self._control
        done = (
            control.setTcp(list(setup.tcp))
            and control.setPayload(setup.payload_kg, list(setup.payload_centre_m))
            and control.zeroFtSensor()
            and control.setWatchdog(setup.watchdog_hz)
        )
        if not done:
            raise DeviceError(
                f"the arm at {self._config.host} does not take tool, payload and watchdog; is its program running?"
            )

    def servo(self, joints: Array) -> None:
        assert joints.shape == (VECTOR,)
        assert np.isfinite(joints).all(), "the client sends NaN as it is"
        config = self._config
        period_s = 1.0 / config.frequency_hz
        try:
            self._control.servoJ(joints.tolist(), 0.0, 0.0, period_s, config.lookahead_s, config.gain)
        except RuntimeError as error:
            raise DeviceError(f"the connection to the arm is lost ({_first_line(error)})") from error

    def stop(self) -> None:
        """Stop the arm and the program; on a dead link this does nothing."""
        with suppress(RuntimeError):
            self._control.servoStop(self._config.stop_rad_s2)
            self._control.stopScript()


def _must_speak_version_2(host: str) -> None:
    """The client sends its version and does not look at the answer."""
    try:
        with create_connection((host, RTDE_PORT), timeout=ANSWER_S) as asking:
            asking.sendall(VERSION_2)
            with asking.makefile("rb") as answers:
                accepted = answers.read(len(ACCEPTED)) == ACCEPTED
    except OSError as error:
        raise DeviceError(f"the arm at {host} cannot be controlled (port {RTDE_PORT}: {error})") from error
    if not accepted:
        raise DeviceError(f"the arm at {host} cannot be controlled (it does not accept RTDE version 2)")


def why_unready(safety_mode: int, robot_mode: int) -> str:
    """Which of its modes keeps the arm from moving; empty where none does."""
    if safety_mode != SAFETY_NORMAL:
        return f"the arm is stopped for safety (safety mode {safety_mode})"
    return f"the arm is not running (robot mode {robot_mode})" if robot_mode != ROBOT_RUNNING else ""


def why_stopped(reading: Reading) -> str:
    """The same, or that the program does not run."""
    why = why_unready(reading.safety_mode, reading.robot_mode)
    if why or reading.runtime == PROGRAM_PLAYING:
        return why
    return f"the arm's program is not running (runtime state {reading.runtime})"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".!") if str(error).strip() else type(error).__name__
