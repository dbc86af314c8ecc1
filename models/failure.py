"""The failure predictor: how likely a person must step in soon, given what is seen and what is about to be done.

    p(s, a) = P(an event within `horizon_s` of the step at which the policy did a in s)
    event:   a takeover, or the end of an episode that failed

A step is 1 where an event lies within the horizon, 0 where the horizon passes or the task is done without one, and not
learned from where a recovery begins before either: what the policy would have done to itself is not known then. Nor is
it in the last horizon of an episode whose outcome nobody knows. Steps of others than the policy are not learned from.
Trained by cross-entropy without weights, so that p is a probability. It reads a situation, as the recovery policy does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from episodes.errors import DataRefused
from episodes.record import ActionSource, Array
from models import checkpoint
from models.cloning import clone
from models.dataset import StepData, check_alike
from models.networks import Standardise, mlp, noisy, seeded
from models.recovery import situations
from models.sealed import as_written


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureConfig:
    """Settings of the predictor."""

    horizon_s: float = 4.0
    hidden: int = 64
    steps: int = 400
    """few: a policy that learns soon visits states that it was not taught on, and a longer fit is surer of them"""
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    input_noise: float = 0.1
    """Gaussian, in standard deviations, while training"""
    seed: int = 0


class FailureNet(nn.Module):
    """(B, S) situation and (B, A) action to (B,) log-odds of an event."""

    def __init__(self, situation: int, actions: int, hidden: int) -> None:
        super().__init__()
        self.standardise = Standardise(situation)
        self.layers = mlp([situation + actions, hidden, hidden, 1])

    def forward(self, s_BS: Tensor, a_BA: Tensor, noise: float = 0.0) -> Tensor:
        s_BS = noisy(self.standardise(s_BS), noise)
        out: Tensor = self.layers(torch.cat([s_BS, a_BA], dim=1)).squeeze(1)
        return out


@dataclass(slots=True)
class FailurePredictor:
    """A trained predictor."""

    config: FailureConfig
    proprio_names: tuple[str, ...]
    actions: int
    net: FailureNet

    @torch.no_grad()
    def probability(self, proprio: Array, action: Array) -> Array:
        """(T,) p for (T, P) proprio and (T, A) actions."""
        seen = torch.as_tensor(situations(proprio, self.proprio_names))
        return np.asarray(torch.sigmoid(self.net(seen, torch.as_tensor(np.asarray(action, np.float32)))).numpy())

    def save(self, directory: Path) -> str:
        """Write weights and config; returns the model's hash."""
        saved = {"kind": "failure", "config": asdict(self.config)}
        shape = {"proprio_names": self.proprio_names, "actions": self.actions}
        return checkpoint.save(directory, checkpoint.prefixed(self.net, "net."), saved | shape)

    @classmethod
    def load(cls, directory: Path) -> FailurePredictor:
        """Read what `save` wrote."""
        tensors, saved = checkpoint.load(directory, "failure")
        with as_written(directory):
            names, config = tuple(saved["proprio_names"]), FailureConfig(**saved["config"])
        net = FailureNet(checkpoint.inputs(directory, tensors, "net."), saved["actions"], config.hidden).eval()
        checkpoint.load_state({"net.": net}, tensors)
        return cls(config, names, saved["actions"], net)


def outcomes_ahead(episode: StepData, horizon_s: float) -> Array:
    """(T,) float: 1 where an event lies within the horizon, 0 where none does, NaN where nobody knows."""
    length, source, horizon = len(episode), episode.source, round(horizon_s * episode.fps)
    begins = np.flatnonzero(source[1:] != source[:-1]) + 1
    told = {int(ActionSource.HUMAN): 1.0, int(ActionSource.RECOVERY): np.nan}
    marks = [(int(t), told[int(source[t])]) for t in begins if int(source[t]) in told]
    if not episode.success:
        marks.append((length, 1.0 if episode.success is False else np.nan))
    ahead, before = np.zeros(length), 0
    for at, what in marks:
        ahead[max(before, at - horizon) : at] = what
        before = at
    return ahead


def fit_failure(episodes: Sequence[StepData], config: FailureConfig) -> FailurePredictor:
    """Fit on the steps that a policy drove.

    `DataRefused` where none of them leads to an event, or each does, or where the episodes are of different robots.
    """
    driven = [e for e in episodes if (e.source == ActionSource.POLICY).any()]
    ahead = [outcomes_ahead(e, config.horizon_s) for e in driven]
    known = [np.isfinite(y) & (e.source == ActionSource.POLICY) for e, y in zip(driven, ahead, strict=True)]
    told = np.concatenate([np.zeros(0), *(y[m] for y, m in zip(ahead, known, strict=True))])
    if not 0 < told.sum() < len(told):
        raise DataRefused(
            f"{int(told.sum())} of {len(told)} steps that a policy drove lead to a takeover or a failed end; record "
            "episodes with some that do and some that do not"
        )
    check_alike(driven)
    names = driven[0].proprio_names
    seen = [situations(e.proprio[m], names) for e, m in zip(driven, known, strict=True)]
    done = [e.executed_action[m] for e, m in zip(driven, known, strict=True)]
    s, a, y = (torch.as_tensor(np.concatenate(x).astype(np.float32)) for x in (seen, done, [told]))
    generator = seeded(config.seed)
    net = FailureNet(s.shape[1], a.shape[1], config.hidden)
    net.standardise.fit(s.numpy())

    def batch_loss() -> Tensor:
        draw = torch.randint(len(y), (config.batch,), generator=generator)
        return nn.functional.binary_cross_entropy_with_logits(net(s[draw], a[draw], config.input_noise), y[draw])

    clone(net, batch_loss, config, "failure predictor", None)
    return FailurePredictor(config, names, a.shape[1], net)
