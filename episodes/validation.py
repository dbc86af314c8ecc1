"""What is wrong with one episode: structure (errors) and what a person should know before training on it (warnings).

An error means the episode cannot be used as it is: import quarantines it. A warning never changes the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from episodes import layout
from episodes.errors import DataRefused
from episodes.images import decode
from episodes.record import ActionSource, Array, EncodedFrames, Episode

GAP_STEPS = 5.0
"""a step longer than this many median steps is a gap: at 10 Hz half a second in which nobody knows what happened"""
QUATERNION_WARNING = 1e-3
"""float32 rounding of a unit quaternion stays below 1e-6; a norm off by this was averaged, interpolated or truncated"""
QUATERNION_ERROR = 0.1
"""so far off it is no rotation: an all-zero row, or Euler angles in the wrong columns"""
BLANK_SPREAD = 1.0
"""grey levels (standard deviation); sensor noise alone is above it"""


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong: its kind, whether it forbids use, and one sentence with the place."""

    kind: str
    severity: Literal["error", "warning"]
    message: str
    key: str = ""
    """the array, camera or attribute it is about"""


def validate(episode: Episode) -> list[Defect]:
    """Every defect of the episode, errors first. Empty for a clean one."""
    structural = [Defect(p.kind, "error", p.message, p.key) for p in layout.problems(episode)]
    if structural:
        return structural  # the other checks need arrays of one length
    found = [defect for check in _CHECKS for defect in check(episode)]
    return sorted(found, key=lambda defect: defect.severity)


def _values(episode: Episode) -> Iterator[Defect]:
    """NaN, infinity and what float32 cannot hold; in actions a whole NaN row says that this actor gave none."""
    for name, array in layout.given(episode).items():
        bad = ~(np.abs(np.asarray(array, float).reshape(len(episode), -1)) <= np.finfo(np.float32).max)
        if name in ("policy_action", "human_action", "executed_action", "raw_action"):
            bad &= ~np.isnan(np.asarray(array, float)).all(axis=1, keepdims=True)
        if bad.any():
            step = int(np.argmax(bad.any(axis=1)))
            yield Defect(f"nan_in_{name}", "error", f"{name} is NaN or infinite at step {step}", name)


def _quaternions(episode: Episode) -> Iterator[Defect]:
    if episode.ee_pose is None:
        return
    off = quaternion_error(episode.ee_pose)
    step = int(np.argmax(off))
    if off[step] > QUATERNION_WARNING:
        severity: Literal["error", "warning"] = "error" if off[step] > QUATERNION_ERROR else "warning"
        message = f"the quaternion of ee_pose is off unit length by {off[step]:.3g} at step {step}"
        yield Defect("quaternion_norm", severity, message, "ee_pose")


def quaternion_error(ee_pose: Array) -> Array:
    """| ‖q‖ - 1 | at each step (T,) of poses (T, 7)."""
    off: Array = np.abs(np.linalg.norm(ee_pose[:, 3:], axis=1) - 1)
    return off


def _gaps(episode: Episode) -> Iterator[Defect]:
    long, steps_s = gaps(episode.time_s), np.diff(episode.time_s)
    if len(long):
        message = f"{len(long)} gaps in time_s, the first of {steps_s[long[0]]:.3g} s after step {long[0]}"
        yield Defect("gap", "warning", message, "time_s")


def gaps(time_s: Array) -> Array:
    """The steps after which nothing was recorded for more than `GAP_STEPS` median steps."""
    steps_s = np.diff(time_s)
    return np.flatnonzero(steps_s > GAP_STEPS * np.median(steps_s)) if len(steps_s) > 1 else np.zeros(0, int)


def _source_stamps(episode: Episode) -> Iterator[Defect]:
    counts = {kind: count for kind, count in episode.source_time_defects.items() if count}
    if counts:
        text = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        yield Defect("source_time_defects", "warning", f"the source's time stamps have {text}", "time_s")


def _sources(episode: Episode) -> Iterator[Defect]:
    """A takeover has at least two actors: one flag all along means it was lost on the way."""
    present = np.unique(episode.action_source)
    if episode.collection == "takeover" and len(present) == 1:
        name = ActionSource(present[0]).name.lower()
        message = f"recorded as a takeover, yet every step has source {name}: the intervention flag may be lost"
        yield Defect("constant_intervention", "warning", message, "action_source")


def _actions(episode: Episode) -> Iterator[Defect]:
    if episode.executed_action is None:
        yield Defect("no_action", "warning", "no executed action: nothing can learn to act from it", "executed_action")
        return
    if not episode.action_space.get("units"):
        yield Defect("action_units", "warning", "the units of the actions are not declared", "action_space")
    yield from _action_limits(episode, episode.executed_action)


def _action_limits(episode: Episode, executed: Array) -> Iterator[Defect]:
    try:
        outside = outside_limits(executed, episode.action_space.get("limits", ()))
    except (ValueError, TypeError):
        yield Defect("action_limits", "warning", "the declared limits are no pairs of numbers", "action_space")
        return
    if outside is not None and outside.any():
        message = (
            f"{int(outside.sum())} actions are outside the declared limits, the first at step {np.argmax(outside)}"
        )
        yield Defect("action_limits", "warning", message, "executed_action")


def outside_limits(executed: Array, declared: object) -> Array | None:
    """(T,) where an action (T, A) leaves its limits: one (low, high) for all or one a column. None: none are declared.

    `ValueError` or `TypeError` where what is declared are no numbers.
    """
    limits = np.asarray(declared, float)
    if limits.shape not in ((2,), (executed.shape[1], 2)):
        return None
    low, high = limits.T
    outside: Array = ((executed < low - 1e-6) | (executed > high + 1e-6)).any(axis=1)
    return outside


def _wrench(episode: Episode) -> Iterator[Defect]:
    if episode.wrench is not None and len(episode) > 1 and (np.ptp(episode.wrench, axis=0) == 0).all():
        yield Defect(
            "dead_wrench", "warning", "the wrench never changes: the sensor was off or not connected", "wrench"
        )


def _cameras(episode: Episode) -> Iterator[Defect]:
    """First, middle and last frame of each camera: decodable, of the declared size, not blank; and not all the same."""
    for camera, frames in episode.images.items():
        try:
            samples = [decode(frames.frame(t), frames.codec) for t in sorted({0, len(frames) // 2, len(frames) - 1})]
        except DataRefused as error:
            yield Defect("undecodable_frame", "error", f"camera {camera}: {error}", camera)
            continue
        if any(frame.shape[:2] != (frames.height_px, frames.width_px) for frame in samples):
            message = f"camera {camera} has a frame that is not {frames.width_px} x {frames.height_px} pixels"
            yield Defect("frame_size", "error", message, camera)
        if all(frame[::4, ::4].std(axis=(0, 1)).max() < BLANK_SPREAD for frame in samples):
            yield Defect("blank_camera", "warning", f"camera {camera} shows one colour only", camera)
        elif _is_frozen(frames):
            yield Defect("frozen_camera", "warning", f"camera {camera} shows the same frame all along", camera)


def _is_frozen(frames: EncodedFrames) -> bool:
    first = frames.frame(0)
    return len(frames) > 1 and all(frames.frame(t) == first for t in range(1, len(frames)))


_CHECKS: tuple[Callable[[Episode], Iterator[Defect]], ...] = (
    _values,
    _quaternions,
    _gaps,
    _source_stamps,
    _sources,
    _actions,
    _wrench,
    _cameras,
)
