"""How often training draws a step: by the weight that people gave its episode.

W_i = w_i^α / Σ_j w_j^α (GreenVLA's balanced sampling): α = 0 draws all alike, α = 1 in proportion to the weights, and
a weight of zero is never drawn.
"""

from __future__ import annotations

import numpy as np
import torch

from episodes.errors import DataRefused
from episodes.record import Array


def sampling_weights(weights: Array, alpha: float = 1.0) -> Array:
    """W (N,) float64, summing to 1, of weights w (N,). `DataRefused` where none is above zero, or one is no weight."""
    weights = np.asarray(weights, np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all() or not (weights > 0).any():
        raise DataRefused("a weight is a finite number, zero or more, and one must be above zero; mend the weights")
    # relative to the largest, so that no power leaves the range of float64 on its way
    powered = np.where(weights > 0, (weights / weights.max()) ** alpha, 0.0)
    shares: Array = powered / powered.sum()
    return shares


class Draws:
    """Indices of rows by their weights, with replacement; rows of one weight are drawn as if there were none."""

    def __init__(self, weights: Array, generator: torch.Generator) -> None:
        self._count, self._generator = len(weights), generator
        alike = bool((np.asarray(weights) == weights[0]).all())
        self._weights = None if alike else torch.as_tensor(sampling_weights(weights))

    def __call__(self, count: int) -> torch.Tensor:
        """(count,) int64."""
        if self._weights is None:
            return torch.randint(self._count, (count,), generator=self._generator)
        return torch.multinomial(self._weights, count, replacement=True, generator=self._generator)
