"""CUSUM of a value curve: progress that is owed, summed up until it is paid.

    S_t = max(0, S_{t-1} + drift - (V_t - V_{t-1})),   S_0 = 0

`drift` is the gain expected of one step, (share of nominal progress) / (median steps of a success): at half the nominal
speed S stays at 0, in a stall it grows by `drift` a step, a fall of V adds to it at once (Page 1954). Whoever
calls it does so for each run of one control mode apart, because the step across a hand-over belongs to nobody.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from episodes.errors import DataRefused, UsageError
from models.curve import Curve, as_curve


class CusumStream:
    """S after each step of a run."""

    __slots__ = ("_drift", "_score", "_value")

    def __init__(self, *, drift: float) -> None:
        if not 0 <= drift < math.inf:
            raise UsageError(f"the CUSUM's drift is {drift}; use the value gain expected of one step, 0 or more")
        self._drift = float(drift)
        self.reset()

    def reset(self) -> None:
        """Forget the history; the next step is the first of a run."""
        self._score = 0.0
        self._value: float | None = None

    def update(self, value: float) -> float:
        """S after one more value. DataRefused on NaN or inf."""
        value = float(value)
        if not math.isfinite(value):
            raise DataRefused(f"the value of this step is {value}; hold the robot and check the value model's inputs")
        if self._value is not None:
            self._score = max(0.0, self._score + self._drift - (value - self._value))
        self._value = value
        return self._score


def cusum(values: npt.ArrayLike, *, drift: float) -> Curve:
    """(T,) float64 CUSUM of one run's curve (T,), the stream run over it.

    The recurrence has no parallel form that rounds the same, and a microsecond a step is less than reading the step.
    DataRefused on NaN, inf or an empty curve.
    """
    stream = CusumStream(drift=drift)
    return np.array([stream.update(value) for value in as_curve(values).tolist()])
