"""The compact base policy: behaviour cloning of demonstrations from proprio, one action a step.

A two-layer net with L1 loss. It is meant to be a base that really gets stuck: 20 demonstrations, no history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from episodes.errors import DataRefused
from episodes.record import ActionSource, Array
from models import checkpoint
from models.cloning import clone
from models.dataset import Progress, StepData, check_alike
from models.networks import Standardise, mlp, noisy, seeded
from models.observe import expanded
from models.sampling import Draws
from models.sealed import as_written
from models.training import Training


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """Settings of behaviour cloning."""

    hidden: int = 256
    steps: int = 2500
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    input_noise: float = 0.1
    """Gaussian, in standard deviations, while training; less and the clone dithers where demonstrations disagree"""
    seed: int = 0


class BehaviourNet(nn.Module):
    """(B, P) expanded proprio to (B, A) actions in -1..1."""

    def __init__(self, inputs: int, actions: int, hidden: int) -> None:
        super().__init__()
        self.standardise = Standardise(inputs)
        self.layers = mlp([inputs, hidden, hidden, actions])

    def forward(self, x_BP: torch.Tensor, noise: float = 0.0) -> torch.Tensor:
        return torch.tanh(self.layers(noisy(self.standardise(x_BP), noise)))


@dataclass(slots=True)
class BehaviourPolicy:
    """A trained base policy."""

    config: PolicyConfig
    task: str
    proprio_names: tuple[str, ...]
    actions: int
    net: BehaviourNet

    @torch.no_grad()
    def act(self, proprio: Array) -> Array:
        """(A,) action for one (P,) observation, whose columns must be `proprio_names`."""
        if np.shape(proprio) != (len(self.proprio_names),):
            raise DataRefused(
                f"the policy of {self.task} reads {len(self.proprio_names)} proprio values, the robot gives "
                f"{np.size(proprio)}; deploy it on the robot it was trained for"
            )
        x = torch.as_tensor(expanded(proprio[None], self.proprio_names))
        return np.asarray(self.net(x)[0].numpy())

    def save(self, directory: Path) -> str:
        """Write weights and config; returns the model's hash."""
        saved = {"kind": "policy", "config": asdict(self.config), "task": self.task}
        shape = {"proprio_names": self.proprio_names, "actions": self.actions}
        return checkpoint.save(directory, checkpoint.prefixed(self.net, "net."), saved | shape)

    @classmethod
    def load(cls, directory: Path) -> BehaviourPolicy:
        """Read what `save` wrote."""
        tensors, saved = checkpoint.load(directory, "policy")
        with as_written(directory):
            names, config = tuple(saved["proprio_names"]), PolicyConfig(**saved["config"])
        net = BehaviourNet(checkpoint.inputs(directory, tensors, "net."), saved["actions"], config.hidden).eval()
        checkpoint.load_state({"net.": net}, tensors)
        return cls(config, saved["task"], names, saved["actions"], net)


def fit_policy(
    demonstrations: Sequence[StepData],
    config: PolicyConfig,
    *,
    progress: Progress | None = None,
    training: Training | None = None,
    validation: Sequence[StepData] = (),
) -> BehaviourPolicy:
    """Clone the human's actions of `demonstrations`: their human steps with a known action, drawn by weight.

    `validation`: demonstrations that say which weights are the best, where `training` asks for that.

    Raises `DataRefused` where there is none, or where the demonstrations are of different robots.
    """
    demos = [d for d in demonstrations if _driven(d).any()]
    if not demos:
        raise DataRefused("there is no demonstration to clone; record some with `regrasp collect --teleop scripted`")
    check_alike(demos)
    training = training or Training()
    names = demos[0].proprio_names
    x, y = _examples(demos)
    generator = seeded(config.seed)
    net = BehaviourNet(x.shape[1], y.shape[1], config.hidden)
    net.standardise.fit(x.numpy())

    def loss_of(episodes: Sequence[StepData], generator: torch.Generator) -> Callable[[float], torch.Tensor]:
        batch_loss = _batch_loss(net, episodes, config, generator)
        return lambda _: batch_loss()

    held_out = training.held_out([d for d in validation if _driven(d).any()], loss_of)
    batch_loss = _batch_loss(net, demos, config, generator)
    clone(net, batch_loss, config, "base policy", progress, generator=generator, training=training, held_out=held_out)
    return BehaviourPolicy(config, demos[0].task, names, y.shape[1], net)


def _examples(demos: Sequence[StepData]) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, P) expanded proprio and (n, A) actions of the steps to clone."""
    driven = [(d, _driven(d)) for d in demos]
    x = np.concatenate([expanded(d.proprio[m], d.proprio_names) for d, m in driven])
    return torch.as_tensor(x), torch.as_tensor(np.concatenate([d.executed_action[m] for d, m in driven]))


def _batch_loss(
    net: BehaviourNet, demos: Sequence[StepData], config: PolicyConfig, generator: torch.Generator
) -> Callable[[], torch.Tensor]:
    x, y = _examples(demos)
    draws = Draws(np.repeat([d.weight for d in demos], [_driven(d).sum() for d in demos]), generator)

    def loss() -> torch.Tensor:
        draw = draws(config.batch)
        return nn.functional.l1_loss(net(x[draw], config.input_noise), y[draw])

    return loss


def _driven(episode: StepData) -> Array:
    """(T,) bool: the steps to clone."""
    return np.asarray((episode.source == ActionSource.HUMAN) & np.isfinite(episode.executed_action).all(axis=1))
