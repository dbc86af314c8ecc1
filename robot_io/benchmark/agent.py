"""From the robot's observations to the numbers a net reads, and from its output to the robot's actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from episodes.record import ActionSource, Array
from models.actor_critic import ActorCritic
from models.dataset import StepData
from models.networks import Standardise
from models.observe import expanded
from robot_io.protocols import Observation, RobotSpec


class Sight:
    """Standardised observations and the components of the action that are free to choose."""

    def __init__(self, spec: RobotSpec, demonstrations: Sequence[StepData]) -> None:
        self._names = spec.proprio_names
        space = spec.action_space
        self.free = [i for i in range(len(space["names"])) if i not in space.get("locked", ())]
        self._locked = np.full(len(space["names"]), space.get("gripper_at_reset", 0.0))
        seen = np.concatenate([expanded(d.proprio, self._names) for d in demonstrations])
        self._standardise = Standardise(seen.shape[1])
        self._standardise.fit(seen)
        self.size = seen.shape[1]

    def of(self, proprio: Array) -> Tensor:
        """(T, P) proprio to (T, D)."""
        out: Tensor = self._standardise(torch.as_tensor(expanded(proprio, self._names)))
        return out

    def chosen(self, executed: Array) -> Tensor:
        """(..., A) executed actions to their free components."""
        return torch.as_tensor(np.asarray(executed, np.float32)[..., self.free])

    def action(self, free: Tensor) -> Array:
        """(A,) the robot's action with these free components."""
        action = self._locked.copy()
        action[self.free] = free.numpy()
        return action


@dataclass(slots=True)
class ActorPolicy:
    """`Policy` over an actor whose weights a learner may change between two steps."""

    net: ActorCritic
    sight: Sight
    policy_id: str
    noise: float = 0.0
    """sd of the exploration"""

    def reset(self) -> None:
        """Nothing to forget: one observation, one action."""

    def act(self, observation: Observation) -> Array:
        return self.sight.action(self.net.act(self.sight.of(observation.proprio[None])[0], self.noise))


def cloned(sight: Sight, demonstrations: Sequence[StepData]) -> tuple[Tensor, Tensor]:
    """What there is to clone: (n, D) observations and (n, A) actions of the human's steps."""
    driven = [d.source == ActionSource.HUMAN for d in demonstrations]
    seen = torch.cat([sight.of(d.proprio[m]) for d, m in zip(demonstrations, driven, strict=True)])
    done = torch.cat([sight.chosen(d.executed_action[m]) for d, m in zip(demonstrations, driven, strict=True)])
    return seen, done
