"""A control script that runs, as its commands see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from episodes.record import Array
from robot_io.ur import kinematics
from robot_io.ursim.controller import Controller
from robot_io.ursim.drive import Drive
from robot_io.ursim.mailbox import Mailbox
from robot_io.ursim.motion import Motion
from robot_io.ursim.script import Script


@dataclass(slots=True)
class Running:
    """A control script that runs: its controller, its mailbox, what it was uploaded with."""

    robot: Controller
    mail: Mailbox
    script: Script = field(default_factory=lambda: Script(name="rtde_control", is_control=True))

    @property
    def drive(self) -> Drive:
        """What moves the target."""
        return self.robot.drive

    @property
    def joints(self) -> Array:
        """(6,) the target."""
        return self.robot.drive.target.q

    def flange_of(self, pose: Array) -> Array:
        """UR pose of the tool point -> (4, 4) of the flange."""
        return kinematics.transform(pose) @ np.linalg.inv(self.robot.tool.point)


Command = Callable[[Running], Motion | None]
"""takes its arguments from the mailbox; a motion that comes back is waited for"""
