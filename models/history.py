"""What the recent past says about being stuck: eleven causal features of one step.

V, time since V rose by .03 and by .06, gain of V over .5/1/2 s, tool displacement over .5/1/2 s, |F| now and its
mean over 1 s. Times are in units of the task's median duration, so that the features do not depend on the rate.
History never crosses a change of action source: the batch form restarts at every segment, the loop calls `reset`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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
        moves = [float(_length(self._positions[-1] - self._positions[-1 - n])) for n in back]
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
    force_n = _length(np.asarray(wrench, float)[:, :3])
    out = np.empty((len(values), FEATURES), np.float32)
    for start, stop in runs:
        run = slice(start, stop)
        v = np.asarray(values[run], float)
        out[run, 1:3] = np.minimum(_since_rise(v) / fps / median_duration_s, GAP_CAP)
        out[run, 0], out[run, 3:9] = v, _changes(v, np.asarray(position_m[run], float), fps)
        out[run, 9] = force_n[run] / FORCE_SCALE_N
        out[run, 10] = _recent_mean(force_n[run], max(1, round(fps))) / FORCE_SCALE_N
    return out


def _length(vector: Array) -> Array:
    """Euclidean, of the last axis; the same operations for one step and for many."""
    return np.asarray(np.sqrt((vector * vector).sum(axis=-1)))


def _since_rise(values: Array) -> Array:
    """(n, 2) steps since the last value that lay more than each of `RISES` above the last one that did."""
    out = np.empty((len(values), len(RISES)))
    for column, rise in enumerate(RISES):
        level, since = values[0], 0
        for t, value in enumerate(values.tolist()):
            if value > level + rise:
                level, since = value, t
            out[t, column] = t - since
    return out


def _changes(values: Array, position_m: Array, fps: float) -> Array:
    """(n, 6) gain of V and displacement over each of `WINDOWS_S`, or since the run began."""
    here = np.arange(len(values))
    before = [here - np.minimum(round(s * fps), here) for s in WINDOWS_S]
    gains = [values - values[then] for then in before]
    moves = [_length(position_m - position_m[then]) / DISPLACEMENT_SCALE_M for then in before]
    return np.stack(gains + moves, axis=1)


def _recent_mean(values: Array, width: int) -> Array:
    """(n,) mean of the last `width`, summed from the oldest on as the stream does."""
    total = np.zeros(len(values))
    for back in range(min(width, len(values)) - 1, -1, -1):
        total[back:] += values[: len(values) - back]
    return total / np.minimum(np.arange(len(values)) + 1, width)


def causal_median(values: Array, runs: Runs, width: int = MEDIAN) -> Array:
    """Median of the last `width` values of the same run; the first steps use what there is."""
    out = np.array(values, float)
    for start, stop in runs:
        run = np.asarray(values[start:stop], float)
        for t in range(min(width - 1, len(run))):
            out[start + t] = np.median(run[: t + 1])
        if len(run) >= width:
            out[start + width - 1 : stop] = np.median(sliding_window_view(run, width), axis=1)
    return out
