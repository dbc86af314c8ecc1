"""Where a value curve says that the robot is stuck: the two published rules to the letter, and ours.

* `mine_three_rules`: decline, plateau, abrupt drop, as the UniIntervene release labels them (window of 8 values,
  per-episode min-max, three steps of the future). For comparison: on a clean success of 60 steps or more the plateau
  rule marks nearly every step, because its thresholds are per step and relative to the episode's own range.
* `mine_seed_rule`: missing progress over k differences. For comparison: on a perfectly flat curve it never fires,
  because 8 * 0.005 is exactly the 0.04 that has to be exceeded.
* `mine_stagnation`: per second and relative to the task, of which see `models.stagnation`.

Values have no unit; nothing here reads a clock except ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from episodes.errors import UsageError
from models.curve import Curve, Flags, as_curve
from models.stagnation import (
    StagnationLabels,
    StagnationParams,
    StagnationSegment,
    mine_stagnation,
)

__all__ = [
    "StagnationLabels",
    "StagnationParams",
    "StagnationSegment",
    "ThreeRuleLabels",
    "ThreeRuleParams",
    "mine_seed_rule",
    "mine_stagnation",
    "mine_three_rules",
]

BLOCK = 16_384
"""steps mined at a time: the dozen arrays of a block stay in the processor's cache, which halves the time"""
SEED_SHORTFALL = 0.04
SEED_RANGE = 0.03
SLOPE_DOUBT = 1e-5
"""nearer to the slope threshold than this, `numpy.polyfit` decides in float32, as it does in the release"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreeRuleParams:
    """The release's defaults; values are min-max normalised per episode, rates are per step."""

    window: int = 8
    """values, not differences"""
    slope: float = -0.01
    """fitted change per step at or below which the window declines"""
    decline: float = 0.05
    """least fall from the first to the last value of a declining window"""
    down_share: float = 0.7
    """least share of falling steps in a declining window"""
    flat_share: float = 0.6
    """least share of flat steps on a plateau"""
    flat_step: float = 0.03
    """largest change of a flat step"""
    flat_range_steps: float = 4.0
    """largest range on a plateau, in flat steps"""
    drop: float = 0.12
    """least one-step fall of an abrupt drop"""
    regain_steps: int = 3
    """steps of the future in which a drop may heal"""
    regain_share: float = 0.5
    """share of the fall that counts as healed"""

    def __post_init__(self) -> None:
        if self.window < 2:
            raise UsageError(f"a window of {self.window} values has no slope; use 2 or more")


@dataclass(frozen=True, slots=True)
class ThreeRuleLabels:
    """One flag for each rule and step, each (T,) bool."""

    decline: Flags
    plateau: Flags
    abrupt_drop: Flags
    label: Flags
    """any of the three"""


def mine_three_rules(values: npt.ArrayLike, params: ThreeRuleParams | None = None) -> ThreeRuleLabels:
    """Labels of one episode's raw values (T,), to the letter of the release. Label-time only: it reads the future.

    Windows end at their step and are shorter at the start (2 values at least, so step 0 is never labelled).
    DataRefused on NaN, inf or an empty curve.
    """
    p = params or ThreeRuleParams()
    curve = _minmax_float32(as_curve(values).astype(np.float32))
    length = len(curve)
    decline, plateau, fell = (np.zeros(length, dtype=bool) for _ in range(3))
    for width in range(2, min(p.window, length) + 1):
        last = slice(width - 1, length if width == p.window else width)
        windows_NW = np.lib.stride_tricks.sliding_window_view(curve[: last.stop], width)
        windows_NW = windows_NW if width == p.window else windows_NW[-1:]
        decline[last], plateau[last], fell[last] = (
            _declines(windows_NW, p),
            _is_flat(windows_NW, p),
            _falls(windows_NW, p),
        )
    abrupt = fell & ~_regained(curve.astype(np.float64), p)
    return ThreeRuleLabels(decline, plateau, abrupt, decline | plateau | abrupt)


def mine_seed_rule(values: npt.ArrayLike, k: int = 8, epsilon: float = 0.005) -> Flags:
    """(T,) bool, the seed blog's rule bit for bit, `k` differences back; steps before k are never labelled.

    shortfall = sum of max(0, epsilon - gain) in time order > 0.04, and either the range of the k + 1 values is
    below 0.03 or at least k // 2 of the gains are negative. A running total would round differently and flip labels
    at 0.04, so every window is added up anew, a block at a time. DataRefused on NaN, inf or an empty curve.
    """
    if k < 1:
        raise UsageError(f"the seed rule over {k} differences is undefined; use 1 or more")
    curve = as_curve(values)
    labels = np.zeros(len(curve), dtype=bool)
    for start in range(k, len(curve), BLOCK):
        stop = min(start + BLOCK, len(curve))
        labels[start:stop] = _seed_block(curve[start - k : stop], k, epsilon)
    return labels


def _seed_block(curve: Curve, k: int, epsilon: float) -> Flags:
    """(n,) labels of the last n of n + k values."""
    n = len(curve) - k
    gain = np.diff(curve)
    missing = np.maximum(epsilon - gain, 0.0)
    shortfall = missing[:n].copy()
    for i in range(1, k):
        shortfall += missing[i : i + n]
    falls = (gain < 0.0).astype(np.min_scalar_type(k))
    declines = _sliding(np.add, falls, k) >= k // 2
    is_flat = _sliding(np.maximum, curve, k + 1) - _sliding(np.minimum, curve, k + 1) < SEED_RANGE
    labels: Flags = (shortfall > SEED_SHORTFALL) & (is_flat | declines)
    return labels


def _sliding(combine: np.ufunc, x: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    """`combine` over every window of `width`, from windows of half its width; exact for max, min and whole numbers."""
    if width == 1:
        return x
    half = width // 2
    halves = _sliding(combine, x, half)
    n = len(x) - width + 1
    both: npt.NDArray[Any] = combine(halves[:n], halves[half : half + n])
    return combine(both, x[width - 1 :], out=both) if width % 2 else both


def _minmax_float32(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    low, span = float(values.min()), float(values.max()) - float(values.min())
    if span < 1e-8:
        return np.zeros_like(values)
    return ((values - low) / span).astype(np.float32)


def _declines(windows_NW: npt.NDArray[np.float32], p: ThreeRuleParams) -> Flags:
    width = windows_NW.shape[1]
    x = np.arange(width) - (width - 1) / 2
    slope = windows_NW.astype(np.float64) @ (x / (x @ x))
    for i in np.flatnonzero(np.abs(slope - p.slope) < SLOPE_DOUBT):
        slope[i] = np.polyfit(np.arange(width, dtype=np.float32), windows_NW[i], deg=1)[0]
    drop = (windows_NW[:, 0] - windows_NW[:, -1]).astype(np.float64)
    down = (np.diff(windows_NW, axis=1) < 0).mean(axis=1)
    declining: Flags = (slope <= p.slope) & (drop >= p.decline) & (down >= p.down_share)
    return declining


def _is_flat(windows_NW: npt.NDArray[np.float32], p: ThreeRuleParams) -> Flags:
    wide = windows_NW.astype(np.float64)
    flat = (np.abs(np.diff(wide, axis=1)) <= p.flat_step).mean(axis=1)
    span = wide.max(axis=1) - wide.min(axis=1)
    plateau: Flags = (flat >= p.flat_share) & (span <= p.flat_step * p.flat_range_steps)
    return plateau


def _falls(windows_NW: npt.NDArray[np.float32], p: ThreeRuleParams) -> Flags:
    """The last step is the window's biggest fall (the first of equal ones) and big enough."""
    gain = np.diff(windows_NW.astype(np.float64), axis=1)
    falls: Flags = (gain[:, -1] <= -p.drop) & (np.argmin(gain, axis=1) == gain.shape[1] - 1)
    return falls


def _regained(curve: Curve, p: ThreeRuleParams) -> Flags:
    """Whether one of the next steps regains the share of the fall into each step; never where there is no next."""
    before = np.concatenate([curve[:1], curve[:-1]])
    level = curve + p.regain_share * (before - curve)
    regained = np.zeros(len(curve), dtype=bool)
    for i in range(1, min(p.regain_steps, len(curve) - 1) + 1):
        regained[:-i] |= curve[i:] >= level[: len(curve) - i]
    return regained
