"""Whether the worker may go on: pure judgement of one cycle. s.

Freshness is that of the controller's own clock: packages that come and say nothing new are as bad as none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from robot_io.ur.link import Reading, why_unready

PROGRAM_PLAYING = 2


class Exit(IntEnum):
    """Why a worker ended, as its exit code. A death by signal has a negative one."""

    DONE = 0
    REFUSED = 20
    LINK_LOST = 21
    STATE_STALE = 22
    ROBOT_STOPPED = 23
    DRIVER_GONE = 24
    UNREACHABLE = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the worker waits for what is not there."""

    hold_after_s: float = 0.05
    """without a newer state it holds"""
    leave_after_s: float = 0.2
    """and then it leaves, before the client's own reconnect does harm"""
    command_s: float = 0.3
    """without a newer command it holds"""
    driver_s: float = 2.0
    """and then it leaves"""


@dataclass(slots=True)
class Watch:
    """What must be remembered from cycle to cycle."""

    patience: Patience
    _clock_s: float = float("-inf")
    _fresh_at_s: float = float("-inf")

    def start(self, now_s: float) -> None:
        """The robot is there and new now."""
        self._fresh_at_s = now_s

    def age_s(self, reading: Reading, now_s: float) -> float:
        """How long the controller's clock has stood."""
        if reading.controller_s > self._clock_s:
            self._clock_s, self._fresh_at_s = reading.controller_s, now_s
        return now_s - self._fresh_at_s

    def leaves(self, reading: Reading, *, connected: bool, now_s: float, commanded_s: float) -> tuple[Exit, str] | None:
        """Why to leave now, or None."""
        age_s = self.age_s(reading, now_s)
        if not connected:
            return Exit.LINK_LOST, "the connection to the arm is lost"
        if age_s > self.patience.leave_after_s:
            return Exit.STATE_STALE, f"the arm's clock has stood for {age_s:.2f} s"
        stopped = _stopped(reading)
        if stopped:
            return Exit.ROBOT_STOPPED, stopped
        if now_s - commanded_s > self.patience.driver_s:
            return Exit.DRIVER_GONE, f"no command for {self.patience.driver_s:g} s"
        return None

    def holds(self, *, now_s: float, commanded_s: float) -> bool:
        """Whether robot or driver is late, so that the tool is to stand."""
        return now_s - self._fresh_at_s > self.patience.hold_after_s or now_s - commanded_s > self.patience.command_s


def _stopped(reading: Reading) -> str:
    """What state of the robot ends the motion; empty where it runs."""
    if reading.runtime != PROGRAM_PLAYING and not why_unready(reading.safety_mode, reading.robot_mode):
        return f"the arm's program is not running (runtime state {reading.runtime})"
    return why_unready(reading.safety_mode, reading.robot_mode)
