"""`bc`: the policy cloned from the demonstrations, and nothing after that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from models.actor_critic import ActorCritic, ActorCriticConfig
from robot_io.benchmark.agent import ActorPolicy, Sight, cloned
from robot_io.benchmark.method import Start
from robot_io.benchmark.record import TrainingEpisode


@dataclass(slots=True)
class BehaviourCloning:
    """Implements `Method`; the other methods begin with what it ends with."""

    start: Start
    settings: ActorCriticConfig = field(default_factory=ActorCriticConfig)
    name: str = "bc"
    learns: bool = False
    learner: None = None
    monitor: None = None
    recovery: None = None
    recovery_limits: None = None
    policy: ActorPolicy = field(init=False)

    def __post_init__(self) -> None:
        sight = Sight(self.start.spec, self.start.demonstrations)
        net = ActorCritic(sight.size, len(sight.free), self.settings, seed=self.start.seed)
        net.clone(*cloned(sight, self.start.demonstrations))
        self.policy = ActorPolicy(net, sight, f"{self.name}-{self.start.seed}")

    def alone(self) -> ActorPolicy:
        return self.policy

    def ended(self, row: TrainingEpisode) -> None:
        """Nothing is learned."""

    def made(self) -> Mapping[str, Any]:
        return {}

    def config(self) -> Mapping[str, Any]:
        return asdict(self.settings)

    def state(self) -> Mapping[str, Tensor]:
        return self.policy.net.state()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.policy.net.restore(tensors)
