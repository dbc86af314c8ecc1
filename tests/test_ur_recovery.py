"""The way back from every stop of a controller, and that no step is taken that nobody confirmed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from ursim_samples import FakeArm

from episodes.errors import DeviceError, SafetyStop
from robot_io.ur.recovery import Modes, Next, next_step, recover
from robot_io.ursim.controller import DT_S, Controller
from robot_io.ursim.dashboard import Dashboard
from robot_io.ursim.modes import RobotMode, SafetyMode


@dataclass
class Bench:
    """A controller, its dashboard, a person, and time that passes only in `wait`."""

    robot: Controller = field(default_factory=lambda: Controller(FakeArm()))
    says: bool = True
    asked: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def ask(self, line: str) -> str:
        self.lines.append(line)
        return Dashboard(self.robot).answer(line)

    def confirm(self, question: str) -> bool:
        self.asked.append(question)
        if question == Next.BUTTON.value:
            self.robot.release_emergency_stop()
        if question == Next.SAFEGUARD.value:
            self.robot.safeguard_stop(False)
        return self.says

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / DT_S)):
            self.robot.tick()

    def recover(self) -> list[Next]:
        return recover(self, self.confirm, self.wait)


STOPS: dict[str, tuple[Callable[[Controller], object], list[Next]]] = {
    "nothing": (lambda robot: None, []),
    "protective": (lambda robot: robot.protective_stop("injected"), [Next.UNLOCK]),
    "safeguard": (lambda robot: robot.safeguard_stop(True), [Next.SAFEGUARD]),
    "emergency": (Controller.emergency_stop, [Next.BUTTON, Next.POWER_ON, Next.RELEASE_BRAKES]),
    "violation": (
        lambda robot: robot.emergency_stop(SafetyMode.VIOLATION),
        [Next.RESTART_SAFETY, Next.POWER_ON, Next.RELEASE_BRAKES],
    ),
    "power off": (Controller.power_off, [Next.POWER_ON, Next.RELEASE_BRAKES]),
    "idle": (lambda robot: robot.power_off("idle", RobotMode.IDLE), [Next.RELEASE_BRAKES]),
}


@pytest.mark.parametrize("stop", STOPS)
def test_every_stop_has_its_way_back(stop: str) -> None:
    happens, steps = STOPS[stop]
    bench = Bench()
    happens(bench.robot)
    assert bench.recover() == steps
    assert bench.asked == [step.value for step in steps]
    assert bench.robot.robot_mode is RobotMode.RUNNING
    assert bench.robot.safety_mode is SafetyMode.NORMAL


@pytest.mark.parametrize("stop", [name for name, (_, steps) in STOPS.items() if steps])
def test_nothing_is_done_that_nobody_confirmed(stop: str) -> None:
    bench = Bench(says=False)
    STOPS[stop][0](bench.robot)
    with pytest.raises(SafetyStop, match="not confirmed"):
        bench.recover()
    assert set(bench.lines) == {"robotmode", "safetystatus"}


def test_a_button_that_stays_pressed_is_no_way_back() -> None:
    bench = Bench()
    bench.robot.emergency_stop()
    bench.robot.release_emergency_stop = lambda: None  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="did not come back"):
        recover(bench, bench.confirm, lambda seconds: None)
    assert len(bench.asked) == 1


def test_what_nobody_knows_is_left_to_the_pendant() -> None:
    with pytest.raises(DeviceError, match="UNDEFINED_SAFETY_MODE"):
        next_step(Modes("RUNNING", "UNDEFINED_SAFETY_MODE"))
    with pytest.raises(DeviceError, match="names no mode"):
        Modes.of(type("Mute", (), {"ask": lambda self, line: "?"})())
