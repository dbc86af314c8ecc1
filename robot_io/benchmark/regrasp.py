"""`hil_serl_regrasp`: the same learner, and a robot that notices by itself when it is stuck and gets itself out.

From the end of the warm-up on a monitor watches the policy and a recovery answers it; both are fitted anew in
`rounds`, on the run's own demonstrations and episodes (`refit`).

What a recovery did goes into the memory of the run only: shown to the policy as the person's too, it saved no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from robot_io.benchmark.hil_serl import HilSerlConfig
from robot_io.benchmark.method import Start
from robot_io.benchmark.refit import RefitConfig, parts, refit
from robot_io.benchmark.rounds import InRounds, check_refits
from robot_io.control import RecoveryLimits
from robot_io.deployment import CHUNKS, FOLLOWING_S, load_monitor, load_recovery
from robot_io.protocols import Monitor, Observation, Recovery, RecoveryPlan

MIN_GAIN = 0.1
"""of V, that a recovery must reach to hand back to the policy"""
TRIES = 4
"""recoveries that may begin without the robot being further than where one began before; then the person is asked"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegraspConfig:
    """Settings of the method beside the learner's."""

    learner: HilSerlConfig = field(default_factory=HilSerlConfig)
    refit: RefitConfig = field(default_factory=RefitConfig)
    refit_every: int = 2_500
    """steps of the robot, from the end of the warm-up on; the fit happens when an episode has ended"""

    def __post_init__(self) -> None:
        check_refits(self.refit_every)


class HilSerlRegrasp(InRounds):
    """Implements `Method`; the controls differ from it in `_armed`."""

    name = "hil_serl_regrasp"
    limits: ClassVar[RecoveryLimits] = RecoveryLimits(attempts=CHUNKS, min_gain=MIN_GAIN)

    def __init__(self, start: Start, config: RegraspConfig | None = None) -> None:
        self._settings = config or RegraspConfig()
        super().__init__(start, self._settings.learner, self._settings.refit_every)
        self.recovery_limits = self.limits

    def config(self) -> Mapping[str, Any]:
        return asdict(self._settings)

    def _armed(self, monitor: Monitor, recovery: Recovery) -> tuple[Monitor, Recovery]:
        """What watches and helps from now on, given what was fitted."""
        return monitor, recovery

    def _make(self, place: Path) -> dict[str, Any]:
        return refit(self._episodes(), place, self._settings.refit)

    def _take(self, place: Path) -> None:
        where, spec = parts(place), self._start.spec
        self.monitor, recovery = self._armed(load_monitor(where, spec), load_recovery(where, spec))
        self.recovery = Patient(recovery)


@dataclass(slots=True)
class Patient:
    """`Recovery` that is given up where the policy undoes what it gains: `TRIES` in a row begin no further on.

    A policy at the start of its learning walks back into the same jam as soon as it is handed back to. Each recovery
    counts as progress with the person who watches, so nobody would step in and the episode would run out of time.
    """

    recovery: Recovery
    _last_s: float = -np.inf
    """when a chunk was last planned"""
    _furthest: float = -np.inf
    """largest V at which a recovery began since the person was asked"""
    _in_vain: int = 0

    def reset(self) -> None:
        self.recovery.reset()
        self._last_s = self._furthest = -np.inf
        self._in_vain = 0

    def plan(self, observation: Observation, value: float) -> RecoveryPlan:
        begins = observation.time_s - self._last_s > FOLLOWING_S
        self._last_s = observation.time_s
        if begins:
            self._in_vain = 0 if value > self._furthest + MIN_GAIN else self._in_vain + 1
            self._furthest = max(self._furthest, value)
        if self._in_vain < TRIES:
            return self.recovery.plan(observation, value)
        self._furthest, self._in_vain = -np.inf, 0
        return RecoveryPlan(chunk=None, similarity=-1.0, goal_value=value, reason="stuck again, and no further on")
