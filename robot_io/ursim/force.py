"""Force mode as admittance: along its compliant axes the tool moves until the wanted force meets the measured one.

    v = (wrench wanted on the world + wrench measured on the tool) / damping

in the task frame, no faster than the limits along compliant axes; the other axes follow the motion that runs. UR's own
law is not public: this one has its steady state and its limits. N, Nm, m/s, rad/s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from episodes.record import Array

DAMPING = np.array([1500.0] * 3 + [40.0] * 3)
"""N s/m and Nm s/rad at gain scaling 1"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceMode:
    """One call of `force_mode`: frame (4, 4) in the base, compliant axes, wrench and limits (6,)."""

    frame: Array
    compliant: Array
    """(6,) bool, in the frame's axes"""
    wrench: Array
    """(6,) what the tool is to exert on the world"""
    limits: Array
    """(6,) speed along compliant axes; along the others UR limits the deviation, which is not modelled"""

    def velocity(self, wanted: Array, measured: Array, gain: float) -> Array:
        """(6,) the tool's velocity in the base: `wanted` where stiff, admittance where compliant.

        `measured` (6,) is what the world exerts on the tool point, base axes.
        """
        axes = np.zeros((6, 6))
        axes[:3, :3] = axes[3:, 3:] = self.frame[:3, :3]
        yielding = (self.wrench + axes.T @ measured) * gain / DAMPING
        yielding = np.clip(yielding, -self.limits, self.limits)
        return np.asarray(axes @ np.where(self.compliant, yielding, axes.T @ wanted))
