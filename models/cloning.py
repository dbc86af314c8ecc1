"""How the clones descend: AdamW on a one-cycle schedule, by the one loop of `models.training`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import nn

from models.dataset import Progress
from models.training import HeldOut, Training


class CloneConfig(Protocol):
    """What of a clone's settings the descent reads."""

    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


def clone(
    net: nn.Module,
    batch_loss: Callable[[], torch.Tensor],
    config: CloneConfig,
    name: str,
    progress: Progress | None,
    *,
    generator: torch.Generator = torch.default_generator,
    training: Training | None = None,
    held_out: HeldOut | None = None,
) -> None:
    """Train `net` in place on `batch_loss`, which draws its own batch; `progress` hears `name` as it goes.

    `generator` is what the batches are drawn from, where a training may be gone on with.
    """
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=config.steps + 1)
    (training or Training()).descend(
        name,
        net,
        lambda _: batch_loss(),
        optimiser,
        generator,
        steps=config.steps,
        schedule=schedule,
        held_out=held_out,
        progress=progress,
    )
