"""What a wrist force/torque sensor reports of a wrench: noise, bias, delay.

Reading at step t = true wrench at t-1 (tared at reset) + constant bias of the episode + white noise, after the
precision and accuracy UR states for its e-series sensor. Units: N and Nm; policy rate.
"""

from __future__ import annotations

import numpy as np

from episodes.record import Array

NOISE_SD = np.array([1.2] * 3 + [0.07] * 3)
BIAS_RANGE = np.array([2.0] * 3 + [0.1] * 3)


class WrenchSensor:
    """One sensor; `reset` tares it and draws the episode's bias."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._tare = self._bias = self._delayed = np.zeros(6)

    def reset(self, random: np.random.Generator, resting: Array) -> None:
        """Tare on the wrench at rest (6,)."""
        self._random, self._tare = random, resting.copy()
        self._bias = random.uniform(-BIAS_RANGE, BIAS_RANGE)
        self._delayed = np.zeros(6)

    def read(self, true: Array) -> Array:
        """(6,) float32 reading; `true` appears in the next one."""
        reading = self._delayed + self._bias + self._random.normal(0.0, NOISE_SD)
        self._delayed = self.tared(true)
        return reading.astype(np.float32)

    def tared(self, true: Array) -> Array:
        """(6,) the noise-free wrench against the tare, for success predicates."""
        return true - self._tare
