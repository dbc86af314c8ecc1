"""`ursim`: a simulated UR controller, and what can go wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class UrSim:
    """Run a simulated UR controller until Ctrl-C; UR's own clients connect to it as to an arm."""

    host: str = "127.0.0.2"
    """an address 127.x.y.z of this machine; one controller each"""
    task: str = "tube_insertion"
    """what stands in front of the arm, by slug"""
    seed: int = 0
    """of the scene"""
    polyscope: Literal["5.12", "5.23"] = "5.12"
    """version of the controller's software"""
    power_off: bool = False
    """start without power and with closed brakes; else running, in remote control"""
    speed: float = 1.0
    """controller seconds a wall second"""
    fault: str | None = None
    """inject a fault into the controller that runs at HOST, and end; "list" names them"""

    def run(self, root: Path) -> int:
        del root
        if self.fault is not None:
            from robot_io.ursim.fault_client import inject

            print(inject(self.host, self.fault))
            return 0
        from robot_io.ursim.server import UrSimConfig, serve

        serve(
            UrSimConfig(
                host=self.host,
                task=self.task,
                seed=self.seed,
                polyscope=self.polyscope,
                powered=not self.power_off,
                speed=self.speed,
            )
        )
        return 0
