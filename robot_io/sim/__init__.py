"""The simulated robot: a UR arm of primitives, tasks with real contact, and the scripted human.

Importing this registers the tasks with Gymnasium; `robot_io.sim.environments` is loaded by `gymnasium.make`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import gymnasium

from episodes.errors import UsageError

try:
    import_module("mujoco")
except RuntimeError as error:  # a MUJOCO_GL that it does not know
    raise UsageError(f"MuJoCo does not load ({error}); set MUJOCO_GL to egl or osmesa, or leave it out") from error

from robot_io.sim.human import ScriptedHuman
from robot_io.sim.robot import Privileged, SimRobot
from robot_io.sim.task import SimTask
from robot_io.sim.tasks.fold_towel import FoldTowel
from robot_io.sim.tasks.pick_eggplant import PickEggplant
from robot_io.sim.tasks.ram_insertion import RamInsertion
from robot_io.sim.tasks.tube_insertion import TubeInsertion
from robot_io.sim.tasks.wipe_whiteboard import WipeWhiteboard

TASKS: Mapping[str, type[SimTask]] = {
    "fold_towel": FoldTowel,
    "pick_eggplant": PickEggplant,
    "ram_insertion": RamInsertion,
    "tube_insertion": TubeInsertion,
    "wipe_whiteboard": WipeWhiteboard,
}

ENVIRONMENTS: Mapping[str, str] = {slug: f"regrasp/{task.__name__}-v0" for slug, task in TASKS.items()}
"""Gymnasium id of each task"""
for _slug, _id in ENVIRONMENTS.items():
    gymnasium.register(_id, entry_point="robot_io.sim.environments:TaskEnvironment", kwargs={"task": _slug})

__all__ = ["ENVIRONMENTS", "TASKS", "Privileged", "ScriptedHuman", "SimRobot", "make_robot"]


def make_robot(task: str, *, cameras: tuple[str, ...] = ("third",), image_px: int = 64) -> SimRobot:
    """The simulated robot on a task, by slug.

    Raises `UsageError` for a task or camera that does not exist.
    """
    if task not in TASKS:
        raise UsageError(f"there is no simulated task {task!r}; choose one of {', '.join(sorted(TASKS))}")
    unknown = set(cameras) - {"third", "wrist"}
    if unknown:
        raise UsageError(f"the simulated cell has no camera {sorted(unknown)[0]!r}; choose third, wrist or both")
    return SimRobot(TASKS[task](), cameras=cameras, image_px=image_px)
