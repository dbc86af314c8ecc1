"""What a lab has beside the controller, on port 30010: cameras, gripper, pose tracker, the reset of the scene.

A line asks, one line of JSON answers, with the bytes of a frame behind it. Also what no lab has: the task's potential
and outcome, for scoring and for the scripted person. Poses and forces are in world axes, as the tasks have them.

    task SLUG           another task in the cell            tasks               the tasks there are
    reset SEED          the scene of an episode             gripper COMMAND     -1 closed to 1 open
    state               what sensors and referee say        frame CAMERA PX     header, then PX * PX * 3 bytes of RGB
    expert X Y Z A B C  the expert's action for an impedance target
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from episodes.errors import RegraspError, UsageError
from episodes.record import Array
from robot_io.sim import TASKS
from robot_io.sim.scene import OPENING_MAX_M
from robot_io.ursim.cell import CAMERAS, Cell
from robot_io.ursim.controller import Controller
from robot_io.ursim.modes import Runtime

PIXELS_MAX = 480
KEPT_FRAMES = 50
"""of each camera, for a late one"""


@dataclass(slots=True)
class CameraFault:
    """What is wrong with the cameras; nothing by default."""

    gone: bool = False
    frozen: bool = False
    black: bool = False
    late_s: float = 0.0
    gap: int = 0
    size_px: int = 0


@dataclass(slots=True)
class _Frame:
    time_s: float
    rgb: Array


class CellPort:
    """The simulation port of one controller."""

    def __init__(self, robot: Controller, cell: Cell) -> None:
        self.robot, self.cell, self.camera = robot, cell, CameraFault()
        self._numbers: dict[str, int] = dict.fromkeys(CAMERAS, 0)
        self._kept: dict[str, deque[_Frame]] = {camera: deque(maxlen=KEPT_FRAMES) for camera in CAMERAS}
        self._verbs: Mapping[str, Callable[..., bytes]] = {
            "tasks": lambda: _json({"tasks": sorted(TASKS), "task": self.cell.task}),
            "task": self._task,
            "reset": self._reset,
            "state": self._state,
            "gripper": self._gripper,
            "frame": self._frame,
            "expert": self._expert,
        }

    def answer(self, line: str) -> bytes:
        """Do what a line asks."""
        verb, *given = line.split()
        if verb not in self._verbs:
            return _json({"error": f"there is no {verb!r} here; choose one of {', '.join(self._verbs)}"})
        try:
            return self._verbs[verb](*given)
        except (TypeError, ValueError):
            return _json({"error": f"{line!r} does not say enough or too much"})
        except RegraspError as error:
            return _json({"error": str(error)})

    def _task(self, slug: str) -> bytes:
        self._must_stand()
        self.cell.load(slug)
        self._moved()
        return self._state()

    def _reset(self, seed: str) -> bytes:
        self._must_stand()
        self.cell.reset(int(seed))
        self._moved()
        return self._state()

    def _must_stand(self) -> None:
        if self.robot.drive.busy or self.robot.runtime is Runtime.PAUSED:
            raise UsageError("the arm is moving or a program holds it; stop it before the scene is changed")

    def _moved(self) -> None:
        self.robot.drive.settle(self.cell.q)
        for kept in self._kept.values():
            kept.clear()

    def _state(self) -> bytes:
        robot, privileged = self.cell.robot, self.cell.robot.privileged
        observation = robot.observe()
        count = len(robot.task.estimate_names)
        return _json(
            {
                "time_s": self.robot.time_s,
                "moved_at_s": self.robot.moved_at_s,
                "task": self.cell.task,
                "steps": robot.steps,
                "opening": robot.arm.jaw_m() / OPENING_MAX_M,
                "gripper_locked": robot.task.gripper_locked,
                "estimate_names": list(robot.task.estimate_names),
                "estimate": observation.proprio[len(observation.proprio) - count :].tolist(),
                "outcome": observation.outcome.value,
                "phi": privileged.phi,
                "phi_resolution": privileged.phi_resolution,
                "stalled": privileged.stalled,
                "help_needed": privileged.help_needed,
                "failure": privileged.failure,
                "carried": robot.task.carried(robot.arm),
                "lying": robot.task.lying(robot.arm),
                "near_contact": robot.task.near_contact(robot.arm),
            }
        )

    def _gripper(self, command: str) -> bytes:
        self.cell.grip(_finite(command))
        return _json({"ok": True})

    def _expert(self, *target: str) -> bytes:
        wanted = np.array([_finite(number) for number in target])
        if wanted.shape != (6,):
            raise UsageError(f"an impedance target has six numbers, {len(target)} were given")
        return _json({"action": self.cell.expert(wanted).tolist()})

    def _frame(self, camera: str, size: str) -> bytes:
        size_px = self.camera.size_px or int(size)
        if camera not in CAMERAS or not 0 < size_px <= PIXELS_MAX:
            raise UsageError(f"there is no frame of {camera} with {size} pixels; take {' or '.join(CAMERAS)}, 1 to 480")
        if self.camera.gone:
            raise UsageError(f"the camera {camera} is gone")
        seen = self._seen(camera, size_px)
        self._numbers[camera] += 1 + self.camera.gap
        head = {
            "camera": camera,
            "number": self._numbers[camera],
            "time_s": seen.time_s,
            "shape": list(seen.rgb.shape),
            "bytes": seen.rgb.nbytes,
        }
        return _json(head) + seen.rgb.tobytes()

    def _seen(self, camera: str, size_px: int) -> _Frame:
        """The frame to give: of now, or what a fault makes of it."""
        kept = self._kept[camera]
        if self.camera.frozen and kept and kept[-1].rgb.shape[0] == size_px:
            return _Frame(self.robot.time_s, kept[-1].rgb)
        rgb = np.zeros((size_px, size_px, 3), np.uint8) if self.camera.black else self.cell.frame(camera, size_px)
        kept.append(_Frame(self.robot.time_s, rgb))
        before_s = self.robot.time_s - self.camera.late_s
        old = [frame for frame in kept if frame.time_s <= before_s and frame.rgb.shape == rgb.shape]
        return old[-1] if old else kept[-1]


def _finite(text: str) -> float:
    number = float(text)
    if not np.isfinite(number):
        raise ValueError(text)
    return number


def _json(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told).encode() + b"\n"
