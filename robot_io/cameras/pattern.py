"""A simulated camera: a picture that moves at its own rate, to try everything behind a camera without one."""

from __future__ import annotations

import time

import numpy as np

from robot_io.cameras.frame import Frame


class PatternSource:
    """Implements `Source`: a bright square that wanders, over noise."""

    def __init__(self, width: int, height: int, fps: float) -> None:
        self._size, self._period_s = (height, width), 1.0 / fps
        self._random = np.random.default_rng(0)
        self._due_s = time.monotonic()
        self._number = 0

    def next(self) -> Frame:
        """The next frame, when it is due."""
        self._due_s += self._period_s
        time.sleep(max(self._due_s - time.monotonic(), 0.0))
        self._number += 1
        height, width = self._size
        rgb = self._random.integers(60, 90, (height, width, 3), np.uint8)
        left = self._number * 4 % width
        rgb[height // 4 : height // 2, left : left + width // 8] = 220
        now_s = time.monotonic()
        return Frame(rgb=rgb, number=self._number, captured_s=now_s, received_s=now_s)

    def close(self) -> None:
        """Nothing is held."""
