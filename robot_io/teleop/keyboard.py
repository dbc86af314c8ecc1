"""Driving with the terminal's keys, where there is no SpaceMouse: slower, and good enough to get an arm free.

A terminal tells presses and no releases. So a press moves for `PRESS_S`, and a key that is held repeats; between the
first press and the first repetition, which may take most of a second, the person keeps the arm and it stands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from robot_io.teleop.hand import AXES, Hand

PRESS_S = 0.15
SPEED = 0.7
"""of a full axis"""
MOVES = {
    "right": (0, 1.0),
    "left": (0, -1.0),
    "up": (1, 1.0),
    "down": (1, -1.0),
    "page up": (2, 1.0),
    "page down": (2, -1.0),
    "l": (3, 1.0),
    "j": (3, -1.0),
    "i": (4, -1.0),
    "k": (4, 1.0),
    "u": (5, 1.0),
    "o": (5, -1.0),
}
"""key -> the axis that it moves, and which way"""


class Keyboard:
    """Implements `HandDevice` on the keys of a terminal."""

    hold_s = 1.0
    legend = "arrows and page up/down move, i k j l u o turn, space opens and closes the gripper"

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until_s = np.full((AXES, 2), -np.inf)
        """when each axis, each way, comes to rest"""
        self._presses = 0

    def read(self, keys: Sequence[str]) -> Hand:
        """What moves now."""
        now = self._now()
        for key in keys:
            if key in MOVES:
                axis, way = MOVES[key]
                self._until_s[axis, int(way > 0)] = now + PRESS_S
        pressed = keys.count(" ")
        self._presses += pressed
        moving = self._until_s > now
        axes = SPEED * (moving[:, 1].astype(float) - moving[:, 0])
        return Hand(axes=axes, held=bool(moving.any() or pressed), presses=self._presses, pressed=bool(pressed))

    def close(self) -> None:
        """Nothing is held."""
