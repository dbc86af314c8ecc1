"""Where each array of an episode lives in its file, with which dtype, and what its shape must be.

The one table that the HDF5 file, the episode's identity and validation share. `T` is the number of steps.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from episodes.errors import DataRefused
from episodes.record import ActionSource, Array, EncodedFrames, Episode
from episodes.slug import is_slug

LONGEST_TEXT = 60_000
"""bytes of one attribute; HDF5 keeps up to 64 kB of it in the object's header"""


@dataclass(frozen=True, slots=True)
class ArrayField:
    """One array with a row per step: its path in the file, its name in `Episode`, its dtype and columns."""

    path: str
    name: str
    dtype: str
    columns: int | None
    """None: one value a step; 0: any number of columns above zero"""


ARRAY_FIELDS = (
    ArrayField("time_s", "time_s", "<f8", None),
    ArrayField("observation/ee_pose", "ee_pose", "<f8", 7),
    ArrayField("observation/proprio", "proprio", "<f4", 0),
    ArrayField("observation/wrench", "wrench", "<f4", 6),
    ArrayField("action/policy", "policy_action", "<f4", 0),
    ArrayField("action/human", "human_action", "<f4", 0),
    ArrayField("action/executed", "executed_action", "<f4", 0),
    ArrayField("action/raw", "raw_action", "<f4", 0),
    ArrayField("action/source", "action_source", "|u1", None),
    ArrayField("reward", "reward", "<f4", None),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an episode cannot be stored: the kind, the array it is about, and one sentence."""

    kind: str
    key: str
    message: str


def given(episode: Episode) -> dict[str, Array]:
    """The arrays with a row per step that this episode has, by name in `Episode`, as they are."""
    arrays = {field.name: getattr(episode, field.name) for field in ARRAY_FIELDS}
    return {name: array for name, array in arrays.items() if array is not None}


def stored_arrays(episode: Episode) -> dict[str, Array]:
    """Every array of the episode by its path in the file, in name order, as it will be stored (little-endian).

    Raises `DataRefused` with the first of `problems` where the episode cannot be stored.
    """
    for problem in problems(episode):
        raise DataRefused(f"an episode of task {episode.task}: {problem.message}; it is not stored")
    arrays = {
        field.path: np.ascontiguousarray(getattr(episode, field.name), field.dtype)
        for field in ARRAY_FIELDS
        if getattr(episode, field.name) is not None
    }
    if episode.policy_id is not None:
        arrays["action/policy_id"] = np.array([text.encode() for text in episode.policy_id], np.bytes_)
    arrays |= _frame_arrays("observation/images", episode.images) | _frame_arrays("observation/depth", episode.depth)
    arrays |= {f"robot/{name}": _little_endian(array) for name, array in episode.robot_stream.items()}
    return dict(sorted(arrays.items()))


def problems(episode: Episode) -> Iterator[Problem]:
    """Everything that stands against storing this episode, in a fixed order."""
    yield from _text_problems(episode)
    yield from _shape_problems(episode)
    yield from _time_problems(np.asarray(episode.time_s))
    if not np.isin(episode.action_source, [int(source) for source in ActionSource]).all():
        yield Problem("unknown_source", "action_source", "action_source has a code that is no ActionSource")
    for name in (*episode.images, *episode.depth, *episode.robot_stream):
        if not is_slug(name):
            yield Problem("bad_name", name, f"{name!r} is not a name of a-z, 0-9, _ and -")
    for name, array in episode.robot_stream.items():
        if np.asarray(array).dtype.kind not in "biuf":
            yield Problem("bad_dtype", name, f"the robot stream {name} is {np.asarray(array).dtype} and not numbers")
    for camera, frames in (*episode.images.items(), *episode.depth.items()):
        yield from _frame_problems(camera, frames, len(episode))


def _text_problems(episode: Episode) -> Iterator[Problem]:
    """Text that is not UTF-8, or too long for an attribute of an HDF5 file."""
    for name in ("instruction", "robot", "recorded_at", "success_derivation", "source_uri"):
        try:
            size = len(getattr(episode, name).encode())
        except UnicodeEncodeError:
            yield Problem("bad_text", name, f"{name} is not UTF-8")
            continue
        if size > LONGEST_TEXT:
            yield Problem("long_text", name, f"{name} is {size} bytes long and at most {LONGEST_TEXT} are kept")
    for name in ("action_space", "collected_by"):
        size = len(json.dumps(dict(getattr(episode, name))))
        if size > LONGEST_TEXT:
            yield Problem("long_text", name, f"{name} is {size} bytes long and at most {LONGEST_TEXT} are kept")


def _shape_problems(episode: Episode) -> Iterator[Problem]:
    length = len(episode)
    for field in ARRAY_FIELDS:
        array = getattr(episode, field.name)
        if array is None:
            continue
        shape = np.shape(array)
        if np.asarray(array).dtype.kind not in "biuf":
            yield Problem("bad_dtype", field.name, f"{field.name} is {np.asarray(array).dtype} and not numbers")
        elif shape[:1] != (length,):
            yield Problem("length_mismatch", field.name, f"{field.name} has shape {shape}, time_s has {length} steps")
        elif not _columns_fit(shape, field.columns):
            wanted = f"({length},)" if field.columns is None else f"({length}, {field.columns or 'A'})"
            yield Problem("shape_mismatch", field.name, f"{field.name} has shape {shape} instead of {wanted}")
    if episode.policy_id is not None and len(episode.policy_id) != length:
        yield Problem(
            "length_mismatch", "policy_id", f"policy_id has {len(episode.policy_id)} steps, time_s has {length}"
        )


def _columns_fit(shape: tuple[int, ...], columns: int | None) -> bool:
    if columns is None:
        return len(shape) == 1
    return len(shape) == 2 and shape[1] > 0 and columns in (0, shape[1])


def _time_problems(time_s: Array) -> Iterator[Problem]:
    if time_s.dtype.kind not in "biuf" or time_s.ndim != 1:
        return  # told already
    if not np.isfinite(time_s).all():
        yield Problem("nan_in_time_s", "time_s", "time_s has a NaN or infinite value")
    elif (np.diff(time_s) <= 0).any():
        step = int(np.argmax(np.diff(time_s) <= 0)) + 1
        yield Problem("time_not_increasing", "time_s", f"time_s does not increase at step {step}")


def _frame_problems(camera: str, frames: EncodedFrames, length: int) -> Iterator[Problem]:
    offsets = np.asarray(frames.offsets)
    if len(offsets) != length + 1:
        yield Problem("length_mismatch", camera, f"camera {camera} has {len(frames)} frames for {length} steps")
    elif offsets[0] != 0 or offsets[-1] != len(frames.data) or (np.diff(offsets) < 0).any():
        yield Problem("frame_offsets", camera, f"the frame offsets of camera {camera} do not fit its data")


def _frame_arrays(group: str, cameras: Mapping[str, EncodedFrames]) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for camera, frames in cameras.items():
        arrays[f"{group}/{camera}/data"] = np.ascontiguousarray(frames.data, np.uint8)
        arrays[f"{group}/{camera}/offsets"] = np.ascontiguousarray(frames.offsets, "<i8")
    return arrays


def _little_endian(array: Array) -> Array:
    array = np.ascontiguousarray(array)
    return array.astype(array.dtype.newbyteorder("<"), copy=False)
