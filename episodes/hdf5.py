"""An episode as one HDF5 file: attributes at the root, contiguous arrays, camera frames as packed blobs.

The file is built in memory and written by the store in one piece, so a full disk can never leave half of one.
Arrays are contiguous and unfiltered: JPEG does not compress again, and a frame is then one `pread` at a known place.
Anything that is not such a file is `EpisodeFormatError` with file, key and remedy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from episodes.errors import DataRefused, EpisodeFormatError
from episodes.layout import ARRAY_FIELDS, LONGEST_TEXT
from episodes.record import SCHEMA_VERSION, Array, CameraInfo, Codec, EncodedFrames, Episode, Outcome
from episodes.tables import FrameTable, RowTable, Tables

_TEXT = (
    "task",
    "instruction",
    "session",
    "robot",
    "recorded_at",
    "time_derivation",
    "collection",
    "end_reason",
    "success_derivation",
    "source_format",
    "source_uri",
    "source_sha256",
)
_JSON = ("source_time_defects", "action_space", "collected_by")
_REMEDY = "the file is damaged or no Regrasp episode: restore it from a copy, or import its source again"


def encode(episode: Episode, arrays: Mapping[str, Array], episode_id: str, group_id: str) -> bytes:
    """The bytes of the episode's file. `arrays` is `layout.stored_arrays(episode)`."""
    size = sum(array.nbytes for array in arrays.values()) + 1_000_000
    with h5py.File(f"{episode_id}.h5", "w", driver="core", backing_store=False, block_size=size) as file:
        _set(file, _attributes_to_file(episode) | {"episode_id": episode_id, "group_id": group_id})
        for path, array in arrays.items():
            file.create_dataset(path, data=array)
        _write_array_attributes(file, episode)
        if episode.events:
            lines = "\n".join(json.dumps(dict(event), sort_keys=True) for event in episode.events)
            file.create_dataset("events", data=_fixed(lines))
        file.flush()
        image: bytes = file.id.get_file_image()
        return image


def decode(path: Path, *, images: bool = True) -> Episode:
    """The episode in the file at `path`; without `images`, camera blobs are left on disk and `.images` is empty."""
    with _reading(path) as file:
        attributes = _episode_fields(path, file)
        arrays = {field.name: file[field.path][()] for field in ARRAY_FIELDS if field.path in file}
        for name in ("time_s", "action_source"):
            if name not in arrays:
                raise _refusal("a required array is missing", path, name)
        return Episode(
            **attributes,
            **arrays,
            **_array_attributes(file),
            images=_read_frames(file, "observation/images") if images else {},
            depth=_read_frames(file, "observation/depth") if images else {},
            policy_id=_read_policy_id(file),
            robot_stream={name: array[()] for name, array in file["robot"].items()} if "robot" in file else {},
            events=_read_events(file),
        )


def attributes(path: Path) -> dict[str, Any]:
    """What the file says about the episode without its arrays, plus `length` and `duration_s` (first to last step)."""
    with _reading(path) as file:
        found = _episode_fields(path, file)
        found["success"] = found["success"].value
        found["cameras"] = {camera: asdict(info) for camera, info in found["cameras"].items()}
        time_s = file["time_s"]
        duration_s = float(time_s[-1] - time_s[0])
        ids = {name: _text(file.attrs[name]) for name in ("episode_id", "group_id")}
        return found | ids | {"length": len(time_s), "duration_s": duration_s}


def arrays_of(path: Path) -> dict[str, Array]:
    """Every stored array by its path in the file, for comparing with what was to be written."""
    found: dict[str, Array] = {}

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and name != "events":
            found[name] = item[()]

    with _reading(path) as file:
        file.visititems(collect)
    return found


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every stored array by its path in the file, and of every camera as (T, H, W, 3), without reading."""
    found: dict[str, tuple[int, ...]] = {}

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Group) and "codec" in item.attrs:
            size = int(item.attrs["height_px"]), int(item.attrs["width_px"])
            found[name] = (len(item["offsets"]) - 1, *size, 3)
        elif isinstance(item, h5py.Dataset) and name != "events":
            found[name] = item.shape

    with _reading(path) as file:
        file.visititems(collect)
    return found


def tables(path: Path) -> Tables:
    """Where the frames of every camera and the rows of every array with a row per step are."""
    with _reading(path) as file:
        cameras = file.get("observation/images", {})
        frames = {camera: _frame_table(path, camera, frames) for camera, frames in cameras.items()}
        rows = {field.name: _row_table(path, file[field.path]) for field in ARRAY_FIELDS if field.path in file}
        return Tables(frames, rows)


def _frame_table(path: Path, camera: str, frames: h5py.Group) -> FrameTable:
    data, offsets = frames["data"], frames["offsets"][()]
    start = data.id.get_offset()
    if start is None or offsets[0] < 0 or (np.diff(offsets) < 0).any() or offsets[-1] > len(data):
        raise _refusal("the frames are not one block with rising offsets", path, f"observation/images/{camera}")
    return FrameTable(path, start, offsets, _codec(frames))


def _row_table(path: Path, array: h5py.Dataset) -> RowTable:
    start = array.id.get_offset()
    if start is None:
        raise _refusal("the array is not one block", path, array.name)
    return RowTable(path, start, array.dtype, array.shape[1:], len(array))


@contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    """The open file, with every way in which HDF5 says "this is not what you think" turned into one sentence."""
    if not path.is_file():
        raise EpisodeFormatError("there is no such file", file=path.name, remedy="restore it from a copy")
    try:
        # episodes never change once they are there, so readers need no lock, also on a read-only disk
        with h5py.File(path, "r", locking=False) as file:
            _check_schema(path, file)
            yield file
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise _refusal(f"this cannot be read as an episode: {error}", path) from error


def _check_schema(path: Path, file: h5py.File) -> None:
    version = file.attrs.get("schema_version")
    if version is None:
        raise _refusal("this is an HDF5 file of another program", path, "schema_version")
    if int(version) > SCHEMA_VERSION:
        what = f"schema version {version} is newer than the {SCHEMA_VERSION} this Regrasp reads"
        raise EpisodeFormatError(what, file=path.name, key="schema_version", remedy="install a newer Regrasp")


def _refusal(what: str, path: Path, key: str = "") -> EpisodeFormatError:
    return EpisodeFormatError(what, file=path.name, key=key, remedy=_REMEDY)


def _attributes_to_file(episode: Episode) -> dict[str, Any]:
    """The root attributes: text and numbers as they are, structures as JSON."""
    cameras = {camera: asdict(info) for camera, info in episode.cameras.items()}
    return {
        "schema_version": SCHEMA_VERSION,
        "success": episode.success.value,
        "fps": float(episode.fps),
        "complete": episode.complete,
        "terminal": episode.terminal,
        "cameras": json.dumps(cameras, sort_keys=True),
        **{name: str(getattr(episode, name)) for name in _TEXT},
        **{name: json.dumps(dict(getattr(episode, name)), sort_keys=True) for name in _JSON},
    }


def _episode_fields(path: Path, file: h5py.File) -> dict[str, Any]:
    """The root attributes as arguments of `Episode`; `EpisodeFormatError` names the one that is missing or wrong."""
    found = {name: _text(value) if isinstance(value, bytes) else value for name, value in file.attrs.items()}
    for name in ("task", "session", "success"):
        if name not in found:
            raise _refusal("a required attribute is missing", path, name)
    try:
        values: dict[str, Any] = {name: str(found.get(name, _default(name))) for name in _TEXT}
        values |= {name: json.loads(found.get(name, "{}")) for name in _JSON}
        cameras = json.loads(found.get("cameras", "{}"))
        values["cameras"] = {camera: _camera_info(info) for camera, info in cameras.items()}
        values["success"] = Outcome(found["success"])
    except (ValueError, TypeError, AttributeError) as error:
        raise _refusal(f"an attribute cannot be read: {error}", path) from error
    return values | {
        "fps": float(found.get("fps", 0.0)),
        "complete": bool(found.get("complete", True)),
        "terminal": bool(found.get("terminal", False)),
    }


def _camera_info(info: Mapping[str, Any]) -> CameraInfo:
    calibration = {name: info.get(name) and tuple(info[name]) for name in ("intrinsics", "extrinsics")}
    return CameraInfo(height_px=info["height_px"], width_px=info["width_px"], **calibration)


def _default(name: str) -> object:
    return next(field.default for field in fields(Episode) if field.name == name)


def _write_array_attributes(file: h5py.File, episode: Episode) -> None:
    if "observation/proprio" in file:
        names, units = json.dumps(episode.proprio_names), json.dumps(episode.proprio_units)
        _set(file["observation/proprio"], {"names": names, "units": units})
    if "observation/wrench" in file:
        plain = {k: v if isinstance(v, (str, bool)) else json.dumps(v) for k, v in episode.wrench_attrs.items()}
        _set(file["observation/wrench"], plain)
    for group, cameras in (("images", episode.images), ("depth", episode.depth)):
        for camera, frames in cameras.items():
            size = {"height_px": frames.height_px, "width_px": frames.width_px}
            _set(file[f"observation/{group}/{camera}"], {"codec": frames.codec, **size})


def _array_attributes(file: h5py.File) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "observation/proprio" in file:
        attrs = file["observation/proprio"].attrs
        found["proprio_names"] = tuple(json.loads(_text(attrs.get("names", "[]"))))
        found["proprio_units"] = tuple(json.loads(_text(attrs.get("units", "[]"))))
    if "observation/wrench" in file:
        attrs = file["observation/wrench"].attrs
        found["wrench_attrs"] = {k: bool(v) if isinstance(v, np.bool_) else _text(v) for k, v in attrs.items()}
    return found


def _read_frames(file: h5py.File, group: str) -> dict[str, EncodedFrames]:
    return {
        camera: EncodedFrames(
            item["data"][()],
            item["offsets"][()],
            _codec(item),
            int(item.attrs["height_px"]),
            int(item.attrs["width_px"]),
        )
        for camera, item in (file[group].items() if group in file else ())
    }


def _read_policy_id(file: h5py.File) -> tuple[str, ...] | None:
    if "action/policy_id" not in file:
        return None
    return tuple(name.decode() for name in file["action/policy_id"][()])


def _read_events(file: h5py.File) -> tuple[dict[str, Any], ...]:
    if "events" not in file:
        return ()
    return tuple(json.loads(line) for line in _text(file["events"][()]).splitlines())


def _set(target: h5py.Group | h5py.Dataset, attributes: Mapping[str, Any]) -> None:
    """Write attributes; text is of fixed length, because a damaged variable-length string can crash HDF5 itself."""
    for name, value in attributes.items():
        if isinstance(value, str) and len(value.encode()) > LONGEST_TEXT:
            raise DataRefused(f"{name} holds {len(value)} characters and at most {LONGEST_TEXT} are kept; shorten it")
        target.attrs[name] = _fixed(value) if isinstance(value, str) else value


def _fixed(text: str) -> Array:
    data = text.encode()
    return np.array(data, h5py.string_dtype("utf-8", max(1, len(data))))


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


def _codec(camera: h5py.Group) -> Codec:
    codecs: dict[str, Codec] = {"jpeg": "jpeg", "png": "png"}
    return codecs[_text(camera.attrs["codec"])]
