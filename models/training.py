"""How every net here is trained: one loop, and what may be asked of it besides the last weights.

    θ ← AdamW(θ, ∇ loss(batch)), `steps` times, on a schedule where there is one

A training is looked at `looks` times. At each look the mean loss since the one before is a point of the learning curve.
With `validate` the loss of the validation episodes is taken as well, on the same batches each time; the weights that
had the lowest are kept, and after `patience` looks without a lower one the training stops. With a directory a snapshot
is left there, from which a killed training goes on. None of it draws from the random numbers of the training: the last
weights of a run that was looked at, or killed and gone on with, are those of one that was not, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from episodes.errors import DataRefused, UsageError
from models.dataset import Progress
from models.processes import heed_stop
from models.snapshots import Point, State, begun, leave

Data = TypeVar("Data")
BatchLoss = Callable[[float], Tensor]
"""loss of a batch it draws itself, given the share of the training that is over"""
HELD_OUT_BATCHES = 8
"""of validation episodes, at each look"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """What is asked of every training."""

    looks: int = 20
    """at a training, equally spaced: points of its learning curve, and places to go on from"""
    validate: bool = False
    """keep the weights with the lowest loss on the validation episodes, instead of the last"""
    patience: int = 0
    """looks without a lower validation loss after which the training stops; 0: never"""

    def __post_init__(self) -> None:
        if self.looks < 1 or self.patience < 0 or (self.patience and not self.validate):
            raise UsageError("a training is looked at once or more, and patience needs validate: true; correct it")


class HeldOut(NamedTuple):
    """The loss on validation episodes, and the generator it draws its batches from."""

    loss: BatchLoss
    generator: torch.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The trainings of one stage."""

    config: TrainingConfig = field(default_factory=TrainingConfig)
    directory: Path | None = None
    """where a snapshot of each net is left; None: nowhere"""
    of: str = ""
    """what is trained, as a version of its inputs and settings: the snapshot of another is not gone on with"""
    curves: dict[str, list[Point]] = field(default_factory=dict)
    """net -> its learning curve, filled as they are trained"""

    def held_out(self, data: Data | None, build: Callable[[Data, torch.Generator], BatchLoss]) -> HeldOut | None:
        """The loss that `build` makes of what the validation episodes hold; None where it is not asked for."""
        if not self.config.validate:
            return None
        if not data:
            raise DataRefused(
                "no validation episode can say which weights are the best; collect more episodes, or set "
                "training.validate to false"
            )
        generator = torch.Generator()
        return HeldOut(build(data, generator), generator)

    def descend(
        self,
        name: str,
        net: nn.Module,
        loss: BatchLoss,
        optimiser: torch.optim.Optimizer,
        generator: torch.Generator,
        *,
        steps: int,
        schedule: LRScheduler | None = None,
        clip: float | None = None,
        held_out: HeldOut | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Train `net` in place and leave it in eval mode; `loss` draws its batches from `generator`.

        `clip`: largest norm of the gradient; `held_out` is asked only with `validate`; `progress` hears of each look.
        """
        parts = (net, optimiser, schedule, generator)
        file = None if self.directory is None else self.directory / f"{name}.safetensors"
        state = begun(file, self.of, *parts)
        every = max(1, steps // self.config.looks)
        while state.step < steps and not 0 < self.config.patience <= state.waited:
            heed_stop()
            _one_step(loss(state.step / steps), net, optimiser, schedule, clip, state)
            if state.step % every == 0 or state.step == steps:
                self._look(net, state, held_out)
                if file is not None:
                    leave(file, self.of, state, *parts)
                if progress:
                    progress(name, state.step, steps)
        if state.best:
            net.load_state_dict(state.best)
        net.eval()
        self.curves[name] = state.points

    def _look(self, net: nn.Module, state: State, held_out: HeldOut | None) -> None:
        """Add a point to the curve, and take the weights where they are the best so far."""
        validation = math.nan
        if self.config.validate and held_out is not None:
            lowest = min((p.validation for p in state.points), default=math.inf)
            validation = _held_out_loss(net, held_out)
            state.waited += 1
            if validation < lowest:
                state.best, state.waited = {k: v.clone() for k, v in net.state_dict().items()}, 0
        state.points.append(Point(state.step, sum(state.losses) / len(state.losses), validation))
        state.losses.clear()


def _one_step(
    loss: Tensor,
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: LRScheduler | None,
    clip: float | None,
    state: State,
) -> None:
    optimiser.zero_grad()
    loss.backward()
    if clip is not None:
        nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimiser.step()
    if schedule is not None:
        schedule.step()
    state.step += 1
    state.losses.append(float(loss.detach()))


def _held_out_loss(net: nn.Module, held_out: HeldOut) -> float:
    """Mean over the same batches, with the same noise, at every look; the random numbers outside are left alone."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        held_out.generator.manual_seed(0)
        net.eval()
        losses = [float(held_out.loss(1.0)) for _ in range(HELD_OUT_BATCHES)]
        net.train()
    return sum(losses) / len(losses)
