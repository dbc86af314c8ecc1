"""A simulated robot that presses too hard in some episodes, without a simulator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from robot_fakes import FakeRobot

from episodes.record import Outcome
from robot_io.protocols import Observation
from robot_io.sim import Privileged


@dataclass
class PressingRobot(FakeRobot):
    """Trips the guard at its third step in the episodes of `hard`; each seed is another episode."""

    hard: tuple[int, ...] = (1,)
    max_steps: int = 4
    seed: int = 0

    @cached_property
    def privileged(self) -> Privileged:
        nothing = {"stalled": False, "help_needed": False, "outcome": Outcome.UNKNOWN, "failure": ""}
        return Privileged(phi=0.0, phi_resolution=0.001, **nothing)  # type: ignore[arg-type]

    def reset(self, seed: int) -> Observation:
        self.seed = seed
        self.forces_n = (0.0, 0.0, 500.0) if seed in self.hard else ()
        return super().reset(seed)

    def observe(self) -> Observation:
        seen = super().observe()
        return replace(seen, proprio=seen.proprio + np.float32(self.seed))

    def close(self) -> None:
        self.log.append("close")
