"""The privileged stall: the task potential stopped improving. For scoring and for the scripted human only.

With M_t the running maximum of the potential, a step is stalled when M_t - M_{t-W} < resolution: W = 10 steps
(1.0 s at 10 Hz) is a *stall*, W = 30 (3.0 s) is *help needed*. A stall's onset is the first step of its window.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from episodes.record import Array

STALL_STEPS = 10
HELP_STEPS = 30


class StallWatch:
    """Streaming form; `suspended` steps do not count as time, but what they gain counts as progress."""

    def __init__(self, window_steps: int, resolution: float) -> None:
        self._resolution = resolution
        self._maxima: deque[float] = deque(maxlen=window_steps + 1)

    def reset(self) -> None:
        """Forget the past: the next step starts a new running maximum."""
        self._maxima.clear()

    def update(self, potential: float, *, suspended: bool = False) -> bool:
        """Take the next step's potential; True when no improvement was seen for the whole window."""
        best = max(potential, self._maxima[-1]) if self._maxima else potential
        if suspended and self._maxima:
            self._maxima[-1] = best
        else:
            self._maxima.append(best)
        return len(self._maxima) == self._maxima.maxlen and best - self._maxima[0] < self._resolution


def stalled_steps(potential: Array, resolution: float, window_steps: int = STALL_STEPS) -> Array:
    """(T,) potential -> (T,) bool, the whole episode at once."""
    best = np.maximum.accumulate(np.asarray(potential, float))
    stalled = np.zeros(len(best), bool)
    stalled[window_steps:] = best[window_steps:] - best[:-window_steps] < resolution
    return stalled


def stall_onsets(stalled: Array, window_steps: int = STALL_STEPS) -> Array:
    """(T,) bool -> first step of the window of each run of stalled steps, int64."""
    flags = np.asarray(stalled, bool)
    starts = np.flatnonzero(flags & ~np.concatenate([[False], flags[:-1]]))
    return np.maximum(starts - window_steps, 0)
