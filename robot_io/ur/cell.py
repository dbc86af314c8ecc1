"""What a lab has beside the arm's controller: gripper, cameras, a pose tracker, a referee, and who resets the scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from episodes.record import Array, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensed:
    """What the cell senses now."""

    opening: float
    """of the gripper, 0 closed to 1 open"""
    estimate: Array
    """(E,) the tracker's, in the order and units of the spec's `priv/...`"""
    outcome: Outcome
    """what the referee says; unknown where there is none, and while the episode goes on"""


class Cell(Protocol):
    """One cell. Every call comes back within a step; `DeviceError` where a device of it failed."""

    def reset(self, seed: int) -> None:
        """The scene and the arm where an episode begins. No program moves the arm meanwhile; this may take its time."""
        ...

    def grip(self, command: float) -> None:
        """Move the gripper, -1 closed to 1 open."""
        ...

    def sense(self) -> Sensed: ...

    def frame(self, camera: str, image_px: int) -> Array:
        """(image_px, image_px, 3) uint8 RGB, the newest."""
        ...

    def close(self) -> None: ...
