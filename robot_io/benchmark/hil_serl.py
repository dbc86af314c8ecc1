"""`hil_serl`: reinforcement learning with demonstrations and a person who corrects, in lock-step with the robot.

After HIL-SERL (Luo et al. 2024) on RLPD (Ball et al. 2023). What the person does goes into both memories, and half of
every batch is theirs. Here the exploration noise is fixed and there is no entropy term; the critics learn first from
the demonstrations and then, for the warm-up, from the cloned policy's own driving; and the actor is held to the
person's actions with a weight that falls. Without these three, the first updates destroy the cloned start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from episodes.record import ActionSource, Episode, Outcome
from models.actor_critic import ActorCritic, ActorCriticConfig, under
from models.replay import NStep, Replay, Transition
from robot_io.benchmark.agent import ActorPolicy, Sight, cloned
from robot_io.benchmark.method import Start
from robot_io.benchmark.record import BROKEN, TrainingEpisode
from robot_io.control import RecoveryLimits
from robot_io.protocols import Monitor, Recovery, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class HilSerlConfig:
    """Settings of the learner."""

    nets: ActorCriticConfig = field(default_factory=ActorCriticConfig)
    updates: int = 4
    """of the critics at each step of the robot; the actor has one"""
    batch: int = 128
    """half of it from the person, half from the run"""
    n_step: int = 3
    gamma: float = 0.97
    pretraining: int = 1_000
    """updates of the critics on the demonstrations alone"""
    noise: float = 0.1
    """sd of the exploration"""
    clone_weight: tuple[float, float] = (1.0, 0.1)
    """of the actor's second term, from the first step to `clone_falls`"""
    clone_falls: int = 10_000
    """steps of the robot in which it falls"""


class HilSerl:
    """Implements `Method` and, for the loop, `Learner`."""

    name = "hil_serl"
    learns = True

    def __init__(self, start: Start, config: HilSerlConfig | None = None) -> None:
        self._config = config or HilSerlConfig()
        self._max_steps, self._warm_up = start.max_steps, start.schedule.warm_up
        self._sight = Sight(start.spec, start.demonstrations)
        sizes = self._sight.size, len(self._sight.free)
        self._net = ActorCritic(*sizes, self._config.nets, seed=start.seed)
        demonstrated = sum(len(d) for d in start.demonstrations)
        self._person = Replay(demonstrated + start.schedule.steps + start.max_steps, *sizes)
        self._run = Replay(start.schedule.steps + start.max_steps, *sizes)
        self._window = NStep(steps=self._config.n_step, gamma=self._config.gamma)
        self._steps = self._episode_steps = 0
        policy_id = f"{self.name}-{start.seed}"
        self.policy = ActorPolicy(self._net, self._sight, policy_id, self._config.noise)
        self._alone = ActorPolicy(self._net, self._sight, policy_id)
        self.learner = self
        self.monitor: Monitor | None = None
        self.recovery: Recovery | None = None
        self.recovery_limits: RecoveryLimits | None = None
        self._begin(start)
        self._sound = len(self._person), len(self._run)  # before the running episode

    def alone(self) -> ActorPolicy:
        return self._alone

    def config(self) -> Mapping[str, Any]:
        return asdict(self._config)

    def observe(self, step: Step) -> None:
        """Take one step of the robot, then learn."""
        seen = self._sight.of(step.observation.proprio[None])[0]
        closed = self._window.push(seen, self._sight.chosen(step.executed_action), int(step.source))
        self._remember(closed, step.source)
        self._steps += 1
        self._episode_steps += 1
        self._learn()

    def end_episode(self, episode: Episode | None, success: Outcome) -> None:
        """A failure after the last step allowed is a time-out: the world went on, so its value is not 0."""
        won = success is Outcome.SUCCESS
        self._remember(self._window.end(won, terminal=won or self._episode_steps < self._max_steps), None)
        self._episode_steps = 0

    def ended(self, row: TrainingEpisode) -> None:
        """What broke down is forgotten: its last step led nowhere, and that was no failure of the policy."""
        if row.failure_mode == BROKEN:
            for memory, count in zip((self._person, self._run), self._sound, strict=True):
                memory.rewind(count)
        self._sound = len(self._person), len(self._run)

    def made(self) -> Mapping[str, Any]:
        return {}

    def state(self) -> Mapping[str, Tensor]:
        parts = {"net": self._net.state(), "person": self._person.state(), "run": self._run.state()}
        tensors = {f"{part}.{name}": tensor for part, state in parts.items() for name, tensor in state.items()}
        return tensors | {"steps": torch.tensor(self._steps)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self._net.restore(under(tensors, "net."))
        self._person.restore(under(tensors, "person."))
        self._run.restore(under(tensors, "run."))
        self._steps = int(tensors["steps"])
        self._sound = len(self._person), len(self._run)

    def _begin(self, start: Start) -> None:
        """Clone the demonstrations, remember them, and let the critics see them first."""
        self._net.clone(*cloned(self._sight, start.demonstrations))
        self._net.start_actor()
        for episode in start.demonstrations:
            seen, done = self._sight.of(episode.proprio), self._sight.chosen(episode.executed_action)
            window = NStep(steps=self._config.n_step, gamma=self._config.gamma)
            for t, source in enumerate(episode.source):
                self._person_remembers(window.push(seen[t], done[t], int(source)))
            self._person_remembers(window.end(bool(episode.success), terminal=True))
        for _ in range(self._config.pretraining):
            self._net.update_critics(self._person.batch(self._person.draw(self._config.batch, self._net.generator)))

    def _remember(self, transitions: Iterable[Transition], after: ActionSource | None) -> None:
        """Take what was closed by a step of `after`, or by the episode's end (None)."""
        for transition in transitions:
            self._run.add(transition)
            if transition.driver == ActionSource.HUMAN:
                self._person.add(transition)

    def _person_remembers(self, transitions: Iterable[Transition]) -> None:
        for transition in transitions:
            self._person.add(transition)

    def _learn(self) -> None:
        """The updates of one step; the actor is frozen while the warm-up lasts."""
        if not len(self._run):
            return
        half, updates = self._config.batch // 2, self._config.updates
        person = self._person.draw(updates * half, self._net.generator).view(updates, half, -1)
        run = self._run.draw(updates * half, self._net.generator).view(updates, half, -1)
        for rows in torch.cat([person, run], dim=1):
            batch = self._run.batch(rows)
            self._net.update_critics(batch)
        if self._steps > self._warm_up:
            self._net.update_actor(batch, half, self._clone_weight())

    def _clone_weight(self) -> float:
        first, last = self._config.clone_weight
        return first + (last - first) * min(self._steps / self._config.clone_falls, 1.0)
