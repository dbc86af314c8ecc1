"""`hg_dagger`: no reinforcement; the policy is cloned again and again from the demonstrations and the person's rescues.

After HG-DAgger (Kelly et al. 2019). It shows what the person's actions alone are worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from episodes.errors import UsageError
from episodes.record import ActionSource, Episode, Outcome
from models.actor_critic import ActorCritic, ActorCriticConfig
from robot_io.benchmark.agent import ActorPolicy, Sight, cloned
from robot_io.benchmark.method import Start
from robot_io.benchmark.record import BROKEN, TrainingEpisode
from robot_io.protocols import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class HgDaggerConfig:
    """Settings of the learner."""

    nets: ActorCriticConfig = field(default_factory=ActorCriticConfig)
    refit_every: int = 1_000
    """steps of the robot; the fit happens when an episode has ended"""

    def __post_init__(self) -> None:
        if self.refit_every < 1:
            raise UsageError(f"a refit every {self.refit_every} steps cannot be; give at least 1")


class HgDagger:
    """Implements `Method` and, for the loop, `Learner`."""

    name = "hg_dagger"
    learns = True
    monitor = None
    recovery = None
    recovery_limits = None

    def __init__(self, start: Start, config: HgDaggerConfig | None = None) -> None:
        self._config = config or HgDaggerConfig()
        self._sight = Sight(start.spec, start.demonstrations)
        sizes = self._sight.size, len(self._sight.free)
        self._net = ActorCritic(*sizes, self._config.nets, seed=start.seed)
        self._seen, self._done = cloned(self._sight, start.demonstrations)
        self._net.clone(self._seen, self._done)
        self._rescues: list[tuple[Tensor, Tensor]] = []  # of the running episode
        self._steps = self._fits = self._clones = 0
        self.policy = ActorPolicy(self._net, self._sight, f"{self.name}-{start.seed}")
        self.learner = self

    def alone(self) -> ActorPolicy:
        return self.policy

    def ended(self, row: TrainingEpisode) -> None:
        """Put the rescues behind the demonstrations, and clone anew when enough steps have passed."""
        if row.failure_mode != BROKEN:
            for seen, done in self._rescues:
                self._seen, self._done = torch.cat([self._seen, seen[None]]), torch.cat([self._done, done[None]])
        self._rescues.clear()
        if self._steps // self._config.refit_every > self._fits:
            self._fits = self._steps // self._config.refit_every
            self._clones += 1
            self._net.clone(self._seen, self._done)

    def made(self) -> Mapping[str, Any]:
        """How often it was cloned anew."""
        return {"clones": self._clones}

    def config(self) -> Mapping[str, Any]:
        return asdict(self._config)

    def observe(self, step: Step) -> None:
        """Keep what the person did."""
        self._steps += 1
        if step.source is ActionSource.HUMAN:
            seen = self._sight.of(step.observation.proprio[None])[0]
            self._rescues.append((seen, self._sight.chosen(step.executed_action)))

    def end_episode(self, episode: Episode | None, success: Outcome) -> None:
        """Whether it is worth cloning is known a little later: see `ended`."""

    def state(self) -> Mapping[str, Tensor]:
        counts = torch.tensor([self._steps, self._fits, self._clones])
        return self._net.state() | {"seen": self._seen, "done": self._done, "counts": counts}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self._net.restore(tensors)
        self._seen, self._done = tensors["seen"], tensors["done"]
        self._steps, self._fits, self._clones = (int(count) for count in tensors["counts"])
