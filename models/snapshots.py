"""Where a training was when it was last looked at: one safetensors file.

    net.* best.* weights   adam.<parameter>.<moment>   random.global random.batches   told: JSON of step, rates, points

A snapshot says of what it is. That of anything else is passed over and written over. Nothing is unpickled.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from episodes.errors import IntegrityError
from episodes.workspace import atomic_write


class Point(NamedTuple):
    """One point of a learning curve."""

    step: int
    """steps done"""
    loss: float
    """mean over the batches since the point before"""
    validation: float
    """NaN where it was not asked for"""


@dataclass(slots=True)
class State:
    """Where a training is."""

    step: int = 0
    points: list[Point] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    """since the last point"""
    best: dict[str, Tensor] = field(default_factory=dict)
    """the weights kept by validation; empty without"""
    waited: int = 0
    """looks since they were taken"""


def leave(
    file: Path,
    of: str,
    state: State,
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: LRScheduler | None,
    generator: torch.Generator,
) -> None:
    """Write all that the next step depends on, whole or not at all."""
    tensors = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in state.best.items()}
    adam = optimiser.state_dict()
    for number, moments in adam["state"].items():
        tensors |= {f"adam.{number}.{name}": moment for name, moment in moments.items()}
    tensors |= {"random.global": torch.get_rng_state(), "random.batches": generator.get_state()}
    told = {
        "of": of,
        "step": state.step,
        "waited": state.waited,
        "points": [[p.step, p.loss, None if math.isnan(p.validation) else p.validation] for p in state.points],
        "groups": adam["param_groups"],
        "schedule": _plain(schedule.state_dict()) if schedule else None,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors["told"] = torch.frombuffer(bytearray(json.dumps(told).encode()), dtype=torch.uint8)
    atomic_write(file, save({name: tensor.contiguous() for name, tensor in tensors.items()}))


def begun(
    file: Path | None,
    of: str,
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: LRScheduler | None,
    generator: torch.Generator,
) -> State:
    """Put everything where a snapshot of this very training left it; the start where there is none.

    `IntegrityError` for a file that is no snapshot.
    """
    if file is None or not file.exists():
        return State()
    told, tensors = _read(file)
    if told["of"] != of:
        return State()
    net.load_state_dict(_under("net.", tensors))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("adam.", tensors).items():
        number, _, moment = name.partition(".")
        moments.setdefault(int(number), {})[moment] = tensor
    optimiser.load_state_dict({"state": moments, "param_groups": told["groups"]})
    if schedule is not None:
        schedule.load_state_dict(told["schedule"])
    torch.set_rng_state(tensors["random.global"])
    generator.set_state(tensors["random.batches"])
    points = [Point(step, loss, math.nan if held is None else held) for step, loss, held in told["points"]]
    return State(told["step"], points, best=_under("best.", tensors), waited=told["waited"])


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        tensors = load(file.read_bytes())
        return json.loads(tensors["told"].numpy().tobytes()), tensors
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise IntegrityError(f"{file} is no snapshot of a training ({error}); remove it") from error


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """What of a schedule is a number or a list of them; the rest it has from its making."""
    return {name: value for name, value in state.items() if isinstance(value, int | float | list | str)}
