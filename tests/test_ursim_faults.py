"""The guide lists the faults there are, and what a fault breaks is whole again after `clear`."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from ursim_samples import FakeArm

from robot_io.ursim.cell_port import CameraFault
from robot_io.ursim.controller import Controller
from robot_io.ursim.faults import ROBOT_PORTS, FaultPort
from robot_io.ursim.link import LinkFault
from robot_io.ursim.services import ServiceFault

GUIDE = Path(__file__).resolve().parent.parent / "docs/robot/simulated-controller.md"
SAMPLES = {"SECONDS": "0.5", "N": "3", "NAME": "actual_q", "NUMBER": "nan", "FRACTION": "0.5", "PIXELS": "16"}


class Cell:
    """What of the cell a fault touches."""

    def __init__(self) -> None:
        self.pushed = np.zeros(6)


class Parts:
    """A fault port and everything it breaks."""

    def __init__(self) -> None:
        self.robot, self.cell, self.camera = Controller(FakeArm()), Cell(), CameraFault()
        self.service, self.links = ServiceFault(), {port: LinkFault() for port in ROBOT_PORTS}
        self.port = FaultPort(self.robot, self.cell, self.service, self.links, self.camera)  # type: ignore[arg-type]

    def wrong(self) -> str:
        """All that is wrong, as text."""
        parts = (self.service, self.camera, *self.links.values())
        return repr([asdict(part) for part in parts]) + repr(self.cell.pushed.tolist()) + str(self.robot.remote)


def documented() -> dict[str, str]:
    """Name -> the line as the guide writes it, from its table of faults."""
    section = GUIDE.read_text().partition("## Faults")[2].partition("\n## ")[0]
    cells = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    lines = [line for cell in cells for line in re.findall(r"`([^`]+)`", cell)]
    return {line.split()[0]: line for line in lines}


def test_the_guide_lists_every_fault_with_its_words() -> None:
    faults = Parts().port.faults
    assert {name: f"{name} {fault.words}".strip() for name, fault in faults.items()} == documented()


@pytest.mark.parametrize("line", documented().values())
def test_a_line_of_the_guide_does_something_and_clear_mends_it(line: str) -> None:
    parts = Parts()
    well = parts.wrong()
    words = [SAMPLES.get(word, word) for word in line.split()]
    typed = " ".join("1" if word in ("FX", "FY", "FZ") else word for word in words)
    assert json.loads(parts.port.answer(typed))["ok"]
    parts.port.answer("clear")
    assert parts.wrong() == well


@pytest.mark.parametrize("line", ["silence", "silence 1 2", "segments half", "gremlins", "push 1 2"])
def test_a_line_that_says_too_little_is_refused_in_one_sentence(line: str) -> None:
    parts = Parts()
    well = parts.wrong()
    assert "\n" not in json.loads(parts.port.answer(line))["error"]
    assert parts.wrong() == well
