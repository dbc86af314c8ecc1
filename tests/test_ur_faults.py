"""Every fault of the link, the wire, the controller and the worker, injected while our driver moves the arm.

One controller, in real time. What has to come of a fault: the arm stands within 200 ms of the controller's time and the
driver says why; or it stands and goes on when the fault is over; or nothing is noticed of it; or no arm is driven at
all. Afterwards no process of the driver is left, and the arm can be driven again.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ursim_client import LineClient, running

from episodes.errors import DeviceError, SafetyStop
from robot_io.ur.dashboard import Dashboard
from robot_io.ur.driver import UrArm
from robot_io.ur.link import LinkConfig
from robot_io.ur.messages import Phase
from robot_io.ur.ready import must_be_ready
from robot_io.ur.recovery import recover
from robot_io.ur.worker import WorkerConfig
from robot_io.ursim.fault_client import FAULT_PORT, inject

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ursim")]
CELL = 30010
STANDS_S = 0.2
UNNOTICED_S, WAITED_S = 1.0, 12.0

STOPS = {
    "rst": "connection to the arm is lost",
    "fin": "connection to the arm is lost",
    "restart 2.0": "connection to the arm is lost",
    "silence 0.4": "clock has stood|program is not running",
    "silence 2.6": "clock has stood|program is not running|connection to the arm is lost",
    "half_open": "clock has stood|program is not running",
    "drip": "clock has stood|program is not running",
    "no_data": "clock has stood",
    "undersized 100": "clock has stood|connection to the arm is lost|killed|jumped|numbers",
    "frozen_time": "clock has stood",
    "time_jump -5": "clock has stood",
    "time_jump 50": "clock jumped by",
    "spoil actual_q nan": "numbers that are none",
    "spoil actual_TCP_pose nan": "numbers that are none",
    "spoil actual_TCP_speed nan": "numbers that are none",
    "spoil actual_q 2.0": "a joint of the arm jumped",
    "spoil robot_mode 5": "not running",
    "spoil safety_mode 3": "stopped for safety",
    "spoil runtime_state 1": "program is not running",
    "push 0 0 120": "force on the tool|stopped for safety",
    "pause": "program is not running",
    "stop_program": "program is not running",
    "safeguard": "stopped for safety|program is not running",
    "protective_stop": r"stopped for safety \(safety mode 3\)",
    "emergency_stop": r"stopped for safety \(safety mode 7\)",
    "violation": r"stopped for safety \(safety mode 8\)",
    "fault": r"stopped for safety \(safety mode 9\)",
    "power_off": r"not running \(robot mode 3\)|program is not running",
    "idle": r"not running \(robot mode 5\)|program is not running",
}
HOLDS = {"slider 0": "slider 1", "silence 0.07": "clear"}
UNNOTICED = (
    "silence 0.03",
    "segments 200",
    "late 0.01",
    "text_flood 3",
    "oversized 4",
    "recipe_shift 3",
    "wrong_version",
    "slider 0.5",
    "dashboard_dead",
    "dashboard_late 1.0",
    "dashboard_garbled",
    "camera_gone",
    "camera_frozen",
    "spoil actual_TCP_force nan",
)
REFUSED = {
    "wrong_version": "does not accept RTDE version 2",
    "not_found actual_q": "cannot be controlled",
    "in_use": "cannot be controlled",
    "no_start": "cannot be controlled|sends no data|does not start|process ended",
    "no_data": "sends no data|does not start",
    "half_open": "does not start|cannot be controlled|sends no data",
    "script_ignored": "cannot be controlled",
    "local_control": "cannot be controlled",
    "dashboard_dead": "cannot be controlled|does not start",
    "dashboard_garbled": "cannot be controlled|does not start",
    "protective_stop": "stopped for safety",
    "emergency_stop": "stopped for safety",
    "power_off": "not running",
    "idle": "not running",
}


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    own = os.getpid()
    address = f"127.{1 + own % 250}.{1 + own // 250 % 250}.21"
    with running(address):
        yield address


@pytest.fixture(autouse=True)
def mended(host: str) -> Iterator[None]:
    """Everything whole before, and after; the scene as an episode begins."""
    yield
    for line in ("clear", "safeguard_free", "emergency_release", "slider 1", "stop_program"):
        inject(host, line)
    again(host)
    asked(host, CELL, "reset 1")


def again(host: str) -> None:
    """Bring the arm back, where its ports are open again."""
    for _ in range(50):
        try:
            with Dashboard(host) as dashboard:
                recover(dashboard, lambda question: True, time.sleep)
                return
        except DeviceError:
            time.sleep(0.1)
    raise AssertionError("the controller does not come back")


def asked(host: str, port: int, line: str) -> dict[str, Any]:
    """The answer of one of the controller's own ports, which no fault touches."""
    for _ in range(50):
        with closing(LineClient(host, port)) as client:
            told = client.tell(line)
        if "error" not in told:
            return told
        time.sleep(0.1)
    raise AssertionError(told)


def again_and_again(call: Callable[[], object]) -> None:
    """Until it raises."""
    for _ in range(400):
        call()
        time.sleep(0.05)


class Drive:
    """Commands to and fro, ten times a second of the controller's time, and never a standing tool for long."""

    def __init__(self, arm: UrArm) -> None:
        self.arm = arm
        self._home = arm.state().pose
        self._steps = 0

    def step(self) -> None:
        """One command, and its tenth of a second."""
        self._steps += 1
        way = 0.03 if self._steps // 4 % 2 else -0.03
        self.arm.follow(self._home + np.array([way, 0.5 * way, 0.0, 0.0, 0.0, 0.0]), 0.1)
        end_s = self.arm.state().controller_s + 0.1
        waited_s = time.monotonic() + 1.0
        while self.arm.state().controller_s < end_s and time.monotonic() < waited_s:
            time.sleep(0.004)

    def until_stopped(self, seconds: float = WAITED_S) -> str:
        """The reason; empty where it went on for all the time."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            try:
                self.step()
            except SafetyStop as stop:
                return str(stop)
        return ""


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def stood_s(host: str, since_s: float) -> float:
    """How long after a moment of the controller's time the arm moved last; asked until it stands."""
    for _ in range(100):
        told = asked(host, CELL, "state")
        if told["time_s"] - told["moved_at_s"] > 0.3:
            return float(told["moved_at_s"] - since_s)
        time.sleep(0.05)
    raise AssertionError("the arm does not stand")


def driven(host: str, then: Callable[[UrArm, Drive], None]) -> None:
    """An arm in motion, whose process is gone afterwards."""
    with UrArm(WorkerConfig(link=LinkConfig(host=host))) as arm:
        drive = Drive(arm)
        for _ in range(6):
            drive.step()
        then(arm, drive)
    assert gone(arm.worker_pid)


@pytest.mark.parametrize("line", STOPS)
def test_the_arm_stands_within_200_ms_and_the_driver_says_why(host: str, line: str) -> None:
    def broken(arm: UrArm, drive: Drive) -> None:
        since_s = float(asked(host, FAULT_PORT, line)["time_s"])
        why = drive.until_stopped()
        assert re.search(STOPS[line], why), why
        assert why.endswith("look at the arm, then start again")
        assert stood_s(host, since_s) <= STANDS_S

    driven(host, broken)


@pytest.mark.parametrize("line", HOLDS)
def test_the_arm_holds_and_goes_on(host: str, line: str) -> None:
    def held(arm: UrArm, drive: Drive) -> None:
        asked(host, FAULT_PORT, line)
        assert not drive.until_stopped(0.3)
        asked(host, FAULT_PORT, HOLDS[line])
        assert not drive.until_stopped(0.7)
        told = asked(host, CELL, "state")
        assert told["time_s"] - told["moved_at_s"] < 0.3, "it moves again"

    driven(host, held)


@pytest.mark.parametrize("line", UNNOTICED)
def test_the_arm_goes_on_as_if_nothing_were(host: str, line: str) -> None:
    def unharmed(arm: UrArm, drive: Drive) -> None:
        asked(host, FAULT_PORT, line)
        assert not drive.until_stopped(UNNOTICED_S)

    driven(host, unharmed)


@pytest.mark.parametrize("line", REFUSED)
def test_an_arm_that_cannot_be_controlled_is_one_sentence_and_no_motion(host: str, line: str) -> None:
    since_s = float(asked(host, FAULT_PORT, line)["time_s"])
    with pytest.raises(DeviceError) as caught, UrArm(WorkerConfig(link=LinkConfig(host=host))):
        raise AssertionError("the arm was driven")
    assert re.search(REFUSED[line], str(caught.value)), caught.value
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 6
    assert asked(host, CELL, "state")["moved_at_s"] <= since_s


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT])
def test_a_worker_that_dies_leaves_an_arm_that_stands(host: str, number: signal.Signals) -> None:
    def killed(arm: UrArm, drive: Drive) -> None:
        since_s = float(asked(host, CELL, "state")["time_s"])
        os.kill(arm.worker_pid, number)
        assert f"killed by {number.name}" in drive.until_stopped()
        assert stood_s(host, since_s) <= STANDS_S

    driven(host, killed)


def test_a_worker_that_is_stopped_for_a_while_finds_its_program_ended(host: str) -> None:
    def frozen(arm: UrArm, drive: Drive) -> None:
        since_s = float(asked(host, CELL, "state")["time_s"])
        os.kill(arm.worker_pid, signal.SIGSTOP)
        time.sleep(2.0)
        assert stood_s(host, since_s) <= STANDS_S
        os.kill(arm.worker_pid, signal.SIGCONT)
        assert "program is not running" in drive.until_stopped()

    driven(host, frozen)


def test_a_driver_that_says_nothing_is_a_hold_and_then_the_end(host: str) -> None:
    def silent(arm: UrArm, drive: Drive) -> None:
        since_s = arm.state().controller_s
        assert stood_s(host, since_s) < 1.0
        assert arm.state().phase is Phase.STALE
        with pytest.raises(SafetyStop, match="no command for 2 s"):
            again_and_again(arm.state)

    driven(host, silent)


def test_two_programs_on_one_arm_the_second_is_refused_and_the_first_goes_on(host: str) -> None:
    def contested(arm: UrArm, drive: Drive) -> None:
        with pytest.raises(DeviceError, match="cannot be controlled"), UrArm(WorkerConfig(link=LinkConfig(host=host))):
            raise AssertionError("two drive one arm")
        assert not drive.until_stopped(UNNOTICED_S)

    driven(host, contested)


@pytest.mark.parametrize(
    "target",
    [np.full(6, np.nan), np.zeros(5), np.zeros(7), np.full(6, np.inf), np.array([None] * 6, float)],
)
def test_a_target_that_is_none_never_reaches_the_worker(host: str, target: np.ndarray) -> None:
    with UrArm(WorkerConfig(link=LinkConfig(host=host))) as arm:
        with pytest.raises(DeviceError, match="give six finite numbers"):
            arm.follow(target)
        arm.hold()


@pytest.mark.parametrize("way", [np.array([0.3, 0.0, 0, 0, 0, 0]), np.array([1.0, 1.0, 1.0, 3.0, 3.0, 3.0])])
def test_a_jump_of_the_target_is_a_motion_within_the_limits(host: str, way: np.ndarray) -> None:
    def jumped(arm: UrArm, drive: Drive) -> None:
        limits = arm.config.limits
        for _ in range(8):
            arm.follow(drive._home + way)
            time.sleep(0.05)
        _, rows = arm.states_since(0)
        assert len(rows)
        assert np.all(arm.state().pose[:3] <= np.array(limits.workspace.high[:3]) + 5e-3)

    driven(host, jumped)


def test_a_dashboard_that_is_dead_late_or_garbled_is_one_sentence(host: str) -> None:
    for line in ("dashboard_dead", "dashboard_garbled", "local_control"):
        inject(host, line)
        with pytest.raises(DeviceError) as caught, Dashboard(host, timeout_s=0.5) as dashboard:
            must_be_ready(dashboard, host)
        assert "\n" not in str(caught.value)
        inject(host, "clear")


def test_nobody_is_there() -> None:
    with pytest.raises(DeviceError, match="does not answer"), Dashboard("127.255.255.1", timeout_s=0.5):
        pass
