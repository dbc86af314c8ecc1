"""The controller's states as RTDE numbers them, and the PolyScope versions there are."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple


class RobotMode(IntEnum):
    """Power and brakes."""

    DISCONNECTED = 0
    CONFIRM_SAFETY = 1
    BOOTING = 2
    POWER_OFF = 3
    POWER_ON = 4
    IDLE = 5
    BACKDRIVE = 6
    RUNNING = 7


class SafetyMode(IntEnum):
    """Whether the arm may move, and why not."""

    NORMAL = 1
    REDUCED = 2
    PROTECTIVE_STOP = 3
    RECOVERY = 4
    SAFEGUARD_STOP = 5
    SYSTEM_EMERGENCY_STOP = 6
    ROBOT_EMERGENCY_STOP = 7
    VIOLATION = 8
    FAULT = 9


class Runtime(IntEnum):
    """The running program."""

    STOPPING = 0
    STOPPED = 1
    PLAYING = 2
    PAUSING = 3
    PAUSED = 4
    RESUMING = 5


class Version(NamedTuple):
    """Of PolyScope."""

    major: int
    minor: int
    bugfix: int
    build: int

    def __str__(self) -> str:
        return ".".join(map(str, self))


POLYSCOPE: Mapping[str, Version] = {"5.12": Version(5, 12, 6, 1102099), "5.23": Version(5, 23, 0, 1121204)}
"""what the simulated controller can be, by the name of its switch"""

SAFETY_BITS: Mapping[SafetyMode, tuple[int, ...]] = {
    SafetyMode.NORMAL: (0,),
    SafetyMode.REDUCED: (0, 1),
    SafetyMode.PROTECTIVE_STOP: (2, 10),
    SafetyMode.RECOVERY: (3,),
    SafetyMode.SAFEGUARD_STOP: (4, 10),
    SafetyMode.SYSTEM_EMERGENCY_STOP: (5, 7, 10),
    SafetyMode.ROBOT_EMERGENCY_STOP: (6, 7, 10),
    SafetyMode.VIOLATION: (8, 10),
    SafetyMode.FAULT: (9, 10),
}
"""bits of `safety_status_bits`: 0 normal, 1 reduced, 2 protective, 3 recovery, 4 safeguard, 5 system and 6 robot
emergency, 7 emergency stopped, 8 violation, 9 fault, 10 stopped due to safety"""
JOINT_RUNNING, JOINT_POWER_OFF, JOINT_IDLE = 253, 239, 255


def bits(*numbers: int) -> int:
    """The word with these bits set."""
    return sum(1 << number for number in numbers)
