"""The actor and the ensemble of critics that learn on line, and one gradient step of each.

    y        = clip(R_n + g * min_{i in two at random} Q'_i(s', mu(s') + noise), 0, 1)
    critics  : sum_i mean (Q_i(s, a) - y)^2                  R_n, g: n-step return and its discount, see `replay`
    actor    : -mean Q(s, mu(s)) / (mean |Q| + 0.05) + w * mean ||mu(s_h) - a_h||^2

The second term of the actor keeps it at what the person did (s_h, a_h), with a weight w that falls over the run. The
reward is 1 at a success and nothing else, so every target lies in [0, 1]. After RLPD (Ball et al. 2023) and HIL-SERL
(Luo et al. 2024), without an entropy term: the exploration noise is fixed.

Shape suffixes: N critics, B batch, D observation, A action, H hidden. Observations are standardised already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from episodes.errors import IntegrityError, UsageError
from models.replay import Batch

Q_FLOOR = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorCriticConfig:
    """Sizes and rates of the learner."""

    hidden: int = 128
    critics: int = 5
    target_critics: int = 2
    """drawn anew for every update; the smaller of them is believed"""
    learning_rate: float = 3e-4
    target_rate: float = 0.005
    """share of the critics that goes into their targets at each update"""
    target_noise: float = 0.05
    """sd of the noise on the target's action"""
    target_noise_max: float = 0.1
    clone_steps: int = 2500
    clone_batch: int = 256
    clone_learning_rate: float = 1e-3
    clone_weight_decay: float = 1e-3
    clone_noise: float = 0.02
    """Gaussian on the observation while cloning, in standard deviations"""

    def __post_init__(self) -> None:
        if not 1 <= self.target_critics <= self.critics:
            raise UsageError(f"{self.target_critics} of {self.critics} critics cannot be drawn; give fewer of more")


class Actor(nn.Module):
    """(B, D) to the mean action (B, A) in -1..1."""

    def __init__(self, observation: int, actions: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(observation, hidden),
            nn.LayerNorm(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.LayerNorm(hidden),
            nn.ReLU(),
            nn.Linear(hidden, actions),
            nn.Tanh(),
        )

    def forward(self, x_BD: Tensor) -> Tensor:
        out: Tensor = self.layers(x_BD)
        return out


class Critics(nn.Module):
    """N critics of one shape, their weights stacked, so that a layer of all of them is one batched product.

    The layer norms have no gain: behind a ReLU the next layer's weights are as good.
    """

    def __init__(self, critics: int, inputs: int, hidden: int) -> None:
        super().__init__()
        sizes = [(inputs, hidden), (hidden, hidden), (hidden, 1)]
        self.weights = nn.ParameterList(_uniform(critics, a, b, a) for a, b in sizes)
        self.biases = nn.ParameterList(_uniform(critics, 1, b, a) for a, b in sizes)
        self.shifts = nn.ParameterList(torch.zeros(critics, 1, hidden) for _ in sizes[1:])

    def forward(self, x_BD: Tensor, a_BA: Tensor, only: Tensor | None = None) -> Tensor:
        """(N, B) values; those of the critics `only` (indices) where given."""

        def of(parameter: Tensor) -> Tensor:
            return parameter if only is None else parameter[only]

        weights, biases = [of(w) for w in self.weights], [of(b) for b in self.biases]
        h_NBH = torch.cat([x_BD, a_BA], dim=1).expand(len(weights[0]), -1, -1)
        for layer, shift in enumerate(self.shifts):
            h_NBH = torch.baddbmm(biases[layer], h_NBH, weights[layer])
            h_NBH = nn.functional.layer_norm(h_NBH, h_NBH.shape[-1:]).add_(of(shift)).relu_()
        out: Tensor = torch.baddbmm(biases[-1], h_NBH, weights[-1])
        return out.squeeze(2)


class Adam:
    """Adam (Kingma and Ba 2015) on one flat tensor in which the parameters of a module lie one after the other.

    A tenth of the calls that one tensor for each parameter takes, which for nets this small is most of the time.
    """

    DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8

    def __init__(self, module: nn.Module, learning_rate: float) -> None:
        self._parameters, self._rate = list(module.parameters()), learning_rate
        self.flat = flattened(module)
        self._mean, self._square = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self._steps = 0

    def descend(self, loss: Tensor) -> None:
        """One step down the gradient of `loss` in the module's parameters, and in no others."""
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, self._parameters)])
        self._steps += 1
        self._mean.lerp_(gradient, 1.0 - self.DECAY)
        self._square.mul_(self.SQUARE_DECAY).addcmul_(gradient, gradient, value=1.0 - self.SQUARE_DECAY)
        spread = self._square.sqrt().mul_((1.0 - self.SQUARE_DECAY**self._steps) ** -0.5).add_(self.EPSILON)
        self.flat.addcdiv_(self._mean, spread, value=-self._rate / (1.0 - self.DECAY**self._steps))

    def state(self) -> dict[str, Tensor]:
        """Parameters, moments and count, by name."""
        return {"flat": self.flat, "mean": self._mean, "square": self._square, "steps": torch.tensor(self._steps)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave."""
        for mine, name in ((self.flat, "flat"), (self._mean, "mean"), (self._square, "square")):
            mine.copy_(tensors[name])
        self._steps = int(tensors["steps"])


class ActorCritic:
    """The networks, their optimisers and their one source of chance: the whole state of the learner but its data."""

    def __init__(self, observation: int, actions: int, config: ActorCriticConfig, *, seed: int) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self.config = config
        self.generator = torch.Generator().manual_seed(seed)
        self.actor = Actor(observation, actions, config.hidden)
        self.critics = Critics(config.critics, observation + actions, config.hidden)
        self.targets = Critics(config.critics, observation + actions, config.hidden).requires_grad_(False)
        self._critics_adam = Adam(self.critics, config.learning_rate)
        self._targets = flattened(self.targets).copy_(self._critics_adam.flat)
        self.start_actor()

    def update_critics(self, batch: Batch) -> None:
        """One gradient step of all critics, and their targets follow."""
        target_B = self._target(batch)
        error_NB = self.critics(batch.observation, batch.action) - target_B
        self._critics_adam.descend(error_NB.square().mean(dim=1).sum())
        self._targets.lerp_(self._critics_adam.flat, self.config.target_rate)

    def update_actor(self, batch: Batch, humans: int, clone_weight: float) -> None:
        """One gradient step of the actor; the first `humans` rows of the batch are what a person did."""
        mean_BA = self.actor(batch.observation)
        value_NB = self.critics(batch.observation, mean_BA)
        clone = (mean_BA[:humans] - batch.action[:humans]).square().sum(dim=1).mean()
        scale = value_NB.detach().abs().mean() + Q_FLOOR
        self._actor_adam.descend(clone_weight * clone - value_NB.mean() / scale)

    def start_actor(self) -> None:
        """Begin the actor's optimiser anew."""
        self._actor_adam = Adam(self.actor, self.config.learning_rate)

    def clone(self, observation: Tensor, action: Tensor) -> None:
        """Fit the actor to the actions (n, A) of demonstrations (n, D), L1: the start of the run."""
        config = self.config
        adam = torch.optim.AdamW(
            self.actor.parameters(), config.clone_learning_rate, weight_decay=config.clone_weight_decay, fused=True
        )
        for _ in range(config.clone_steps):
            draw = torch.randint(len(observation), (config.clone_batch,), generator=self.generator)
            seen = observation[draw]
            seen = seen + config.clone_noise * torch.randn(seen.shape, generator=self.generator)
            loss = nn.functional.l1_loss(self.actor(seen), action[draw])
            adam.zero_grad()
            loss.backward()
            adam.step()

    @torch.no_grad()
    def act(self, observation: Tensor, noise: float = 0.0) -> Tensor:
        """(A,) the action for one (D,) observation; with `noise`, that much Gaussian exploration."""
        mean: Tensor = self.actor(observation[None])[0]
        if noise:
            mean = mean + noise * torch.randn(mean.shape, generator=self.generator)
        return mean.clamp(-1.0, 1.0)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next update depends on, by name."""
        parts = {"actor": self._actor_adam.state(), "critics": self._critics_adam.state()}
        tensors = {f"{part}.{name}": tensor for part, state in parts.items() for name, tensor in state.items()}
        return tensors | {"targets": self._targets, "generator": self.generator.get_state()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave; `IntegrityError` where it is of other networks."""
        try:
            self._actor_adam.restore(under(tensors, "actor."))
            self._critics_adam.restore(under(tensors, "critics."))
            self._targets.copy_(tensors["targets"])
            self.generator.set_state(tensors["generator"])
        except (KeyError, RuntimeError) as error:
            fault = " ".join(str(error).split())
            raise IntegrityError(f"the learner's checkpoint is of other networks ({fault}); begin anew") from error

    @torch.no_grad()
    def _target(self, batch: Batch) -> Tensor:
        """(B,) what the critics should say."""
        config = self.config
        action_BA = self.actor(batch.next_observation)
        noise_BA = config.target_noise * torch.randn(action_BA.shape, generator=self.generator)
        limit = config.target_noise_max
        action_BA = (action_BA + noise_BA.clamp_(-limit, limit)).clamp_(-1.0, 1.0)
        only = torch.randperm(config.critics, generator=self.generator)[: config.target_critics]
        value_B: Tensor = self.targets(batch.next_observation, action_BA, only).amin(dim=0)
        return (batch.reward + batch.discount * value_B).clamp_(0.0, 1.0)


def flattened(module: nn.Module) -> Tensor:
    """One flat tensor that from now on holds the parameters of `module`; writing to it changes them."""
    parameters = list(module.parameters())
    flat = torch.cat([parameter.detach().flatten() for parameter in parameters])
    for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        parameter.data = part.view_as(parameter)
    return flat


def _uniform(critics: int, rows: int, columns: int, inputs: int) -> Tensor:
    """(N, rows, columns) as `nn.Linear` starts: uniform within 1/sqrt(inputs)."""
    return torch.empty(critics, rows, columns).uniform_(-(inputs**-0.5), inputs**-0.5)


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
