"""Raw robosuite demonstrations: `data/demo_N/{actions (T, A), states (T, S)}`, before robomimic's post-processing.

The file has no outcome, no instruction, no images, and does not say who acted; none of it is invented. `states` is the
simulator's whole state (time, positions, velocities), kept as proprio unchanged. robosuite controls at 20 Hz unless
told otherwise, and these files do not say. The layout of 2018 has no `actions`: which of its datasets are the action,
and in which order, only the person who imports knows.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py

from episodes.errors import EpisodeFormatError
from episodes.formats import endings
from episodes.formats.hdf5.datasets import Datasets, Item, attribute, files_of, json_attribute, member
from episodes.formats.hdf5.source import Hdf5Source, Told
from episodes.formats.mapping import line_of
from episodes.formats.source import MEND

_COLLECTED_BY = ("repository_version", "date", "time")
"""the date and time have no zone, so they are no `recorded_at`"""
_POSE_CONTROL_SIZE = 6
"""OSC_POSE takes three translations and three rotations; what follows is the gripper's and has no stated limits"""


def detect(path: Path) -> bool:
    """True for an HDF5 file, or a directory that has one."""
    return bool(files_of(path))


class RobosuiteHdf5(Hdf5Source):
    """All demonstrations of one file, or of the HDF5 files of one directory."""

    source_format = "robosuite_hdf5"
    usual_fps = 20.0

    def _episodes_of(self, file: h5py.File, name: str) -> list[str]:
        """The demonstrations of a file in the order of their numbers."""
        data = member(file, "data")
        demos = [demo for demo in map(str, data) if demo.startswith("demo_")] if isinstance(data, h5py.Group) else []
        if not demos:
            what, remedy = "there are no demonstrations in it", "give a robosuite or robomimic demonstration file"
            raise EpisodeFormatError(what, file=name, key="data/demo_*", remedy=remedy)
        return [f"{name}#{demo}" for demo in sorted(demos, key=lambda demo: (len(demo), demo))]

    def _group(self, file: h5py.File, name: str) -> Item:
        return member(member(file, "data"), name.partition("#")[2])

    def _told(self, file: h5py.File, data: Datasets) -> Told:
        about = member(file, "data")
        info = json_attribute(about, "env_info") or _settings(json_attribute(about, "env_args"))
        task = attribute(about, "env") or info.get("env_name") or Path(data.file).stem
        return Told(
            task=str(task),
            instruction=_instruction(about, data),
            robot=_robot(info),
            fps=_number(info.get("control_freq")),
            action_space=_action_space(info, self._action_size(data)),
            collected_by={key: str(said) for key in _COLLECTED_BY if (said := attribute(about, key)) is not None},
            attributes=data.attributes(endings.says_how_it_ended),
            **self._observed(data),
        )

    def _observed(self, data: Datasets) -> dict[str, Any]:
        """Where the arrays stand, as arguments of `Told`."""
        states = {"proprio": ["states"]} if isinstance(data.group, h5py.Group) and "states" in data.group else {}
        return {"fields": {"executed_action": ["actions"], **states}}

    def _action_size(self, data: Datasets) -> int:
        """How many values an action has; refused where the file says of nothing that it is the action."""
        if "executed_action" in self._mapping.fields:
            return 0
        if data.has("actions"):
            shape: tuple[int, ...] = data.at("actions").shape
            if len(shape) == 2:
                return shape[1]
            raise data.refusal(f"actions is of shape {shape}, not (steps, values)", "actions")
        others = [
            name for name in data.names() if "/" not in name and name != "states" and 0 not in data.at(name).shape
        ]
        remedy = f"say in a mapping file (--mapping) which are the action, of {line_of('executed_action', others)}"
        raise data.refusal(data.absence("actions"), "actions", remedy if others else MEND)


def _settings(environment: dict[str, Any]) -> dict[str, Any]:
    """robomimic's description of an environment, with the settings it was made with beside its name."""
    made_with = environment.get("env_kwargs")
    return {**(made_with if isinstance(made_with, dict) else {}), **environment}


def _instruction(about: Item, data: Datasets) -> str:
    """What robocasa says of each demonstration, or LIBERO of all."""
    lang = json_attribute(data.group, "ep_meta").get("lang")
    text = lang or json_attribute(about, "problem_info").get("language_instruction")
    return text if isinstance(text, str) else ""


def _number(value: object) -> float | None:
    """A rate, where it is one."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    return float(value) if number else None  # type: ignore[arg-type]


def _robot(info: dict[str, Any]) -> str:
    robots = info.get("robots", "unknown")
    return ", ".join(map(str, robots)) if isinstance(robots, list) else str(robots)


def _action_space(info: dict[str, Any], size: int) -> dict[str, Any]:
    """What the controller's settings say of its inputs; the gripper's limits are not among them."""
    controller = info.get("controller_configs")
    if not isinstance(controller, dict):
        return {}
    low, high = controller.get("input_min"), controller.get("input_max")
    space: dict[str, Any] = {"controller": controller}
    if controller.get("type") == "OSC_POSE" and size >= _POSE_CONTROL_SIZE and None not in (low, high):
        free = size - _POSE_CONTROL_SIZE
        space["limits"] = [[low, high]] * _POSE_CONTROL_SIZE + [[None, None]] * free
    return space
