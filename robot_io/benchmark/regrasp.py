"""`hil_serl_regrasp`: the same learner, and a robot that notices by itself when it is stuck and gets itself out.

From the end of the warm-up on a monitor watches the policy and a recovery answers it; both are fitted anew, every so
many steps, on the run's own demonstrations and episodes (`refit`), and kept in `derived/rounds/<number>/`. What a
recovery did goes into the memory of the run like the policy's own steps, and never into the person's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from episodes.errors import DataRefused, UsageError
from episodes.record import Outcome
from episodes.store import EpisodeStore
from models.dataset import StepData, load_step_data
from models.sealed import read_sealed, write_sealed
from robot_io.benchmark.hil_serl import HilSerl, HilSerlConfig
from robot_io.benchmark.method import Start
from robot_io.benchmark.record import BROKEN, TrainingEpisode
from robot_io.benchmark.refit import RefitConfig, parts, refit
from robot_io.control import RecoveryLimits
from robot_io.deployment import CHUNKS, FOLLOWING_S, load_monitor, load_recovery
from robot_io.protocols import Monitor, Observation, Recovery, RecoveryPlan

ROUND, REFUSED = "round.json", "refused"
MIN_GAIN = 0.1
"""of V, that a recovery must reach to hand back to the policy"""
TRIES = 2
"""recoveries that may begin without the robot being further than where one began before; then the person is asked"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegraspConfig:
    """Settings of the method beside the learner's."""

    learner: HilSerlConfig = field(default_factory=HilSerlConfig)
    refit: RefitConfig = field(default_factory=RefitConfig)
    refit_every: int = 2_500
    """steps of the robot, from the end of the warm-up on; the fit happens when an episode has ended"""

    def __post_init__(self) -> None:
        if self.refit_every < 1:
            raise UsageError(f"a refit every {self.refit_every} steps cannot be; give at least 1")


class HilSerlRegrasp(HilSerl):
    """Implements `Method`; the controls differ from it in `_armed` alone."""

    name = "hil_serl_regrasp"
    limits: ClassVar[RecoveryLimits] = RecoveryLimits(attempts=CHUNKS, min_gain=MIN_GAIN)

    def __init__(self, start: Start, config: RegraspConfig | None = None) -> None:
        self._settings = config or RegraspConfig()
        super().__init__(start, self._settings.learner)
        self._start = start
        self._kept: list[str] = []
        self._read: list[StepData] = []
        self._rounds: list[Mapping[str, Any]] = []
        self.recovery_limits = self.limits

    def config(self) -> Mapping[str, Any]:
        return asdict(self._settings)

    def ended(self, row: TrainingEpisode) -> None:
        super().ended(row)
        if row.failure_mode != BROKEN:
            self._kept.append(row.episode_id)
        schedule = self._start.schedule
        due = (self._steps - schedule.warm_up) // self._settings.refit_every + 1
        if len(self._rounds) < due and self._steps < schedule.steps:
            self._fit()

    def made(self) -> Mapping[str, Any]:
        """What every round was made of and came to."""
        return {"rounds": [dict(told) for told in self._rounds]}

    def state(self) -> Mapping[str, Tensor]:
        kept = torch.tensor([list(bytes.fromhex(name)) for name in self._kept], dtype=torch.uint8)
        return {**super().state(), "kept": kept, "rounds": torch.tensor(len(self._rounds))}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The models of the rounds are read from where they were saved."""
        super().restore(tensors)
        self._kept = [bytes(row.tolist()).hex() for row in tensors["kept"]]
        self._rounds = [read_sealed(self._place(k) / ROUND) for k in range(int(tensors["rounds"]))]
        self._arm()

    def _armed(self, monitor: Monitor, recovery: Recovery) -> tuple[Monitor, Recovery]:
        """What watches and helps from now on, given what was fitted."""
        return monitor, recovery

    def _fit(self) -> None:
        """One round. Where the episodes do not suffice yet the models of the last one stay, and the record says so."""
        place = self._place(len(self._rounds))
        try:
            made = refit([*self._start.demonstrations, *self._episodes()], place, self._settings.refit)
        except DataRefused as refusal:
            made = {REFUSED: str(refusal)}
        freeze = f"{self._start.spec.task}-{self.name}-{self._start.seed}-{len(self._rounds)}"
        write_sealed(place / ROUND, {"freeze": freeze, "from_step": self._steps, **made})
        self._rounds.append(read_sealed(place / ROUND))
        self._arm()

    def _arm(self) -> None:
        """Take up the models of the last round that has some."""
        fitted = [k for k, told in enumerate(self._rounds) if REFUSED not in told]
        if fitted:
            where = parts(self._place(fitted[-1]))
            spec = self._start.spec
            self.monitor, recovery = self._armed(load_monitor(where, spec), load_recovery(where, spec))
            self.recovery = Patient(recovery)

    def _place(self, number: int) -> Path:
        return self._start.root / "derived" / "rounds" / str(number)

    def _episodes(self) -> list[StepData]:
        """The episodes of training so far, in order; each is read once."""
        store = EpisodeStore(self._start.root)
        for name in self._kept[len(self._read) :]:
            success = Outcome(store.attributes(name)["success"]).as_bool()
            self._read.append(load_step_data(store, name, success=success, split="train"))
        return self._read


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
