"""The impedance law of the simulation, run as admittance: a virtual tool that a stiff arm follows.

    M v' = K (target - x) - D (1 + n n^T max(0, |F| - F_quiet) / F_thick) v + F        M = D^2 / 4 K        n = F / |F|

for moving, and the same with torques for turning. K and D are those of the simulated arm's actuators, F is what the
world exerts on the tool, x is sent to the arm. In free space M lets x come to its target without passing it; at rest
the push is K times the lead, as in the simulation.

A position-controlled arm in contact with something stiff is a loop with a delay, and chatters. Two things keep it
still: damping that grows with the force, along it alone, so that a tool that presses slides and tilts as freely as in
the simulation; and that what is sent is ahead of x by the servo's lag (`ahead`), so that the arm is where x is and the
first blow is half as hard. Measured behind the simulated controller, tube on the rim, 36 N asked for: the force stands
within the sensor's noise, also while the tool is tilted, and without either it bounces. m, rad, s, N, Nm; task axes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from episodes.record import Array

STIFFNESS = np.array([3000.0] * 3 + [200.0] * 3)
DAMPING = np.array([420.0] * 3 + [22.0] * 3)
PULL_LIMITS = np.array([80.0] * 3 + [12.0] * 3)
"""of the spring: in free space the tool is no faster than these over the damping, 0.19 m/s and 0.55 rad/s"""
QUIET_N, THICK_N = 3.0, 5.0
QUIET_NM, THICK_NM = 0.5, 1.0


@dataclass(slots=True)
class Admittance:
    """The virtual tool: where it is (6,) and how fast."""

    pose: Array
    stiffness: Array = field(default_factory=STIFFNESS.copy)
    velocity: Array = field(default_factory=lambda: np.zeros(6))

    def step(self, target: Array, force: Array, dt_s: float) -> Array:
        """(6,) where the tool is to be `dt_s` later; the damping is integrated implicitly, however thick it gets."""
        mass = DAMPING**2 / (4.0 * self.stiffness)
        pull = np.clip(self.stiffness * (target - self.pose), -PULL_LIMITS, PULL_LIMITS)
        damped = np.diag(mass + DAMPING * dt_s)
        damped[:3, :3] += DAMPING[:3] * thickness(force[:3], QUIET_N, THICK_N) * dt_s
        damped[3:, 3:] += DAMPING[3:] * thickness(force[3:], QUIET_NM, THICK_NM) * dt_s
        self.velocity = np.linalg.solve(damped, mass * self.velocity + (pull + force) * dt_s)
        self.pose = self.pose + self.velocity * dt_s
        return self.pose

    def be(self, ahead: Array, velocity: Array, lag_s: float) -> None:
        """Go on from what was sent in its place, so that nothing is wound up against a limit."""
        self.velocity = velocity
        self.pose = ahead - velocity * lag_s

    def ahead(self, lag_s: float) -> Array:
        """(6,) what to send to a servo that lags by `lag_s`."""
        return np.asarray(self.pose + self.velocity * lag_s)


def thickness(push: Array, quiet: float, thick: float) -> Array:
    """(3, 3) by how much more than alone a motion is damped: along a push (3,), and not across it."""
    length = float(np.linalg.norm(push))
    if length <= quiet:
        return np.zeros((3, 3))
    return np.outer(push, push) * ((length - quiet) / thick / length**2)
