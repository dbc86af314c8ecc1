"""A monitor and a recovery from the episodes of a run so far: the chain of the assets, in one call.

    episodes -> V -> stagnation labels -> intervention model -> trigger
                 \\-> recovery memory       \\ recovery policy

The functions and their order are those of the assets. What differs is the schedule (fewer gradient steps, so that a
refit takes seconds on one thread) and the audit: nobody looks at a benchmark's labels, so the freeze of a round, named
after the run, is the mined labels unchanged. Nothing is judged on these episodes, so there is no split either: every
curve comes from nets that did not train on its episode.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from models.dataset import StepData
from models.intervention import InterventionConfig, fit_intervention
from models.labelling import apply_audit, mine_task, trained_labels
from models.recall import MemoryConfig, build_memory
from models.recovery import RecoveryConfig, fit_recovery
from models.stagnation import StagnationConfig
from models.trigger import TriggerConfig, fit_trigger
from models.value import ValueConfig
from models.value_training import fit_value

PARTS = ("value", "trigger", "memory", "recovery")
LABELS = "labels.parquet"
REMEMBERED = MemoryConfig(human_only=True, count=1_500, per_episode=40, span_s=4.0, floor_quantile=None)
"""A policy that changes is stuck in ever new places: the nearest rescue is followed wherever that is. Where it does
not help, the recovery gives up and the person is asked all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefitConfig:
    """Settings of the chain."""

    value: ValueConfig = field(default_factory=lambda: ValueConfig(cameras=(), steps=300, workers=1))
    stagnation: StagnationConfig = field(default_factory=StagnationConfig)
    intervention: InterventionConfig = field(default_factory=lambda: InterventionConfig(steps=250, batch=128))
    trigger: TriggerConfig = field(default_factory=lambda: TriggerConfig(learning=True, early_alpha=0.1))
    memory: MemoryConfig = field(default_factory=lambda: REMEMBERED)
    recovery: RecoveryConfig = field(default_factory=RecoveryConfig)


def refit(episodes: Sequence[StepData], directory: Path, config: RefitConfig) -> dict[str, Any]:
    """Fit everything on `episodes`, save it in `directory`, and return what it was made of and came to.

    `DataRefused` where the episodes do not suffice yet, with the sentence of the stage that lacks something.
    """
    model = fit_value(episodes, config.value)
    curves = {e.episode_id: model.curves(e) for e in episodes}
    values = {name: curve.value for name, curve in curves.items()}
    mined = mine_task(episodes, values, config.stagnation)
    audited = apply_audit(mined.labels, {}, {e.episode_id: e.session for e in episodes})
    labels = trained_labels(audited, {e.episode_id: len(e) for e in episodes})
    value_hash = model.save(directory / "value")
    intervention = fit_intervention(episodes, labels, model, config.intervention, curves=curves, value_hash=value_hash)
    intervention_hash = intervention.save(directory / "trigger")
    trigger = fit_trigger(
        episodes, labels, model, intervention, config.trigger, curves=curves, intervention_hash=intervention_hash
    )
    trigger.save(directory / "trigger")
    built = build_memory(episodes, values, config.memory)
    built.memory.save(directory / "memory")
    built.encoder.save(directory / "memory")
    recovery_hash = fit_recovery(episodes, config.recovery).save(directory / "recovery")
    audited.write_parquet(directory / LABELS)
    return {
        "labels": labels_hash(audited),
        "intervals": len(audited),
        "episodes": len(episodes),
        "value": value_hash,
        "intervention": intervention_hash,
        "recovery": recovery_hash,
        "early_threshold": trigger.early_threshold,
        "calibration_episodes": trigger.calibration_episodes,
        "memory_items": len(built.memory),
        "median_duration_s": model.median_duration_s,
    }


def parts(directory: Path) -> dict[str, Path]:
    """The directories of a round, as `robot_io.deployment` loads them."""
    return {name: directory / name for name in PARTS}


def labels_hash(audited: pl.DataFrame) -> str:
    """16 hex digits over the intervals that a freeze holds."""
    rows = audited.select("label_id", "verdict").sort("label_id").rows()
    return hashlib.blake2b(repr(rows).encode(), digest_size=8).hexdigest()
