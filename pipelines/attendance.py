"""Who is at the robot during a session: nobody, the scripted person, or one at a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal

from episodes.errors import DeviceError
from models.processes import heed_stop

if TYPE_CHECKING:
    from pipelines.simulated import SessionJob
    from robot_io.protocols import Review, Teleop
    from robot_io.sim import SimRobot
    from robot_io.teleop.hand import HandDevice
    from robot_io.teleop.terminal import Terminal
    from robot_io.ursim.robot import WiredRobot

Device = Literal["scripted", "spacemouse", "keyboard"]


@contextmanager
def attending(job: SessionJob, robot: SimRobot | WiredRobot) -> Iterator[tuple[Teleop | None, Review | None]]:
    """The person, and their last word on an episode. `DeviceError` where their device is not there."""
    from robot_io.sim import ScriptedHuman

    if job.human == "none":
        yield None, None
    elif job.teleop == "scripted":
        yield ScriptedHuman(robot, job.human_seed, demo=job.human == "demo"), None
    else:
        with _seat(job.teleop) as (device, terminal):
            yield _seated(device, terminal, robot)


def _seated(
    device: HandDevice, terminal: Terminal | None, robot: SimRobot | WiredRobot
) -> tuple[Teleop, Review | None]:
    from robot_io.teleop.operator import LEGEND, review
    from robot_io.teleop.person import Person

    person = Person(device, terminal, robot.spec)
    if terminal is None:
        return person, None
    terminal.tell(f"{device.legend}\r\n{LEGEND}")
    return person, partial(review, terminal, heed=heed_stop)


@contextmanager
def _seat(name: Device) -> Iterator[tuple[HandDevice, Terminal | None]]:
    """The device, and the terminal whose keys judge: a SpaceMouse drives without one, the keyboard does not."""
    from robot_io.teleop.keyboard import Keyboard
    from robot_io.teleop.spacemouse import SpaceMouse
    from robot_io.teleop.terminal import Terminal

    with ExitStack() as held:
        device: HandDevice = held.enter_context(closing(SpaceMouse() if name == "spacemouse" else Keyboard()))
        terminal = None
        try:
            terminal = held.enter_context(closing(Terminal.open()))
        except DeviceError:
            if name == "keyboard":
                raise
        yield device, terminal
