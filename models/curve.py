"""A value curve as the maths reads it, and the stretches of one control mode in an episode.

Every function of values starts with `as_curve`, so a NaN is refused at the door and not three stages later. Every
function that takes differences asks `control_runs` where one may be taken: V_t - V_{t-1} across a hand-over compares
two actors, across a time gap two moments, and neither is the robot's progress.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from episodes.errors import DataRefused
from episodes.record import ActionSource

Curve = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

Runs = Sequence[tuple[int, int]]
"""ranges [start, stop) of one control mode without a pause, in order, covering the episode"""

MAX_GAP_S = 0.5
"""pause between two steps that no window crosses"""
_SOURCES = tuple(int(source) for source in ActionSource)


def as_curve(values: npt.ArrayLike, name: str = "values") -> Curve:
    """(T,) float64 with T >= 1. DataRefused on another shape, an empty curve, NaN or inf."""
    curve = np.asarray(values, dtype=np.float64)
    if curve.ndim != 1 or not curve.size:
        raise DataRefused(f"{name} has shape {curve.shape}, not (T,) with T >= 1; pass the curve of one episode")
    if not np.isfinite(curve).all():
        step = int(np.flatnonzero(~np.isfinite(curve))[0])
        raise DataRefused(f"{name} is {curve[step]} at step {step}; retrain the value model or exclude this episode")
    return curve


def as_time(time_s: npt.ArrayLike, length: int) -> Curve:
    """(T,) float64 seconds, strictly increasing, as long as the curve it belongs to; DataRefused otherwise."""
    time = as_curve(time_s, "time_s")
    if len(time) != length:
        raise DataRefused(f"time_s has {len(time)} steps and the values have {length}; pass both of one episode")
    if (np.diff(time) <= 0).any():
        step = int(np.flatnonzero(np.diff(time) <= 0)[0]) + 1
        raise DataRefused(f"time_s does not increase at step {step}; import the episode again to repair its stamps")
    return time


def as_source(source: npt.ArrayLike, length: int | None = None) -> npt.NDArray[np.uint8]:
    """(T,) uint8 of `ActionSource` codes; DataRefused on another code, shape or length."""
    given = np.asarray(source)
    if given.ndim != 1 or (length is not None and len(given) != length):
        raise DataRefused(
            f"action source has shape {given.shape}, not ({length or 'T'},); pass that of the same episode"
        )
    known = np.isin(given, _SOURCES)
    if not known.all():
        step = int(np.flatnonzero(~known)[0])
        raise DataRefused(f"action source is {given[step]} at step {step}; use the codes of ActionSource {_SOURCES}")
    return given.astype(np.uint8)


def control_runs(
    source: npt.ArrayLike | None, time_s: npt.ArrayLike | None = None, *, length: int, max_gap_s: float = MAX_GAP_S
) -> list[tuple[int, int]]:
    """Maximal ranges [start, stop) of one source without a pause longer than `max_gap_s`, in order; they cover (T,)."""
    cut = np.zeros(length, dtype=bool)
    if source is not None:
        cut[1:] |= np.diff(as_source(source, length)) != 0
    if time_s is not None:
        cut[1:] |= np.diff(as_time(time_s, length)) > max_gap_s
    edges = [0, *np.flatnonzero(cut).tolist(), length]
    return list(pairwise(edges))


def true_runs(flags: npt.ArrayLike) -> list[tuple[int, int]]:
    """Maximal ranges [start, stop) where `flags` (T,) is True, in order."""
    padded = np.concatenate([[False], np.asarray(flags, dtype=bool), [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1]).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def flags_of(ranges: Iterable[tuple[int, int]], length: int) -> Flags:
    """(T,) bool, True inside the ranges [start, stop)."""
    flags = np.zeros(length, dtype=bool)
    for start, stop in ranges:
        flags[start:stop] = True
    return flags
