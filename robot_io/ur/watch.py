"""What must be remembered from cycle to cycle to know how old things are. s.

Freshness is that of the controller's own clock: packages that come and say nothing new are as bad as none. How long it
has stood is what was seen of it: a worker that did not run itself for a while looks again before it judges (meanwhile
the controller's watchdog watches). How old a command is, is counted on the controller's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from robot_io.ur.link import Reading

LOOK_S = 0.02
"""one look at a standing clock counts for no more than this"""
JUMP_S, FASTEST, BEHIND_S = 0.5, 20.0, 3.0
"""the clock has jumped when it goes on by more than the first, this many times our own, and what it was behind"""
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
    OUT_OF_LIMITS = 25
    STATE_ABSURD = 26
    FORCE = 27


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How old everything is at one cycle."""

    connected: bool
    stood_s: float
    """the controller's clock has stood for this long"""
    command_age_s: float
    absurd: str = ""
    """what the state says that cannot be"""


class Watch:
    """Looks at one state a cycle; `reading` is where the robot stands when it begins."""

    def __init__(self, reading: Reading, now_s: float) -> None:
        self._last, self._looked_at_s, self._stood_s = reading, now_s, 0.0
        self._behind_s = 0.0

    def look(self, reading: Reading, *, connected: bool, now_s: float, commanded_s: float) -> Seen:
        """One cycle."""
        looked_s = now_s - self._looked_at_s
        self._looked_at_s = now_s
        went_s = reading.controller_s - self._last.controller_s
        absurd = ""
        if went_s > 0.0:
            absurd = _absurd(reading, self._last, FASTEST * looked_s + self._behind_s)
            self._last, self._stood_s = reading, 0.0
        else:
            self._stood_s += min(looked_s, LOOK_S)
        self._behind_s = min(max(self._behind_s + looked_s - went_s, 0.0), BEHIND_S)
        age_s = reading.controller_s - commanded_s
        return Seen(connected=connected, stood_s=self._stood_s, command_age_s=age_s, absurd=absurd)


def _absurd(reading: Reading, last: Reading, could_s: float) -> str:
    """What a state says that cannot be after the last one, which is `could_s` old at most; empty where all may be."""
    if not all(np.isfinite(part).all() for part in (reading.q, reading.qd, reading.tcp_pose, reading.tcp_speed)):
        return "the arm's state has numbers that are none"
    went_s = reading.controller_s - last.controller_s
    if went_s > JUMP_S + could_s:
        return f"the arm's clock jumped by {went_s:.1f} s"
    jumped = float(np.abs(reading.q - last.q).max())
    if jumped > JUMP_RAD + FASTEST_RAD_S * went_s:
        return f"a joint of the arm jumped by {jumped:.2f} rad"
    return ""
