"""Raw robosuite demonstrations: `data/demo_N/{actions (T, A), states (T, S)}`, before robomimic's post-processing.

The file has no outcome, no instruction, no images, and does not say who acted; none of it is invented. `states` is the
simulator's whole state (time, positions, velocities), kept as proprio unchanged. robosuite controls at 20 Hz unless
told otherwise, and these files do not say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from episodes.errors import EpisodeFormatError
from episodes.formats.source import MEND, Clock, ImportMapping, starts_with
from episodes.record import ActionSource, Array, Episode
from episodes.slug import slugify

USUAL_FPS = 20.0
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_COLLECTED_BY = ("repository_version", "date", "time")
"""the date and time have no zone, so they are no `recorded_at`"""
_SUFFIXES = (".hdf5", ".h5")
_POSE_CONTROL_SIZE = 6
"""OSC_POSE takes three translations and three rotations; what follows is the gripper's and has no stated limits"""


def detect(path: Path) -> bool:
    """True for an HDF5 file, or a directory that has one."""
    return bool(files_of(path))


class RobosuiteHdf5:
    """All demonstrations of one file, or of the HDF5 files of one directory."""

    source_format = "robosuite_hdf5"
    kept = frozenset({"actions", "states"})

    def __init__(self, path: Path, mapping: ImportMapping, fps: float | None) -> None:
        self.root = path if path.is_dir() else path.parent
        self._mapping, self._fps = mapping, fps
        self._damaged: dict[str, EpisodeFormatError] = {}
        files = files_of(path)
        self.names = [name for file in files for name in self._names(file, alone=len(files) == 1)]
        self.warnings: list[str] = []
        self._digests: dict[str, str] = {}

    def close(self) -> None:
        """Nothing stays open."""

    def read(self, name: str) -> Episode:
        """One demonstration, by `<file>#<group>`."""
        if name in self._damaged:
            raise self._damaged[name]
        file_name, _, demo = name.partition("#")
        with opened(self.root / file_name, name) as file:
            group = member(member(file, "data"), demo)
            members = set(map(str, group)) if isinstance(group, h5py.Group) else set()
            actions = _array(group, "actions", file_name, name)
            states = _array(group, "states", file_name, name) if "states" in members else None
            attributes = dict(file["data"].attrs)
            others = sorted(members - self.kept)
        return self._episode(name, actions, states, attributes, others)

    def _names(self, file: Path, *, alone: bool) -> list[str]:
        """The demonstrations of a file; a damaged file among others stands as one episode, to be refused when read."""
        try:
            return [f"{file.name}#{demo}" for demo in _demos(file)]
        except EpisodeFormatError as error:
            if alone:
                raise
            self._damaged[file.name] = error
            return [file.name]

    def _episode(
        self, name: str, actions: Array, states: Array | None, attributes: dict[str, Any], others: list[str]
    ) -> Episode:
        file_name = name.partition("#")[0]
        info = _json(attributes, "env_info", file_name) or _settings(_json(attributes, "env_args", file_name))
        clock = Clock.choose(self._fps, _number(info.get("control_freq")), USUAL_FPS)
        self._note(clock, others)
        task = slugify(str(attributes.get("env") or info.get("env_name") or Path(file_name).stem))
        return Episode(
            task=task,
            instruction="",
            session=task,
            robot=_robot(info),
            time_s=np.arange(len(actions)) / clock.fps,
            time_derivation=clock.derivation,
            fps=clock.fps,
            action_source=np.full(len(actions), ActionSource.UNKNOWN, np.uint8),
            action_space=_action_space(info, actions.shape[1]),
            proprio=states,
            executed_action=actions,
            source_format=self.source_format,
            source_uri=f"{self.root.name}/{name}",
            source_sha256=self._digest(file_name),
            collected_by={key: str(attributes[key]) for key in _COLLECTED_BY if key in attributes},
        )

    def _digest(self, file_name: str) -> str:
        if file_name not in self._digests:
            with (self.root / file_name).open("rb") as file:
                self._digests[file_name] = file_digest(file, "sha256").hexdigest()
        return self._digests[file_name]

    def _note(self, clock: Clock, others: list[str]) -> None:
        notes = clock.warning(self._fps)
        notes += [f"not kept: {', '.join(others)} of the demonstrations"] if others else []
        self.warnings += [note for note in notes if note not in self.warnings]


def files_of(path: Path) -> list[Path]:
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in candidates if file.suffix in _SUFFIXES and starts_with(file, _SIGNATURE)]


@contextmanager
def opened(path: Path, episode: str = "") -> Iterator[h5py.File]:
    """The open file, with HDF5's ways of failing turned into one sentence."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        what = f"this HDF5 file cannot be read: {error}"
        raise EpisodeFormatError(what, file=path.name, episode=episode, remedy="copy the file again, whole") from error


def _demos(path: Path) -> list[str]:
    """The demonstrations of a file in the order of their numbers."""
    with opened(path) as file:
        data = member(file, "data")
        demos = [name for name in map(str, data) if name.startswith("demo_")] if isinstance(data, h5py.Group) else []
        if not demos:
            what = "there are no demonstrations in it"
            raise EpisodeFormatError(
                what, file=path.name, key="data/demo_*", remedy="give a robosuite demonstration file"
            )
        return sorted(demos, key=lambda name: (len(name), name))


def member(group: h5py.Group | h5py.Dataset | None, name: str) -> h5py.Group | h5py.Dataset | None:
    """A member that lies in this very file: links could lead to any other file of the machine."""
    if not isinstance(group, h5py.Group) or not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return None
    return group[name]


def _array(demo: h5py.Group | h5py.Dataset | None, key: str, file: str, episode: str) -> Array:
    """A (T, A) array with at least one row and column, lying in this very file."""
    found = member(demo, key)
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise EpisodeFormatError(f"there is no {key} in it", file=file, episode=episode, key=key, remedy=MEND)
    if found.ndim != 2 or 0 in found.shape or found.dtype.kind not in "fiu":
        what = f"{key} is {found.dtype} of shape {found.shape}, not (steps, values)"
        raise EpisodeFormatError(what, file=file, episode=episode, key=key, remedy=MEND)
    values: Array = found[()]
    return values


def _json(attributes: dict[str, Any], key: str, file: str) -> dict[str, Any]:
    """The JSON object in an attribute; {} where there is none."""
    try:
        found = json.loads(attributes.get(key, "{}"))
    except (ValueError, TypeError) as error:
        raise EpisodeFormatError(f"{key} is not JSON: {error}", file=file, key=key, remedy=MEND) from error
    return found if isinstance(found, dict) else {}


def _settings(environment: dict[str, Any]) -> dict[str, Any]:
    """robomimic's description of an environment, with the settings it was made with beside its name."""
    made_with = environment.get("env_kwargs")
    return {**(made_with if isinstance(made_with, dict) else {}), **environment}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _robot(info: dict[str, Any]) -> str:
    robots = info.get("robots", "unknown")
    return ", ".join(map(str, robots)) if isinstance(robots, list) else str(robots)


def _action_space(info: dict[str, Any], size: int) -> dict[str, Any]:
    """What the controller's settings say of its inputs; the gripper's limits are not among them."""
    controller = info.get("controller_configs")
    if not isinstance(controller, dict):
        return {}
    low, high = _number(controller.get("input_min")), _number(controller.get("input_max"))
    space: dict[str, Any] = {"controller": controller}
    if controller.get("type") == "OSC_POSE" and size >= _POSE_CONTROL_SIZE and low is not None and high is not None:
        free = size - _POSE_CONTROL_SIZE
        space["limits"] = [[low, high]] * _POSE_CONTROL_SIZE + [[None, None]] * free
    return space
