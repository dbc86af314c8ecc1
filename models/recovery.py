"""The recovery policy: from a stuck state and a goal to the next eight actions.

Goal-conditioned behaviour cloning with hindsight goals: what a person did during the eight steps from t on, given the
situation at t and the situation at some later step of the same stretch. Memory says where to go, this net how.
A situation is the proprio without the absolute tool pose, so that what was learned at one place holds at another.
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
from models.observe import expanded, situation_columns
from models.sampling import Draws
from models.sealed import as_written
from models.training import Training

HORIZON = 8
"""steps of a chunk"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryConfig:
    """Settings of the goal-conditioned clone."""

    hidden: int = 256
    steps: int = 3000
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    input_noise: float = 0.02
    """Gaussian, in standard deviations, while training"""
    goal_steps: tuple[int, int] = (8, 32)
    """a hindsight goal lies this many steps ahead, or at the stretch's end if that comes first"""
    seed: int = 0


class ChunkNet(nn.Module):
    """(B, S) situation and (B, S) goal to (B, H, A) actions in -1..1."""

    def __init__(self, situation: int, actions: int, hidden: int) -> None:
        super().__init__()
        self.actions = actions
        self.standardise = Standardise(situation)
        self.layers = mlp([2 * situation, hidden, hidden, HORIZON * actions])

    def forward(self, s_BS: torch.Tensor, g_BS: torch.Tensor, noise: float = 0.0) -> torch.Tensor:
        x = torch.cat([self.standardise(s_BS), self.standardise(g_BS)], 1)
        return torch.tanh(self.layers(noisy(x, noise))).view(-1, HORIZON, self.actions)


def situations(proprio: Array, names: Sequence[str]) -> Array:
    """(T, S) float32: proprio without the absolute pose, with fine scales."""
    columns = situation_columns(names)
    return expanded(np.asarray(proprio)[:, columns], [names[i] for i in columns])


@dataclass(slots=True)
class RecoveryPolicy:
    """A trained goal-conditioned recovery policy."""

    config: RecoveryConfig
    task: str
    proprio_names: tuple[str, ...]
    actions: int
    net: ChunkNet

    def situation(self, proprio: Array) -> Array:
        """(S,) situation of one (P,) observation."""
        return np.asarray(situations(np.asarray(proprio)[None], self.proprio_names)[0])

    @torch.no_grad()
    def chunk(self, situation: Array, goal: Array) -> Array:
        """(8, A) actions from a (S,) situation towards a (S,) goal."""
        tensors = (torch.tensor(np.asarray(x, np.float32)[None]) for x in (situation, goal))
        return np.asarray(self.net(*tensors)[0].numpy())

    def save(self, directory: Path) -> str:
        """Write weights and config; returns the model's hash."""
        saved = {"kind": "recovery", "config": asdict(self.config), "task": self.task}
        shape = {"proprio_names": self.proprio_names, "actions": self.actions}
        return checkpoint.save(directory, checkpoint.prefixed(self.net, "net."), saved | shape)

    @classmethod
    def load(cls, directory: Path) -> RecoveryPolicy:
        """Read what `save` wrote."""
        tensors, saved = checkpoint.load(directory, "recovery")
        with as_written(directory):
            config = RecoveryConfig(**{**saved["config"], "goal_steps": tuple(saved["config"]["goal_steps"])})
            names = tuple(saved["proprio_names"])
        net = ChunkNet(checkpoint.inputs(directory, tensors, "net."), saved["actions"], config.hidden).eval()
        checkpoint.load_state({"net.": net}, tensors)
        return cls(config, saved["task"], names, saved["actions"], net)


@dataclass(slots=True)
class _Stretches:
    """All steps laid end to end."""

    situation: torch.Tensor
    action: torch.Tensor
    """NaN where none is known"""
    stop: torch.Tensor
    """where a person's stretch stops, at each of its steps; 0 at all others"""


def _stretches(episodes: Sequence[StepData]) -> _Stretches:
    states, actions, stops, offset = [], [], [], 0
    for episode in episodes:
        states.append(situations(episode.proprio, episode.proprio_names))
        actions.append(episode.executed_action)
        stop_of = np.zeros(len(episode), np.int64)
        for start, stop in episode.runs:
            if episode.source[start] == ActionSource.HUMAN:
                stop_of[start:stop] = offset + stop
        stops.append(stop_of)
        offset += len(episode)
    joined = (np.concatenate(parts) for parts in (states, actions, stops))
    return _Stretches(*(torch.as_tensor(part) for part in joined))


def fit_recovery(
    episodes: Sequence[StepData],
    config: RecoveryConfig,
    *,
    progress: Progress | None = None,
    training: Training | None = None,
) -> RecoveryPolicy:
    """Clone the human stretches (takeovers and demonstrations) of the training episodes, drawn by weight.

    Raises `DataRefused` where there is none of two steps or more, or where the episodes are of different robots.
    """
    training = training or Training()
    usable = driven(episodes, "train")
    starts = torch.zeros(0, dtype=torch.int64)
    if usable:
        check_alike(usable)
        data = _stretches(usable)
        starts = _starts(data)
    if not len(starts):
        raise DataRefused("no training episode has a human segment to learn recovery from; record takeovers first")
    generator = seeded(config.seed)
    names, actions = usable[0].proprio_names, data.action.shape[1]
    net = ChunkNet(data.situation.shape[1], actions, config.hidden)
    net.standardise.fit(data.situation[starts].numpy())

    def loss_of(episodes: Sequence[StepData], generator: torch.Generator) -> Callable[[float], torch.Tensor]:
        batch_loss = _batch_loss(net, episodes, config, generator)
        return lambda _: batch_loss()

    held_out = training.held_out([e for e in driven(episodes, "validation") if len(_starts(_stretches([e])))], loss_of)
    batch_loss = _batch_loss(net, usable, config, generator)
    name = "recovery policy"
    clone(net, batch_loss, config, name, progress, generator=generator, training=training, held_out=held_out)
    return RecoveryPolicy(config, usable[0].task, names, actions, net)


def driven(episodes: Sequence[StepData], split: str) -> list[StepData]:
    """The episodes of a split in which a person drove."""
    return [e for e in episodes if e.split == split and (e.source == ActionSource.HUMAN).any()]


def _starts(data: _Stretches) -> torch.Tensor:
    """(n,) steps with a known action from which a person drove for two steps or more."""
    starts = torch.nonzero(data.stop)[:, 0]
    return starts[(data.stop[starts] - starts >= 2) & data.action[starts].isfinite().all(dim=1)]


def _batch_loss(
    net: ChunkNet, episodes: Sequence[StepData], config: RecoveryConfig, generator: torch.Generator
) -> Callable[[], torch.Tensor]:
    """L1 of the chunk from t on, as far as the stretch goes, towards a goal of the same stretch."""
    data = _stretches(episodes)
    starts = _starts(data)
    low, high = config.goal_steps
    ahead = torch.arange(HORIZON)
    weights = np.repeat([e.weight for e in episodes], [len(e) for e in episodes])
    draws = Draws(weights[starts.numpy()], generator)

    def loss() -> torch.Tensor:
        t = starts[draws(config.batch)]
        last = data.stop[t] - 1
        goal = torch.minimum(t + torch.randint(low, high + 1, (config.batch,), generator=generator), last)
        index = t[:, None] + ahead
        target = data.action[torch.minimum(index, last[:, None])]
        counts = (index <= last[:, None])[..., None] & target.isfinite()
        proposed: torch.Tensor = net(data.situation[t], data.situation[goal], config.input_noise)
        return ((proposed - target.nan_to_num()).abs() * counts).sum() / counts.sum()

    return loss
