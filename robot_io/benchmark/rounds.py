"""Rounds: a method whose models, beside the learner's, are fitted anew as the run goes on.

Each time that the run is twice as long, and later every so many steps, they are fitted on the run's own demonstrations
and episodes, when an episode has ended, and kept in `derived/rounds/<number>/`. What is in use is a function of what
is kept, so a killed run goes on with the same models. What a recovery did goes into the memory of the run like the
policy's own steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

ROUND, REFUSED = "round.json", "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """When there is one; each waits for the end of an episode."""

    first: int = 250
    """steps of the robot; then each time that the run is twice as long"""
    longest: int = 1_000
    """steps from one to the next"""

    def __post_init__(self) -> None:
        if min(self.first, self.longest) < 1:
            raise UsageError(f"{self} cannot be; give at least 1 step each")

    def due(self, steps: int) -> int:
        """How many should have been after so many steps."""
        number, at = 0, self.first
        while at <= steps:
            number, at = number + 1, at + min(at, self.longest)
        return number


class InRounds(HilSerl):
    """A learner with rounds; a method says what one round makes and how it is taken up."""

    def __init__(self, start: Start, learner: HilSerlConfig, rounds: Rounds) -> None:
        super().__init__(start, learner)
        self._start, self._when = start, rounds
        self._kept: list[str] = []
        self._read: list[StepData] = []
        self._rounds: list[Mapping[str, Any]] = []

    def ended(self, row: TrainingEpisode) -> None:
        super().ended(row)
        if row.failure_mode != BROKEN:
            self._kept.append(row.episode_id)
        if len(self._rounds) < self._when.due(self._steps) and self._steps < self._start.schedule.steps:
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

    def _make(self, place: Path) -> dict[str, Any]:
        """Fit and save the models of a round, and say what they were made of; `DataRefused` where that fails yet."""
        raise NotImplementedError

    def _take(self, place: Path) -> None:
        """Take up the models of a round."""
        raise NotImplementedError

    def _fit(self) -> None:
        """One round. Where the episodes do not suffice yet the models of the last one stay, and the record says so."""
        place = self._place(len(self._rounds))
        try:
            made = self._make(place)
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
            self._take(self._place(fitted[-1]))

    def _place(self, number: int) -> Path:
        return self._start.root / "derived" / "rounds" / str(number)

    def _episodes(self) -> list[StepData]:
        """The demonstrations, then the episodes of training so far, in order; each is read once."""
        store = EpisodeStore(self._start.root)
        for name in self._kept[len(self._read) :]:
            success = Outcome(store.attributes(name)["success"]).as_bool()
            self._read.append(load_step_data(store, name, success=success, split="train"))
        return [*self._start.demonstrations, *self._read]
