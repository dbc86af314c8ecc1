"""How the two behaviour clones descend: AdamW on a one-cycle schedule, a fixed number of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import nn

from models.dataset import Progress

REPORT_STEPS = 250


class CloneConfig(Protocol):
    """What of a clone's settings the descent reads."""

    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


def clone(
    net: nn.Module, batch_loss: Callable[[], torch.Tensor], config: CloneConfig, name: str, progress: Progress | None
) -> None:
    """Train `net` in place on `batch_loss`, which draws its own batch; `progress` hears `name` as it goes."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=config.steps + 1)
    for step in range(1, config.steps + 1):
        loss = batch_loss()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if progress and step % REPORT_STEPS == 0:
            progress(name, step, config.steps)
    net.eval()
