"""The arm behind a simulated controller as the loop's `Robot`, driven over the real wire as a real one would be.

The controller has its cell beside it, and the cell a referee that knows everything: so this one can be scored, and the
scripted person can see it, as they do the simulated robot.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec

from episodes.errors import DeviceError
from episodes.record import Array
from robot_io.protocols import RobotSpec
from robot_io.sim import SimRobot, make_robot
from robot_io.sim.arm import ROTATION_LEAD_RAD, WALL_M
from robot_io.sim.robot import Privileged
from robot_io.ur.dashboard import Dashboard
from robot_io.ur.driver import UrArm
from robot_io.ur.filmed import filmed
from robot_io.ur.limits import Limits
from robot_io.ur.link import LinkConfig
from robot_io.ur.ready import must_be_ready
from robot_io.ur.reference import Reference
from robot_io.ur.robot import UrRobot
from robot_io.ur.site import simulated_limits, told
from robot_io.ur.worker import WorkerConfig
from robot_io.ursim.cell_client import CellClient

ROBOT_NAME = "simulated ur7e behind its controller (DH of UR5e)"


class WiredRobot(UrRobot):
    """One task on the arm at `host`.

    Raises `DeviceError` where nobody is there, or not ready, `UsageError` for a task or camera that does not exist.
    """

    def __init__(
        self,
        host: str,
        task: str,
        *,
        cameras: tuple[str, ...] = ("third",),
        image_px: int = 64,
        limits: Limits | None = None,
    ) -> None:
        with closing(make_robot(task, cameras=cameras, image_px=image_px)) as direct:
            spec, reference, self.max_steps = wired_spec(direct), reference_of(direct), direct.max_steps
        with Dashboard(host) as dashboard:
            self.told = must_be_ready(dashboard, host)
        self.limits = limits or simulated_limits()
        worker = WorkerConfig(link=LinkConfig(host=host), limits=self.limits)
        self._client = CellClient(host)
        self._client.load(task)
        fresh_s = self.limits.patience.leave_after_s
        cell = filmed(self._client, self.limits.cameras, cameras)
        super().__init__(lambda: UrArm(worker), cell, spec, reference, fresh_s=fresh_s)

    @property
    def privileged(self) -> Privileged:
        """The simulator's own knowledge, when the cell was sensed last."""
        return self._client.privileged

    @property
    def task(self) -> CellClient:
        """The scene, as the scripted person sees it."""
        return self._client

    @property
    def arm(self) -> WiredRobot:
        """The arm, as the scripted person sees it."""
        return self

    def look(self) -> str:
        """What is there, asked without moving anything: arm, limits, gripper, cameras; a line each.

        `DeviceError` where the client library is missing or a camera gives nothing.
        """
        if find_spec("rtde_control") is None:
            raise DeviceError("the UR arm needs the package ur_rtde; run `pip install ur_rtde==1.6.5`")
        limits, sensed = self._reference, self.cell.sense()
        frames = [f"{name} {frame.shape[0]} px" for name, frame in self._images().items()]
        return "\n".join(
            [
                f"arm: {self.told}, running, in remote control",
                f"task: from {_row(limits.low)} to {_row(limits.high)}, leads by {_row(limits.lead)}, m and rad",
                told(self.limits),
                f"gripper: {sensed.opening:.0%} open",
                f"cameras: {', '.join(frames) or 'none'}",
            ]
        )

    def at_wall(self) -> bool:
        """The target leans on a side wall (x or y) of its box."""
        return self._reference.leans(self.target, WALL_M)


def _row(numbers: tuple[float, ...]) -> str:
    return " ".join(f"{number:g}" for number in numbers)


def wired_spec(direct: SimRobot) -> RobotSpec:
    """What the arm behind a controller says of itself: all that the simulated robot says, but its name."""
    return replace(direct.spec, robot=ROBOT_NAME)


def reference_of(direct: SimRobot) -> Reference:
    """The limits of the simulated robot's task."""
    limits = direct.task.limits
    step: Array = direct.spec.action_space["scale"]
    return Reference(
        low=limits.low,
        high=limits.high,
        lead=(*[limits.push_limit_m] * 3, *[ROTATION_LEAD_RAD] * 3),
        step=tuple(step[:6]),
    )
