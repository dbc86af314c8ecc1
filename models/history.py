"""What the recent past says about being stuck: eleven causal features of one step.

V, time since V rose by .03 and by .06, gain of V over .5/1/2 s, tool displacement over .5/1/2 s, |F| now and its
mean over 1 s. Times are in units of the task's median duration, so that the features do not depend on the rate.
History never crosses a change of action source: the batch form restarts at every segment, the loop calls `reset`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from episodes.record import Array
from models.curve import Runs

FEATURES = 11
MEDIAN = 3
"""V shown and scored is the median of this many last outputs of a net"""
RISES = (0.03, 0.06)
WINDOWS_S = (0.5, 1.0, 2.0)
GAP_CAP = 2.0
"""median durations"""
DISPLACEMENT_SCALE_M = 0.02
FORCE_SCALE_N = 20.0


@dataclass(slots=True)
class HistoryStream:
    """Features step by step; `median_duration_s` is the task's unit of time."""

    fps: float
    median_duration_s: float
    _values: deque[float] = field(init=False)
    _positions: deque[Array] = field(init=False)
    _forces: deque[float] = field(init=False)
    _rise: list[tuple[float, int]] = field(init=False)
    _t: int = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next step starts a segment."""
        longest = max(1, round(max(WINDOWS_S) * self.fps))
        self._values, self._positions = deque(maxlen=longest + 1), deque(maxlen=longest + 1)
        self._forces = deque(maxlen=max(1, round(self.fps)))
        self._rise, self._t = [], 0

    def update(self, value: float, position_m: Array, force_n: float) -> Array:
        """(11,) float32 features after seeing one more step."""
        self._values.append(value)
        self._positions.append(np.asarray(position_m, float))
        self._forces.append(force_n)
        if not self._rise:
            self._rise = [(value, 0) for _ in RISES]
        self._rise = [
            (value, self._t) if value > level + rise else (level, since)
            for rise, (level, since) in zip(RISES, self._rise, strict=True)
        ]
        gaps = [min((self._t - since) / self.fps / self.median_duration_s, GAP_CAP) for _, since in self._rise]
        back = [min(round(s * self.fps), self._t) for s in WINDOWS_S]
        gains = [value - self._values[-1 - n] for n in back]
        moves = [float(np.linalg.norm(self._positions[-1] - self._positions[-1 - n])) for n in back]
        self._t += 1
        return np.array(
            [value, *gaps, *gains]
            + [move / DISPLACEMENT_SCALE_M for move in moves]
            + [force_n / FORCE_SCALE_N, sum(self._forces) / len(self._forces) / FORCE_SCALE_N],
            np.float32,
        )


def history_features(
    values: Array, position_m: Array, wrench: Array, runs: Runs, *, fps: float, median_duration_s: float
) -> Array:
    """(T, 11) features of an episode; equals `HistoryStream` reset at the start of each of `runs`."""
    stream = HistoryStream(fps, median_duration_s)
    force_n = np.linalg.norm(np.asarray(wrench, float)[:, :3], axis=1)
    out = np.empty((len(values), FEATURES), np.float32)
    for start, stop in runs:
        stream.reset()
        for t in range(start, stop):
            out[t] = stream.update(float(values[t]), position_m[t], float(force_n[t]))
    return out


def causal_median(values: Array, runs: Runs, width: int = MEDIAN) -> Array:
    """Median of the last `width` values of the same run; the first steps use what there is."""
    out = np.array(values, float)
    for start, stop in runs:
        for t in range(start, stop):
            out[t] = np.median(values[max(start, t - width + 1) : t + 1])
    return out
