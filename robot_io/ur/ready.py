"""Whether an arm may be driven, asked of its dashboard before anything else; nothing here moves it."""

from __future__ import annotations

import re
from typing import Protocol

from episodes.errors import DeviceError
from robot_io.ur.recovery import Modes, Next, next_step

POLYSCOPE = 5
MODELS = ("UR5", "UR7")
"""beginnings of the model names whose link lengths the kinematics have"""


class Asks(Protocol):
    """A dashboard."""

    def ask(self, line: str) -> str: ...


def must_be_ready(dashboard: Asks, host: str) -> str:
    """The model and the software of the arm; `DeviceError` where it is another one, or not ready."""
    model = dashboard.ask("get robot model")
    if not model.startswith(MODELS):
        raise DeviceError(f"the arm at {host} is a {model[:40]}; only a UR5e or UR7e is driven, give another --host")
    if dashboard.ask("is in remote control") != "true":
        raise DeviceError(f"the arm at {host} is not in remote control; switch it over at its pendant")
    modes = Modes.of(dashboard)
    if next_step(modes) is not Next.READY:
        raise DeviceError(
            f"the arm at {host} is not ready (robot {modes.robot}, safety {modes.safety}); bring it up at its pendant"
        )
    return f"{model}, {_software(dashboard, host)}"


def _software(dashboard: Asks, host: str) -> str:
    """The software; `DeviceError` for another than PolyScope 5, whose ports and registers the driver speaks."""
    told = dashboard.ask("PolyscopeVersion")
    found = re.search(r"(\d+)\.\d+", told)
    if found is None or int(found[1]) != POLYSCOPE:
        raise DeviceError(
            f"the arm at {host} runs {told[:40]!r}; only PolyScope {POLYSCOPE} is driven, see its pendant"
        )
    return told
