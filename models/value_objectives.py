"""What a value net is taught: ours, and the two published objectives to be compared with it.

    successes   smooth L1 of V to p_t = t / (T - 1) on successes, on a clock that stands still in stalls and takeovers
    release     MSE(V, y) + .3 MSE(V, G + p) + MSE(V, p)[success] + .05 mean max(0, V - G)
    paper       smooth L1(V, y) + .3 smooth L1(V, p)[success] + mean max(0, V_t - V_{t+1}) + .05 (lse V[fail] - mean V)

y = r_t + g (1 - done) min_k V_k(o_{t+1}) without gradient, g = .99, r = 1 at the end of a success and 0 elsewhere,
G = g^(T-1-t) in a success and 0 in a failure (UniIntervene, released code and readers of the text; p on the plain
clock). Both teach every step of a failure towards 0, which teaches which policy acted: offered for comparison, judged
by the same gate. A hand-over is not an end: a step whose successor another actor made has no y. Unknown outcomes teach
nothing. The first thirtieth of the steps leaves out y, the bound by G and the last term, as the release's first epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from episodes.record import Array
from models.dataset import StepData
from models.networks import ProgressNet
from models.progress import TakeoverProgress, assumed_stalls, progress_targets, takeover_progress
from models.value import ValueConfig, select

STALL_BEFORE_TAKEOVER_S = 3.5
"""a person waits about three seconds and reacts in half a one"""
DISCOUNT = 0.99
WARM_UP = 1 / 30
BLEND, BOUND = 0.3, 0.05


def progress_labels(episode: StepData) -> TakeoverProgress:
    """Progress (T,) of an episode, with stalls assumed before takeovers, and how much each step counts in training."""
    stalls = assumed_stalls(episode.source, round(STALL_BEFORE_TAKEOVER_S * episode.fps))
    return takeover_progress(episode.source, episode.success, stall_starts=stalls)


class Steps:
    """The steps of some episodes laid end to end, and their frames on demand."""

    def __init__(self, episodes: Sequence[StepData], config: ValueConfig, names: tuple[str, ...]) -> None:
        self._episodes, self._config = episodes, config
        self.proprio = torch.as_tensor(np.concatenate([select(e, names) for e in episodes]))
        self._index = np.concatenate(
            [np.stack([np.full(len(e), i), np.arange(len(e))], 1) for i, e in enumerate(episodes)]
        )

    def progress(self, net: ProgressNet, draw: Tensor) -> Tensor:
        """(B, K) V of the steps `draw`, with the noise of training."""
        config = self._config
        images = torch.as_tensor(self._frames(self._index[draw.numpy()])) if config.cameras else None
        return net.progress(net.latent(images, self.proprio[draw], config.proprio_noise))

    def _frames(self, index: Array) -> Array:
        config = self._config
        return np.concatenate([self._episodes[i].images([t], config.cameras, config.image_px) for i, t in index])


class SuccessObjective:
    """V is progress, and failures teach nothing."""

    def __init__(self, episodes: Sequence[StepData], config: ValueConfig, names: tuple[str, ...]) -> None:
        self._config = config
        successes = [e for e in episodes if e.success]
        labels = [progress_labels(e) for e in successes]
        weights = np.concatenate([p.weights * e.weight for e, p in zip(successes, labels, strict=True)])
        self._weights = torch.as_tensor(weights, dtype=torch.float32)
        self._targets = torch.as_tensor(np.concatenate([p.targets for p in labels]), dtype=torch.float32)
        self.steps = Steps(successes, config, names)

    def loss(self, net: ProgressNet, generator: torch.Generator, done: float) -> Tensor:
        """Loss of one batch; `done` is the share of the training that is over."""
        draw = torch.multinomial(self._weights, self._config.batch, replacement=True, generator=generator)
        progress = self.steps.progress(net, draw)
        target = self._targets[draw][:, None].expand_as(progress)
        return nn.functional.smooth_l1_loss(progress, target, beta=self._config.beta)


class PublishedObjective:
    """The release's or the paper's: half of each batch from failures, where there are any."""

    def __init__(self, episodes: Sequence[StepData], config: ValueConfig, names: tuple[str, ...]) -> None:
        self._config = config
        self.steps = Steps(episodes, config, names)
        known = [_labelled(e) for e in episodes]
        columns = [np.concatenate(column) for column in zip(*known, strict=True)]
        self._progress, self._return, self._reward, self._end, self._success, self._weight = (
            torch.as_tensor(column, dtype=torch.float32) for column in columns
        )
        runs = [np.arange(len(e)) < _stop(e) - 1 for e in episodes]
        self._followed = torch.as_tensor(np.concatenate(runs))

    def loss(self, net: ProgressNet, generator: torch.Generator, done: float) -> Tensor:
        """Loss of one batch; `done` is the share of the training that is over."""
        draw = self._draw(generator)
        value = self.steps.progress(net, draw)
        after = self.steps.progress(net, torch.where(self._followed[draw], draw + 1, draw))
        backup = self._reward[draw] + DISCOUNT * (1 - self._end[draw]) * after.detach().min(dim=1).values
        known = self._followed[draw] | (self._end[draw] > 0)
        rest = (backup, known, self._progress[draw], self._return[draw], self._success[draw], self._followed[draw])
        columns = [column[:, None].to(value.dtype) for column in rest]
        terms = _release if self._config.objective == "release" else _paper
        return terms(_Batch(value, after, *columns), warm=done >= WARM_UP)

    def _draw(self, generator: torch.Generator) -> Tensor:
        groups = [self._weight * (self._success == kind) for kind in (1.0, 0.0)]
        some = [group for group in groups if bool((group > 0).any())]
        each = self._config.batch // len(some)
        return torch.cat([torch.multinomial(group, each, replacement=True, generator=generator) for group in some])


class _Batch(NamedTuple):
    """Some steps: V here and after (B, K); the rest (B, 1)."""

    value: Tensor
    after: Tensor
    backup: Tensor
    """y"""
    known: Tensor
    """1 where there is a y"""
    progress: Tensor
    returns: Tensor
    """G"""
    success: Tensor
    followed: Tensor
    """1 where the next step is of the same run"""


def _labelled(episode: StepData) -> tuple[Array, ...]:
    """p, G, r, end, success and weight of each step of an episode whose outcome is known."""
    steps, success = len(episode), bool(episode.success)
    last = np.arange(steps) == steps - 1
    progress = progress_targets(steps, success)
    returns = DISCOUNT ** np.arange(steps - 1, -1, -1.0) * success
    return progress, returns, last * success, last, np.full(steps, success), np.full(steps, episode.weight)


def _stop(episode: StepData) -> Array:
    """(T,) the step at which each step's run stops."""
    return np.concatenate([np.full(stop - start, stop) for start, stop in episode.runs])


def _mean(error: Tensor, counts: Tensor) -> Tensor:
    """Mean over the entries that count; 0 where none does."""
    counts = counts.expand_as(error)
    return (error * counts).sum() / counts.sum().clamp(min=1)


def _release(b: _Batch, *, warm: bool) -> Tensor:
    temporal = _mean((b.value - b.backup) ** 2, b.known) * warm
    blend = ((b.value - (b.returns + b.progress)) ** 2).mean()
    bound = torch.relu(b.value - b.returns).mean() * warm
    return temporal + BLEND * blend + _mean((b.value - b.progress) ** 2, b.success) + BOUND * bound


def _paper(b: _Batch, *, warm: bool) -> Tensor:
    smooth = nn.functional.smooth_l1_loss
    temporal = _mean(smooth(b.value, b.backup.expand_as(b.value), reduction="none"), b.known) * warm
    labelled = _mean(smooth(b.value, b.progress.expand_as(b.value), reduction="none"), b.success)
    falling = _mean(torch.relu(b.value - b.after), b.followed) * warm
    failed = b.value[b.success[:, 0] == 0]
    pushed = torch.logsumexp(failed.flatten(), 0) - b.value.mean() if len(failed) else b.value.new_zeros(())
    return temporal + BLEND * labelled + falling + BOUND * warm * pushed
