"""Programs sent to port 30003: whole ones out of a byte stream, and which of them is the client's control script.

URScript is not interpreted. The control script that `ur_rtde` uploads is recognised by its own functions and stands for
`program.control_program`; what is read out of it is what the client puts into it: the register offset and the moves of
a path. Any other program runs and ends at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from episodes.record import Array

LONGEST_PROGRAM = 1_000_000
OFFSET = re.compile(r"# int register offset\n(\d+)")
NUMBERS = r"\[([^\]]*)\]"
MOVE = re.compile(rf"^\s*(movej|movel)\((p?){NUMBERS},\s*a=([\d.eE+-]+),\s*v=([\d.eE+-]+)", re.MULTILINE)
PATH = re.compile(r"def exec_move_path\(\):\n(.*?)\n *end\b", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMove:
    """One move of an injected path."""

    linear: bool
    is_pose: bool
    goal: Array
    acceleration: float
    speed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """An uploaded program."""

    name: str
    is_control: bool
    """it is the client's control script"""
    offset: int = 0
    """of all registers"""
    path: tuple[PathMove, ...] = ()


class Programs:
    """Cuts what arrives into programs; one ends at a line `end` in the first column, a line alone is one too."""

    def __init__(self) -> None:
        self._waiting = ""

    def feed(self, data: bytes) -> Iterator[Script]:
        """Every program that is whole now."""
        self._waiting = (self._waiting + data.decode("latin-1"))[-LONGEST_PROGRAM:]
        while "\n" in self._waiting:
            if not self._waiting.lstrip().startswith(("def ", "sec ")):
                line, _, self._waiting = self._waiting.partition("\n")
                if line.strip():
                    yield Script(name=line.strip(), is_control=False)
                continue
            end = re.search(r"^end[ \r]*\n", self._waiting, re.MULTILINE)
            if end is None:
                return
            text, self._waiting = self._waiting[: end.end()], self._waiting[end.end() :]
            yield read_script(text)


def read_script(text: str) -> Script:
    """What a program's text says of itself."""
    name = re.search(r"(?:def|sec) +(\w+)", text)
    is_control = "def rtde_cmd()" in text and "def process_cmd(cmd)" in text
    offset, path = OFFSET.search(text), PATH.search(text)
    return Script(
        name=name[1] if name else "",
        is_control=is_control,
        offset=int(offset[1]) if offset else 0,
        path=tuple(_moves(path[1])) if is_control and path else (),
    )


def _moves(text: str) -> Iterator[PathMove]:
    for kind, is_pose, numbers, acceleration, speed in MOVE.findall(text):
        yield PathMove(
            linear=kind == "movel",
            is_pose=bool(is_pose),
            goal=np.array([float(number) for number in numbers.split(",")]),
            acceleration=float(acceleration),
            speed=float(speed),
        )
