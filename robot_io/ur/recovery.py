"""The way back from a stop, one step at a time, each confirmed by a person who has looked.

    emergency stop -> (a person pulls the button) -> power on -> brakes -> ready
    violation, fault -> restart safety -> power on -> brakes -> ready
    protective stop -> (5 s) -> unlock -> ready          safeguard stop -> (the person leaves) -> ready

What is next follows from what the controller says now, never from what was sent before. Nothing here moves the arm: a
new worker starts where the arm stands, so that no old target is resumed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from episodes.errors import DeviceError, SafetyStop

STEPS_MAX = 60
WAIT_S = 1.0


class Next(Enum):
    """What comes next; the value is asked of the person, or told."""

    UNLOCK = "The arm is in a protective stop. Is its cause found and out of the way? Unlock it"
    RESTART_SAFETY = "The safety system reports a violation or a fault. Is it safe to restart it"
    POWER_ON = "The arm has no power. Is everybody clear of it? Power it on"
    RELEASE_BRAKES = "Releasing the brakes may let the arm move a little. Is everybody clear of it? Release them"
    BUTTON = "Pull out the emergency button, then confirm"
    SAFEGUARD = "Clear the safeguarded space, then confirm"
    WAIT = "wait"
    READY = "ready"


LINES = {
    Next.UNLOCK: ("close safety popup", "unlock protective stop"),
    Next.RESTART_SAFETY: ("close safety popup", "restart safety"),
    Next.POWER_ON: ("power on",),
    Next.RELEASE_BRAKES: ("brake release",),
}
SAFETY = {
    "PROTECTIVE_STOP": Next.UNLOCK,
    "SAFEGUARD_STOP": Next.SAFEGUARD,
    "AUTOMATIC_MODE_SAFEGUARD_STOP": Next.SAFEGUARD,
    "ROBOT_EMERGENCY_STOP": Next.BUTTON,
    "SYSTEM_EMERGENCY_STOP": Next.BUTTON,
    "VIOLATION": Next.RESTART_SAFETY,
    "FAULT": Next.RESTART_SAFETY,
}
POWER = {"POWER_OFF": Next.POWER_ON, "IDLE": Next.RELEASE_BRAKES, "RUNNING": Next.READY}


class Asks(Protocol):
    """A dashboard."""

    def ask(self, line: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Modes:
    """What the controller says it is in."""

    robot: str
    safety: str

    @classmethod
    def of(cls, dashboard: Asks) -> Modes:
        """Ask. `DeviceError` for an answer that names no mode."""
        return cls(_word(dashboard.ask("robotmode")), _word(dashboard.ask("safetystatus")))


def next_step(modes: Modes) -> Next:
    """Safety first; booting is waited for. `DeviceError` for a safety state that nobody here knows."""
    if modes.safety in SAFETY:
        return SAFETY[modes.safety]
    if modes.safety not in ("NORMAL", "REDUCED"):
        raise DeviceError(f"the arm's safety state is {modes.safety}; bring it back at its pendant")
    return POWER.get(modes.robot, Next.WAIT)


def recover(dashboard: Asks, confirm: Callable[[str], bool], wait: Callable[[float], None]) -> list[Next]:
    """Bring the arm to where a worker may start; returns the steps taken.

    `SafetyStop` where the person does not confirm, `DeviceError` where the controller does not come back.
    """
    taken: list[Next] = []
    for _ in range(STEPS_MAX):
        step = next_step(Modes.of(dashboard))
        if step is Next.READY:
            return taken
        if step is not Next.WAIT and (not taken or taken[-1] is not step):
            if not confirm(step.value):
                raise SafetyStop(f"the arm stays as it is: not confirmed ({step.name.lower().replace('_', ' ')})")
            taken.append(step)
        for line in LINES.get(step, ()):
            dashboard.ask(line)
        wait(WAIT_S)
    raise DeviceError(
        f"the arm did not come back in {STEPS_MAX * WAIT_S:.0f} s ({Modes.of(dashboard)}); see its pendant"
    )


def _word(answer: str) -> str:
    """`Robotmode: RUNNING` -> `RUNNING`."""
    found = re.fullmatch(r"\w+: (\w+)", answer)
    if found is None:
        raise DeviceError(f"the dashboard answers {answer[:60]!r}, which names no mode; see the arm's pendant")
    return found[1]
