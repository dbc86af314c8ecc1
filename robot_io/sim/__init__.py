"""The simulated robot: a UR arm of primitives, tasks with real contact, and the scripted human."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from episodes.errors import UsageError
from robot_io.sim.human import ScriptedHuman
from robot_io.sim.robot import Privileged, SimRobot
from robot_io.sim.task import SimTask
from robot_io.sim.tasks.pick_eggplant import PickEggplant
from robot_io.sim.tasks.ram_insertion import RamInsertion
from robot_io.sim.tasks.tube_insertion import TubeInsertion

TASKS: Mapping[str, Callable[[], SimTask]] = {
    "pick_eggplant": PickEggplant,
    "ram_insertion": RamInsertion,
    "tube_insertion": TubeInsertion,
}

__all__ = ["TASKS", "Privileged", "ScriptedHuman", "SimRobot", "make_robot"]


def make_robot(task: str, *, cameras: tuple[str, ...] = ("third",), image_px: int = 64) -> SimRobot:
    """The simulated robot on a task, by slug. Raises `UsageError` for a task or camera that does not exist."""
    if task not in TASKS:
        raise UsageError(f"there is no simulated task {task!r}; choose one of {', '.join(sorted(TASKS))}")
    unknown = set(cameras) - {"third", "wrist"}
    if unknown:
        raise UsageError(f"the simulated cell has no camera {sorted(unknown)[0]!r}; choose third, wrist or both")
    return SimRobot(TASKS[task](), cameras=cameras, image_px=image_px)
