"""The way from power off to a robot that runs. How long each step takes is modelled. s."""

from __future__ import annotations

from dataclasses import dataclass

from robot_io.ursim.modes import RobotMode

STEP_S = 0.5
"""before each mode on the way"""
NEXT = {RobotMode.POWER_OFF: RobotMode.POWER_ON, RobotMode.POWER_ON: RobotMode.IDLE, RobotMode.IDLE: RobotMode.RUNNING}


@dataclass(slots=True)
class Power:
    """Power and brakes."""

    mode: RobotMode
    _goal: RobotMode | None = None
    _due_s: float = 0.0

    def towards(self, mode: RobotMode, now_s: float) -> None:
        """Begin the way to a mode; one that is reached already is no way."""
        if self.mode < mode:
            self._goal, self._due_s = mode, now_s + STEP_S

    def tick(self, now_s: float) -> bool:
        """True in the moment the goal is reached."""
        if self._goal is None or now_s < self._due_s:
            return False
        self.mode, self._due_s = NEXT[self.mode], now_s + STEP_S
        if self.mode < self._goal:
            return False
        self._goal = None
        return True
