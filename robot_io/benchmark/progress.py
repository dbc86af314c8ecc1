"""What a killed run goes on from: one file, whole or not at all, with every number that its rest depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from episodes.errors import DataRefused, IntegrityError
from episodes.workspace import atomic_write
from robot_io.benchmark.record import TrainingEpisode, Trial

CHECKPOINT = "checkpoint.safetensors"


@dataclass(slots=True)
class SoFar:
    """What a run has done."""

    training: list[TrainingEpisode] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        """Steps of training."""
        return self.training[-1].first_step + self.training[-1].steps if self.training else 0


def save_progress(directory: Path, so_far: SoFar, tensors: Mapping[str, Tensor], made_by: Mapping[str, Any]) -> None:
    """Write the checkpoint; `made_by` says of which run it is."""
    text = json.dumps({"made_by": made_by, "so_far": asdict(so_far)})
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    atomic_write(directory / CHECKPOINT, save(whole, metadata={"run": text}))


def load_progress(directory: Path, made_by: Mapping[str, Any]) -> tuple[SoFar, dict[str, Tensor]] | None:
    """What `save_progress` wrote, None where there is nothing.

    `DataRefused` where it is of another configuration or of other versions, `IntegrityError` where it is damaged.
    """
    path = directory / CHECKPOINT
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            run = json.loads(file.metadata()["run"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path} is damaged ({error}); remove it, and the run begins anew") from error
    if run["made_by"] != made_by:
        raise DataRefused(
            f"the run in {directory} was begun with other settings or versions, so it cannot go on with these; "
            "go on where it was begun, or remove the directory"
        )
    return _rows(run["so_far"]), tensors


def forget_progress(directory: Path) -> None:
    """The run is done: its record says all."""
    (directory / CHECKPOINT).unlink(missing_ok=True)


def _rows(saved: dict[str, Any]) -> SoFar:
    training = [TrainingEpisode.of(row) for row in saved["training"]]
    return SoFar(training, [Trial(**row) for row in saved["trials"]], saved["seconds"])
