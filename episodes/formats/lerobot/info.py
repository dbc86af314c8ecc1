"""`meta/info.json` of a LeRobot dataset: its version, rate, columns and cameras, and where its files are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pydantic

from episodes.errors import EpisodeFormatError
from episodes.formats.source import first_error, inside

PLACE = "meta/info.json"
_BESIDE = ("meta/episodes.jsonl", "meta/tasks.jsonl", "meta/tasks.parquet")
"""a dataset that has one of these has lost the other"""
_LARGEST = 64 << 20
"""bytes; a dataset of a thousand columns stays below one megabyte"""
_AGAIN = "copy the dataset again, whole"
_FIELD = re.compile(r"\{(\w+)(?::0(\d)d)?\}")
_NEWER = re.compile(r"v3\.([1-9]\d*)")


class Feature(pydantic.BaseModel):
    """One column or camera of the dataset."""

    dtype: str
    names: Any = None
    info: dict[str, Any] | None = None
    video_info: dict[str, Any] | None = None

    @property
    def is_depth(self) -> bool:
        """True for a video whose grey levels are distances, and no picture."""
        told = {**(self.video_info or {}), **(self.info or {})}
        return any(told.get(key) is True for key in ("video.is_depth_map", "is_depth_map"))


class Info(pydantic.BaseModel):
    """What is needed of `meta/info.json`."""

    codebase_version: str
    fps: float = pydantic.Field(gt=0, allow_inf_nan=False)
    robot_type: str | None = None
    features: dict[str, Feature]
    data_path: str
    video_path: str | None = None
    chunks_size: pydantic.PositiveInt = 1000
    total_episodes: int | None = None

    def cameras(self) -> dict[str, str]:
        """The cameras' columns, and each one's short name: "observation.images.wrist" -> "wrist"."""
        pictures = {k for k, f in self.features.items() if f.dtype in ("video", "image") and not f.is_depth}
        return {key: key.rpartition(".")[2] for key in sorted(pictures)}

    def names_of(self, key: str) -> tuple[str, ...]:
        """The names of a column's values; they stand in a list, or in a list under one key."""
        names = self.features[key].names if key in self.features else None
        if isinstance(names, dict) and len(names) == 1:
            names = next(iter(names.values()))
        return tuple(str(name) for name in names) if isinstance(names, list) else ()

    def newer(self) -> list[str]:
        """What to say of a minor version that came after this reader."""
        if _NEWER.match(self.codebase_version) is None:
            return []
        return [f"this is LeRobot {self.codebase_version}; what it has more than v3.0 is not kept"]


def version_of(root: Path) -> str | None:
    """The version that the dataset says it has; "" where it says nothing readable, None where it is no dataset."""
    if not any((root / place).is_file() for place in (PLACE, *_BESIDE)):
        return None
    try:
        return _Version.model_validate_json(_text(root)).codebase_version
    except (EpisodeFormatError, pydantic.ValidationError):
        return ""  # the reader says what is wrong with it


def read_info(root: Path, major: str) -> Info:
    """The description of the dataset at `root`; `EpisodeFormatError` for one that is damaged or of another version."""
    file = f"{root.name}/{PLACE}"
    try:
        version = _Version.model_validate_json(_text(root)).codebase_version
        if not version.startswith(f"{major}."):
            raise _other_version(version, major, file)
        return Info.model_validate_json(_text(root))
    except pydantic.ValidationError as error:
        key, message = first_error(error)
        raise EpisodeFormatError(message, file=file, key=key, remedy=_AGAIN) from error


def fill(template: str, place: dict[str, str | int], *, file: str, episode: str, key: str) -> str:
    """A path template, such as "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet", filled in."""

    def put(match: re.Match[str]) -> str:
        value = place[match[1]]
        return f"{value:0{match[2]}d}" if match[2] else str(value)

    try:
        path = _FIELD.sub(put, template)
    except (KeyError, ValueError) as error:
        path = f"{{{error}}}"
    if not path or "{" in path:
        what = f"{template[:200]!r} is no path of a file"
        raise EpisodeFormatError(what, file=file, episode=episode, key=key, remedy=_AGAIN)
    return path


class _Version(pydantic.BaseModel):
    codebase_version: str


def _text(root: Path) -> bytes:
    path = inside(root, PLACE, episode="", key="")
    if path.stat().st_size > _LARGEST:
        raise EpisodeFormatError("the file is absurdly large", file=f"{root.name}/{PLACE}", remedy=_AGAIN)
    return path.read_bytes()


def _other_version(version: str, major: str, file: str) -> EpisodeFormatError:
    what = f"this is LeRobot {version[:40]} and this reader knows {major}"
    remedy = "update Regrasp, or export it as v3.0"
    if version.startswith("v1."):
        remedy = "convert it with LeRobot's convert_dataset_v1_to_v2"
    elif re.match(r"v[23]\.", version):
        remedy = "leave --format away"
    return EpisodeFormatError(what, file=file, key="codebase_version", remedy=remedy)
