"""The impedance law of the simulation, run as admittance: a virtual tool that a stiff arm follows.

    M v' = K (target - x) - D v + F        M = D^2 / 4 K: no overshoot in free space

K and D are those of the simulated arm's actuators, F is what the world exerts on the tool, x is sent to the arm.
In contact with something of stiffness k the loop is stable while its delay (servo lag, sensor, cycle) is shorter than
about the phase margin over sqrt(k / M): a stiffer world needs a shorter lookahead. m, rad, s, N, Nm; task axes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from episodes.record import Array

STIFFNESS = np.array([3000.0] * 3 + [200.0] * 3)
DAMPING = np.array([420.0] * 3 + [22.0] * 3)
FORCE_LIMITS = np.array([80.0] * 3 + [12.0] * 3)
"""as the simulated actuators have them: of the spring and the damper together"""


@dataclass(slots=True)
class Admittance:
    """The virtual tool: where it is (6,) and how fast."""

    pose: Array
    stiffness: Array = field(default_factory=STIFFNESS.copy)
    velocity: Array = field(default_factory=lambda: np.zeros(6))

    def step(self, target: Array, force: Array, dt_s: float) -> Array:
        """(6,) where the tool is to be `dt_s` later."""
        mass = DAMPING**2 / (4.0 * self.stiffness)
        pull = self.stiffness * (target - self.pose) - DAMPING * self.velocity
        pull = np.clip(pull, -FORCE_LIMITS, FORCE_LIMITS)
        self.velocity = self.velocity + (pull + force) / mass * dt_s
        self.pose = self.pose + self.velocity * dt_s
        return self.pose

    def settle(self, pose: Array) -> None:
        """Stand still here."""
        self.pose, self.velocity = np.array(pose, float), np.zeros(6)
