"""Whether the worker may go on: pure judgement of one cycle. s.

Freshness is that of the controller's own clock: packages that come and say nothing new are as bad as none. How long it
has stood is what was seen of it: a worker that did not run itself for a while looks again before it judges (meanwhile
the controller's watchdog watches). How old a command is, is counted on the controller's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from episodes.record import Array
from robot_io.ur.link import Reading, why_unready

PROGRAM_PLAYING = 2
LOOK_S = 0.02
"""one look at a standing clock counts for no more than this"""
JUMP_S, FASTEST = 0.5, 20.0
"""the clock has jumped when it goes on by more than the first, and by more than this many times our own"""
JUMP_RAD, FASTEST_RAD_S = 0.05, 3.34
"""joints have jumped when they are further than a joint can go, and the first"""


class Exit(IntEnum):
    """Why a worker ended, as its exit code. A death by signal has a negative one."""

    DONE = 0
    REFUSED = 20
    LINK_LOST = 21
    STATE_STALE = 22
    ROBOT_STOPPED = 23
    DRIVER_GONE = 24
    UNREACHABLE = 25
    STATE_ABSURD = 26


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
    _last: Reading = field(init=False)
    _looked_at_s: float = field(init=False)
    _stood_s: float = field(init=False, default=0.0)

    def start(self, reading: Reading, now_s: float) -> None:
        """The robot is there and new now."""
        self._last, self._looked_at_s, self._stood_s = reading, now_s, 0.0

    def _look(self, reading: Reading, now_s: float) -> str:
        """Count how long the controller's clock has stood; what cannot be in the reading, or empty."""
        looked_s = now_s - self._looked_at_s
        self._looked_at_s = now_s
        went_s = reading.controller_s - self._last.controller_s
        if not went_s > 0.0:
            self._stood_s += min(looked_s, LOOK_S)
            return ""
        absurd = _absurd(reading, self._last.q, went_s, looked_s)
        self._last, self._stood_s = reading, 0.0
        return absurd

    def leaves(self, reading: Reading, *, connected: bool, now_s: float, commanded_s: float) -> tuple[Exit, str] | None:
        """Why to leave now, or None."""
        absurd = self._look(reading, now_s)
        if not connected:
            return Exit.LINK_LOST, "the connection to the arm is lost"
        if self._stood_s > self.patience.leave_after_s:
            return Exit.STATE_STALE, f"the arm's clock has stood for {self._stood_s:.2f} s"
        if absurd:
            return Exit.STATE_ABSURD, absurd
        stopped = _stopped(reading)
        if stopped:
            return Exit.ROBOT_STOPPED, stopped
        if reading.controller_s - commanded_s > self.patience.driver_s:
            return Exit.DRIVER_GONE, f"no command for {self.patience.driver_s:g} s"
        return None

    def holds(self, reading: Reading, commanded_s: float) -> bool:
        """Whether robot or driver is late, so that the tool is to stand."""
        late_s = reading.controller_s - commanded_s
        return self._stood_s > self.patience.hold_after_s or late_s > self.patience.command_s


def _absurd(reading: Reading, q: Array, went_s: float, looked_s: float) -> str:
    """What the arm says that cannot be, after it was at `q`; empty where all may be."""
    if not all(np.isfinite(part).all() for part in (reading.q, reading.qd, reading.tcp_pose, reading.tcp_speed)):
        return "the arm's state has numbers that are none"
    if went_s > JUMP_S + FASTEST * looked_s:
        return f"the arm's clock jumped by {went_s:.1f} s"
    jumped = float(np.abs(reading.q - q).max())
    if jumped > JUMP_RAD + FASTEST_RAD_S * went_s:
        return f"a joint of the arm jumped by {jumped:.2f} rad"
    return ""


def _stopped(reading: Reading) -> str:
    """What state of the robot ends the motion; empty where it runs."""
    if reading.runtime != PROGRAM_PLAYING and not why_unready(reading.safety_mode, reading.robot_mode):
        return f"the arm's program is not running (runtime state {reading.runtime})"
    return why_unready(reading.safety_mode, reading.robot_mode)
