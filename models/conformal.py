"""How high a score must be before it may alarm: a split-conformal threshold on successes.

Take the largest score of each of n calibration successes. The ceil((n + 1)(1 - alpha))-th smallest of them is a
threshold that a further success, exchangeable with those, exceeds with probability at most alpha: in finite samples,
whatever the distribution of the scores (Vovk et al. 2005; Lei et al. 2018). Fire where score > threshold. With fewer
than ceil(1/alpha) - 1 successes no finite threshold can promise that, and it is infinite: the trigger stays silent.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from episodes.errors import DataRefused, UsageError


def needed(alpha: float) -> int:
    """Calibration successes without which the threshold is infinite: ceil(1/alpha) - 1, 9 for 0.1."""
    return math.ceil(1 / _exact(alpha)) - 1


def conformal_threshold(maxima: npt.ArrayLike, alpha: float) -> float:
    """Smallest threshold that at most a share `alpha` of future exchangeable successes exceeds, infinite if unknown.

    `maxima` (n,) holds the largest score of each calibration success. DataRefused on NaN or another shape.
    """
    peaks = np.asarray(maxima, dtype=np.float64)
    if peaks.ndim != 1 or np.isnan(peaks).any():
        raise DataRefused("calibration maxima must be one number for each success; leave out episodes without scores")
    rank = math.ceil((len(peaks) + 1) * (1 - _exact(alpha)))
    return float(np.sort(peaks)[rank - 1]) if rank <= len(peaks) else math.inf


def rate_sd(alpha: float, count: int) -> float:
    """Standard deviation of the alarm rate over draws of `count` calibration successes: that of Beta(k, n + 1 - k)."""
    silent = math.ceil((count + 1) * (1 - _exact(alpha)))
    alarmed, total = count + 1 - silent, count + 1
    return math.sqrt(silent * alarmed / (total * total * (total + 1)))


def statement(alpha: float, count: int) -> str:
    """What a threshold at `alpha` from `count` successes promises, in one sentence."""
    return (
        f"a further success, exchangeable with these {count}, raises a false alarm with probability at most {alpha:g} "
        f"(standard deviation {rate_sd(alpha, count):.2g} over calibration sets of this size); another policy, camera "
        "or task needs its own calibration"
    )


def _exact(alpha: float) -> Fraction:
    """The decimal that was typed: in binary floats 1 - 0.1 times 10 can exceed 9 and the rank would be one too high."""
    if not 0 < alpha < 1:
        raise UsageError(f"alpha is {alpha}; use a rate between 0 and 1, such as 0.1")
    return Fraction(str(float(alpha)))
