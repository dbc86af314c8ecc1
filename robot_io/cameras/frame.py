"""One frame, and what gives them one after the other. Colours are RGB from the first line of code on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from episodes.record import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture."""

    rgb: Array
    """(H, W, 3) uint8"""
    number: int
    """the device's own count where it has one: a gap is a frame that never came"""
    captured_s: float
    """when the light fell in, monotonic, by the device's clock where it tells; else when the frame came"""
    received_s: float
    """when this program had it, monotonic"""


class Source(Protocol):
    """One open device. Only one thread asks it."""

    def next(self) -> Frame:
        """The next frame; waits for it, a few seconds at most. `DeviceError` where the device is gone."""
        ...

    def close(self) -> None: ...
