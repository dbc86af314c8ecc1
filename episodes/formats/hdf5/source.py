"""A file, or a directory of files, of HDF5 as a source of episodes; the layouts differ in where they keep what.

What a layout says is overlaid with what the mapping says; who acted and how it ended is what `meaning` finds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import h5py

from episodes.errors import EpisodeFormatError
from episodes.formats import endings, fields, meaning
from episodes.formats.hdf5.datasets import Datasets, files_of, opened
from episodes.formats.mapping import FieldMapping
from episodes.formats.source import (
    Clock,
    ImportMapping,
    camera_names,
    foreign_episode,
    inside,
    placing,
    sha256_of,
    stamp,
    tell_once,
    unchanging,
)
from episodes.record import Episode
from episodes.slug import slugify


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a layout says of an episode, and where its arrays stand."""

    task: str
    instruction: str = ""
    robot: str = "unknown"
    fps: float | None = None
    action_space: dict[str, Any] = field(default_factory=dict)
    collected_by: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any]
    """field of the record -> the datasets that are it, side by side, or what a `FieldMapping` holds"""
    cameras: dict[str, str] = field(default_factory=dict)
    """dataset -> the camera's short name"""
    attributes: dict[str, Any] = field(default_factory=dict)
    """what the file says of the whole episode"""
    passed_over: tuple[str, ...] = ()
    """datasets and groups that nobody misses"""


class Hdf5Source(ABC):
    """All episodes of one file, or of the HDF5 files of one directory."""

    source_format: ClassVar[str]
    usual_fps: ClassVar[float]
    observations: ClassVar[str] = ""
    """what the names of the observations begin with"""

    def __init__(self, path: Path, mapping: ImportMapping, fps: float | None) -> None:
        path = path.resolve()
        self.root = path if path.is_dir() else path.parent
        self._mapping, self._fps = mapping, fps
        self._damaged: dict[str, EpisodeFormatError] = {}
        self._files: dict[str, tuple[str, tuple[int, int, int]]] = {}
        self.warnings: list[str] = []
        self.endings = endings.Endings(mapping.fields.get("success"))
        files = files_of(path) or [path]
        self.names = [name for file in files for name in self._names(file.name, alone=len(files) == 1)]

    def close(self) -> None:
        """No file stays open."""
        self._files.clear()

    @abstractmethod
    def _episodes_of(self, file: h5py.File, name: str) -> list[str]:
        """The names of the episodes in a file; `EpisodeFormatError` for a file of another layout."""

    @abstractmethod
    def _group(self, file: h5py.File, name: str) -> h5py.Group | h5py.Dataset | None:
        """Where the episode's datasets stand."""

    @abstractmethod
    def _told(self, file: h5py.File, data: Datasets) -> Told:
        """What the file says of the episode."""

    def read(self, name: str) -> Episode:
        """One episode, by its file and what names it there."""
        if name in self._damaged:
            raise self._damaged[name]
        file_name = name.partition("#")[0]
        path = inside(self.root, file_name, episode=name, key="")
        digest, since = self._file(path, file_name)
        with unchanging(path, episode=name, since=since), opened(path, name) as file, placing(file_name, name):
            data = Datasets(self._group(file, name), file_name, name)
            return self._completed(self._episode(self._told(file, data), data, digest), data)

    def _completed(self, episode: Episode, _data: Datasets) -> Episode:
        """The episode with what only one layout knows."""
        return episode

    def _episode(self, told: Told, data: Datasets, digest: str) -> Episode:
        said: dict[Any, FieldMapping] = self._mapping.fields
        _check_said(said, data)
        asked = {key: FieldMapping.model_validate(where) for key, where in told.fields.items()} | said
        length, guesses = self._length(asked, data), list[str]()
        arrays = fields.arrays_of(asked, lambda key: data.values(key, length), guesses)
        columns = tuple(name.removeprefix(self.observations) for name in arrays.get("proprio_names", ()))
        arrays |= {"proprio_names": columns} if columns else {}
        arrays["action_space"] = told.action_space | arrays.get("action_space", {})
        cameras = camera_names(told.cameras, self._mapping, data.file, data.episode)
        images = {name: data.frames(key, length) for key, name in cameras.items()}
        clock = Clock.choose(self._fps, told.fps, self.usual_fps)
        acting, ending, wording = said.get("intervention"), said.get("success"), said.get("instruction")
        actors = meaning.actors(data.those(meaning.says_who_acts, acting), length, acting)
        ended = self.endings.of(data.those(endings.says_how_it_ended, ending), told.attributes)
        told_of_time = [] if "time" in said else clock.warning(self._fps)
        tell_once(self.warnings, [*told_of_time, actors.warning, *guesses, *_lost(data, [*asked.values()], told)])
        return foreign_episode(
            slugify(told.task),
            actors.source,
            ended,
            images,
            instruction=meaning.instruction(wording, data.values) if wording else told.instruction,
            robot=told.robot,
            source_format=self.source_format,
            source_uri=f"{self.root.name}/{data.episode}",
            source_sha256=digest,
            collected_by=told.collected_by,
            **clock.times(length, said.get("time"), data.values),
            **arrays,
        )

    @staticmethod
    def _length(asked: dict[Any, FieldMapping], data: Datasets) -> int:
        """The number of steps, which all arrays share."""
        first = next((where.source[0] for name, where in asked.items() if name in fields.ARRAYS), None)
        if first is None:
            raise data.refusal("there are no numbers in it", "")
        return len(data.values(first))

    def _names(self, file: str, *, alone: bool) -> list[str]:
        """The episodes of a file; a damaged file among others stands as one episode, to be refused when read."""
        try:
            path = inside(self.root, file, episode="", key="")
            with opened(path) as opened_file:
                return self._episodes_of(opened_file, file)
        except EpisodeFormatError as error:
            if alone:
                raise
            self._damaged[file] = error
            return [file]

    def _file(self, path: Path, name: str) -> tuple[str, tuple[int, int, int]]:
        """The SHA-256 of a file, and how it was when that was taken."""
        if name not in self._files:
            since = stamp(path)
            self._files[name] = (sha256_of(path), since)
        return self._files[name]


def _check_said(said: dict[Any, FieldMapping], data: Datasets) -> None:
    """Refuse a mapping that names what is not there."""
    for name, key in ((name, key) for name, where in said.items() for key in where.source):
        if not data.has(key):
            what = f"{data.absence(key)}, of {', '.join(data.names()) or 'nothing'}"
            raise data.refusal(what, key, f"mend fields.{name} in the mapping")


def _lost(data: Datasets, asked: list[FieldMapping], told: Told) -> list[str]:
    """What is not kept: a whole group by its name where nothing of it is."""
    used = {key for field in asked for key in field.source} | told.cameras.keys()
    used |= {key for key in data.names() if meaning.says_who_acts(key) or endings.says_how_it_ended(key)}
    groups = {key.partition("/")[0] for key in used}
    lost = {key if (top := key.partition("/")[0]) in groups else top for key in data.names() if key not in used}
    lost -= set(told.passed_over)
    return [f"not kept: {', '.join(sorted(lost))} of the demonstrations"] if lost else []
