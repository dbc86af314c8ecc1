"""Where the impedance target goes at one step: the reference limiting of the simulation, pure.

An action in [-1, 1] moves the target by at most `step`; the target stays in a box and leads the measured pose by at
most `lead`, so that a push is no harder than stiffness times lead, and an arm that is held back is not run after.
Speed is bounded by `step` times the rate, and by the virtual tool that follows (`admittance`). m and rad.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from episodes.errors import UsageError
from episodes.record import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The limits of one task on one arm."""

    low: tuple[float, ...]
    """lower corner of the box, task axes"""
    high: tuple[float, ...]
    lead: tuple[float, ...]
    step: tuple[float, ...]
    """what a full action moves"""

    def __post_init__(self) -> None:
        rows = (self.low, self.high, self.lead, self.step)
        sound = all(len(row) == 6 and np.isfinite(row).all() for row in rows)
        if not sound or np.greater(self.low, self.high).any() or min(*self.lead, *self.step) <= 0.0:
            raise UsageError(
                f"the limits {self} do not fit; give six numbers each, low below high, lead and step above 0"
            )

    def within(self, pose: Array) -> Array:
        """(6,) the pose, brought into the box."""
        return np.asarray(np.clip(pose, self.low, self.high))

    def outside(self, pose: Array) -> Array:
        """(6,) how far the pose is out of the box on each axis."""
        return np.asarray(np.abs(pose - self.within(pose)))

    def leans(self, target: Array, within_m: float) -> bool:
        """Whether a target is this close to a side wall (x or y) of the box."""
        low, high = np.array(self.low[:2]), np.array(self.high[:2])
        return bool(np.any(target[:2] <= low + within_m) or np.any(target[:2] >= high - within_m))

    def next(self, target: Array, measured: Array, action: Array) -> Array:
        """(6,) the target after one action (6,)."""
        wanted = self.within(target + np.clip(action, -1.0, 1.0) * self.step)
        lead = np.array(self.lead)
        return np.asarray(measured + np.clip(wanted - measured, -lead, lead))
