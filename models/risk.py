"""Temporal value-risk: how far the last steps fell short of the progress they should have made.

    R_t = (1 - V_t) * sum_{i=0..K-1} gamma^i * (epsilon - (V_{t-i} - V_{t-i-1}))

V is the value of each step (no unit, 0 start to 1 done), K = window differences, epsilon the gain expected of one step.
History is left-padded with the first value. Source: UniIntervene (arXiv 2606.12372), equation of its released code:
signed, on raw values. We clip V to [0, 1] first: the released objective lets V pass 1, where (1 - V) turns negative
and good progress would read as risk. `signed=False` takes max(0, .) of each term; such a risk is never negative, so
a gate at sigmoid(R) > 0.5 would always be open.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from episodes.errors import DataRefused, UsageError
from models.curve import Curve, as_curve


def value_risk(
    values: npt.ArrayLike,
    *,
    window: int = 8,
    epsilon: float = 0.005,
    gamma: float = 0.9,
    signed: bool = True,
    clip: bool = True,
) -> Curve:
    """(T,) float64 risk of a value curve (T,), bit for bit what `RiskStream` gives step by step.

    DataRefused on NaN, inf or an empty curve.
    """
    weights = _weights(window, epsilon, gamma)
    curve = as_curve(values)
    if clip:
        curve = np.clip(curve, 0.0, 1.0)
    padded = np.concatenate([np.full(window, curve[0]), curve])
    terms = epsilon - np.diff(padded)
    if not signed:
        terms = np.maximum(terms, 0.0)
    total = np.zeros(len(curve))
    for i, weight in enumerate(weights):
        total += weight * terms[window - 1 - i : len(terms) - i]
    risk: Curve = (1.0 - curve) * total
    return risk


class RiskStream:
    """The same risk, one value at a time, in a few microseconds; `reset` at every change of source."""

    __slots__ = ("_clip", "_epsilon", "_signed", "_terms", "_value", "_weights")

    def __init__(
        self, *, window: int = 8, epsilon: float = 0.005, gamma: float = 0.9, signed: bool = True, clip: bool = True
    ) -> None:
        self._weights = _weights(window, epsilon, gamma)
        self._epsilon, self._signed, self._clip = epsilon, signed, clip
        self.reset()

    def reset(self) -> None:
        """Forget the history; the next value is the first of a run."""
        self._terms: deque[float] = deque(maxlen=len(self._weights))
        self._value: float | None = None

    def update(self, value: float) -> float:
        """Risk after one more value. DataRefused on NaN or inf, and the history stays as it was."""
        value = float(value)
        if not -np.inf < value < np.inf:
            raise DataRefused(f"the value of this step is {value}; hold the robot and check the value model's inputs")
        if self._clip:
            value = min(max(value, 0.0), 1.0)
        if self._value is None:
            self._terms.extend(self._term(0.0) for _ in self._weights)
        else:
            self._terms.appendleft(self._term(value - self._value))
        self._value = value
        total = 0.0
        for weight, term in zip(self._weights, self._terms, strict=True):
            total += weight * term
        return (1.0 - value) * total

    def _term(self, gain: float) -> float:
        shortfall = self._epsilon - gain
        return shortfall if self._signed else max(shortfall, 0.0)


def _weights(window: int, epsilon: float, gamma: float) -> tuple[float, ...]:
    if window < 1 or not np.isfinite([epsilon, gamma]).all():
        raise UsageError(
            f"risk over window {window} with epsilon {epsilon}, gamma {gamma} is undefined; use a window of 1 or more"
            " and finite numbers"
        )
    return tuple(float(gamma) ** i for i in range(window))
