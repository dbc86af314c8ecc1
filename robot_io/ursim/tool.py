"""What is screwed to the flange: the tool point, the payload, and the force that is left when its weight is taken off.

    force at the tool = measured at the flange - payload weight - offset of the last zeroing

base axes, moments about the tool point, exerted by the world on the tool. N, Nm, kg, m.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from episodes.record import Array
from robot_io.ur import kinematics

GRAVITY_M_S2 = 9.82


@dataclass(slots=True)
class Tool:
    """Tool point (4, 4) in the flange, payload, gravity (what a weight is pulled by, base axes), force offset."""

    point: Array = field(default_factory=lambda: kinematics.transform(np.array([0.0, 0.0, 0.165, 0.0, 0.0, 0.0])))
    mass_kg: float = 0.92
    centre_m: Array = field(default_factory=lambda: np.array([0.0, 0.0, 0.069]))
    inertia: Array = field(default_factory=lambda: np.zeros(6))
    gravity: Array = field(default_factory=lambda: np.array([0.0, 0.0, -GRAVITY_M_S2]))
    offset: Array = field(default_factory=lambda: np.zeros(6))

    def force(self, flange: Array, measured: Array) -> Array:
        """(6,) at the tool point, from the (6,) measured at the flange (4, 4)."""
        return self._weightless(flange, measured) - self.offset

    def zero(self, flange: Array, measured: Array) -> None:
        """Make what is measured now the zero."""
        self.offset = self._weightless(flange, measured)

    def _weightless(self, flange: Array, measured: Array) -> Array:
        weight = self.mass_kg * self.gravity
        left = measured - np.concatenate([weight, kinematics.cross(flange[:3, :3] @ self.centre_m, weight)])
        left[3:] -= kinematics.cross(flange[:3, :3] @ self.point[:3, 3], left[:3])
        return np.asarray(left)
