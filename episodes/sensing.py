"""Sensors and clocks of one episode: readings that stand at a limit, steps that are missing."""

from __future__ import annotations

import numpy as np

from episodes.record import Array
from episodes.validation import gaps

CLIP_STEPS = 5
"""a reading that stands at its extreme for so long is a limit: a live sensor's noise moves it"""


def clipped(wrench: Array) -> Array:
    """(T,) where an axis of (T, 6) stands at its own extreme, not zero, for `CLIP_STEPS` or more.

    A sensor slower than the steps stands at every reading for a while: a limit is held twice as long as any other.
    """
    out = np.zeros(len(wrench), bool)
    for axis in np.asarray(wrench).T:
        edges = np.flatnonzero(np.diff(axis)) + 1
        starts, stops = np.r_[0, edges], np.r_[edges, len(axis)]
        lengths, values = stops - starts, axis[starts]
        extreme = ((values == axis.min()) | (values == axis.max())) & (values != 0)
        usual = lengths[~extreme].max(initial=1)
        for start, stop in zip(starts[extreme], stops[extreme], strict=True):
            if len(starts) > 1 and stop - start >= max(CLIP_STEPS, 2 * usual):
                out[start:stop] = True
    return out


def dropped(time_s: Array) -> Array:
    """(T - 1,) how many steps are missing after each: its time in median steps, rounded, less one; gaps are others."""
    steps_s = np.diff(time_s)
    if len(steps_s) < 2:
        return np.zeros(len(steps_s), int)
    missing: Array = np.maximum(np.round(steps_s / np.median(steps_s)).astype(int) - 1, 0)
    missing[gaps(time_s)] = 0
    return missing
