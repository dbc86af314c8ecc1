"""How the arm of an episode moves: velocity, its tremble, where it stands still, how much of its space it visits.

Tremble and state diversity are GreenVLA's (arXiv 2602.00919, DataQA); smoothing and the idle floor are ours, since the
paper's are not published.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from episodes.record import Array, Episode
from episodes.validation import GAP_STEPS

SMOOTH_S = 0.1
"""width (one sigma) of the Gaussian, at least one step: passes what a hand or a policy intends, up to 1 or 2 Hz"""
LAG_S = 0.05
"""velocity is the difference over at least this long: over 2 ms it would be the encoder's noise and nothing else"""
FLOOR_PER_S = {"m": 0.005, "rad": 0.02}
"""slower than this an axis stands still, metres and radians a second: twice what 0.1 mm of noise makes over `LAG_S`"""
UNDECLARED_FLOOR = 0.01
"""per second, where the source declares no unit: arms give metres or radians"""
CLOCK = 1e-3
"""an undeclared axis whose steps differ by less than this share of their mean counts time, as robosuite's states do"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """The positions of one arm and their velocities. `D` axes; velocity `t` reaches from step `t` to `t + lag`."""

    names: tuple[str, ...]
    position: Array
    """(T, D), metres or radians"""
    velocity: Array
    """(T - lag, D), units a second; NaN where a gap lies between"""
    smooth: Array
    """(T - lag, D), the velocity through a Gaussian"""
    floor: Array
    """(D,) units a second"""

    @property
    def moves(self) -> Array:
        """(T - lag, D) where an axis is not idle."""
        return np.abs(self.velocity) >= self.floor

    @property
    def idle(self) -> Array:
        """(T - lag,) where no axis moves."""
        return np.asarray(~self.moves.any(axis=1))


def motion_of(episode: Episode) -> Motion | None:
    """The motion of the end effector, else of the axes of `proprio`; None where neither is there or it is too short."""
    found = _positions(episode)
    if found is None or len(episode) < 3:
        return None
    names, position, floor = found
    time_s = np.asarray(episode.time_s)
    step_s = float(np.median(np.diff(time_s)))
    lag = min(max(1, round(LAG_S / step_s)), len(episode) - 1)
    spans_s = time_s[lag:] - time_s[:-lag]
    velocity = (position[lag:] - position[:-lag]) / spans_s[:, None]
    smooth = smoothed(velocity, max(1.0, SMOOTH_S / step_s))
    velocity[spans_s > GAP_STEPS * lag * step_s] = np.nan
    return Motion(names=names, position=position, velocity=velocity, smooth=smooth, floor=floor)


def _positions(episode: Episode) -> tuple[tuple[str, ...], Array, Array] | None:
    """Names, positions (T, D) and floors of the axes that move by themselves: a gripper is switched."""
    if episode.ee_pose is not None:
        return ("x", "y", "z"), np.asarray(episode.ee_pose[:, :3], float), np.full(3, FLOOR_PER_S["m"])
    if episode.proprio is None:
        return None
    count = episode.proprio.shape[1]
    names, units = episode.proprio_names, episode.proprio_units
    if len(names) != count:
        names = tuple(f"proprio {n}" for n in range(count))
    declared = len(units) == count and bool(set(units) & set(FLOOR_PER_S))
    moved = [n for n in range(count) if "grip" not in names[n].lower()]
    axes = [n for n in moved if (units[n] in FLOOR_PER_S if declared else not _is_clock(episode.proprio[:, n]))]
    if not axes:
        return None
    floor = np.array([FLOOR_PER_S[units[n]] if declared else UNDECLARED_FLOOR for n in axes])
    return tuple(names[n] for n in axes), np.asarray(episode.proprio[:, axes], float), floor


def _is_clock(axis: Array) -> bool:
    """True for (T,) values that go on by the same amount at every step."""
    steps = np.diff(np.asarray(axis, float))
    return bool(len(steps) > 1 and np.ptp(steps) < CLOCK * abs(steps.mean()))


def smoothed(series: Array, sigma: float) -> Array:
    """`series` (N, D) through a Gaussian of `sigma` steps, cut at three; the ends are repeated outwards."""
    reach = min(int(np.ceil(3 * sigma)), max(len(series) - 1, 1))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.pad(series, ((reach, reach), (0, 0)), mode="edge")
    out = np.zeros_like(series)
    for place, tap in enumerate(taps / taps.sum()):
        out += tap * padded[place : place + len(series)]
    return out


def tremble(motion: Motion) -> Array:
    """S = |ṡ_smooth - ṡ| / (|ṡ_smooth| + |ṡ|), (T - lag, D) from 0 (smooth) to 1; NaN where the axis is idle.

    It is free of scale, so noise of a resting arm would count as the worst tremble: idle steps are left out.
    """
    difference, total = np.abs(motion.smooth - motion.velocity), np.abs(motion.smooth) + np.abs(motion.velocity)
    return np.where(motion.moves, difference / np.where(motion.moves, total, 1.0), np.nan)


def state_diversity(motion: Motion) -> float:
    """D = sqrt(tr Cov(s)), in the units of the positions: 0 for an arm that never moves."""
    return float(np.sqrt(motion.position.var(axis=0).sum()))
