"""When the next step begins: at once in simulation, at absolute deadlines on a real arm."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Paces the loop. `start` is step 0; every `tick` returns when the next step is due."""

    def start(self, fps: float) -> None: ...
    def tick(self) -> None: ...


class SimClock:
    """Simulated time passes in `Robot.send`; nobody waits."""

    def start(self, fps: float) -> None:
        """Nothing to anchor."""

    def tick(self) -> None:
        """The next step is due at once."""


class RealClock:
    """Absolute deadlines on the monotonic clock: a late step does not delay the ones after it.

    A step that is late by a whole period or more is not made up for by a burst of commands; the deadlines
    move on instead and `missed` counts the periods lost.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._now, self._sleep = now, sleep
        self._period_s = self._due_s = 0.0
        self.missed = 0

    def start(self, fps: float) -> None:
        """Anchor the deadlines: step 0 is now."""
        self._period_s = 1.0 / fps
        self._due_s = self._now()
        self.missed = 0

    def tick(self) -> None:
        """Sleep until the next deadline."""
        self._due_s += self._period_s
        late_s = self._now() - self._due_s
        if late_s < 0:
            self._sleep(-late_s)
            return
        lost = int(late_s / self._period_s)
        self.missed += lost
        self._due_s += lost * self._period_s
