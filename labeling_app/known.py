"""A task's episodes as training reads them, for previews: frozen decisions, splits, value curves, audited labels.

Pure access, no torch. Read once for each state of the files; what a preview counts over is then what a materialization
would count over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from episodes.errors import DataRefused
from episodes.record import ActionSource, Array
from labeling_app.data import CURVES, LABELS, TRIGGERS, Library
from models.agreement import Interval
from models.calibration import Calibration, Thresholds, calibration_successes
from models.dataset import StepData, load_decided
from models.labelling import trained_labels
from models.sealed import read_sealed

DECIDED, SPLIT, TABLE = "episodes/decided", "episodes/split", "table.parquet"
AUDITED, VALUE_MODEL, INTERVENTION = "labels/audited", "values/model", "models/intervention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One task."""

    episodes: Sequence[StepData]
    """usable ones, with the outcome of the newest episode freeze"""
    values: Mapping[str, Array]
    """episode_id -> (T,) V"""

    def by_id(self) -> dict[str, StepData]:
        return {episode.episode_id: episode for episode in self.episodes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """The trigger's two curves on every episode, and on which it was calibrated with what."""

    parts: Mapping[str, tuple[Array, Array]]
    """episode_id -> CUSUM, probability"""
    calibration: Sequence[Calibration]
    alpha: float
    early_alpha: float

    def fired(self, found: Thresholds) -> dict[str, bool]:
        """episode_id -> whether the early alarm is ever raised."""
        return {
            name: bool((cusum / found.cusum + probability / found.probability > found.early).any())
            for name, (cusum, probability) in self.parts.items()
        }


def stamp(library: Library, task: str) -> tuple[int, ...]:
    """Changes whenever something that `read` or `alarms` reads has changed."""
    derived = library.workspace.derived
    tables = [derived / stage / task / TABLE for stage in (DECIDED, SPLIT)]
    made = [derived / stage / task / "manifest.json" for stage in (AUDITED, INTERVENTION, LABELS)]
    curves = [derived / stage / session for stage in (CURVES, TRIGGERS) for session in library.store.sessions(task)]
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in (*tables, *made, *curves))


def read(library: Library, task: str) -> Known:
    """The task's episodes and their curves; `DataRefused` where the stages before the labels were not made."""
    tables = [library.workspace.derived / stage / task / TABLE for stage in (DECIDED, SPLIT)]
    missing = next((path for path in tables if not path.exists()), None)
    curves = library.curves(task)
    if missing is not None or curves is None:
        raise DataRefused(f"{task} has no decided episodes with value curves yet; run `regrasp materialize`")
    decided, split = (pl.read_parquet(path) for path in tables)
    return Known(episodes=load_decided(library.store, decided, split), values=columns(curves, "value")["value"])


def columns(frames: pl.DataFrame, *names: str) -> dict[str, dict[str, Array]]:
    """Column -> episode_id -> (T,), of a table with a row for every step."""
    out: dict[str, dict[str, Array]] = {name: {} for name in names}
    for (episode_id,), rows in frames.group_by(["episode_id"], maintain_order=True):
        for name in names:
            out[name][str(episode_id)] = rows[name].to_numpy()
    return out


def alarms(library: Library, task: str, known: Known) -> Alarms:
    """What the trigger's thresholds are made of; `DataRefused` where it was not made, or by an older Regrasp."""
    triggers = library.triggers(task)
    place = library.workspace.derived / INTERVENTION / task
    audited = library.workspace.derived / AUDITED / task / "labels.parquet"
    if triggers is None or not {"cusum", "probability"} <= set(triggers.columns) or not audited.exists():
        raise DataRefused(f"{task} has no trigger curves that say what the score is made of; run `regrasp materialize`")
    found = columns(triggers, "cusum", "probability")
    parts = {name: (found["cusum"][name], found["probability"][name]) for name in found["cusum"]}
    config = read_sealed(place / "trigger.json")["config"]
    clean = calibration_successes(
        known.episodes, _trained_on(library, task), learning=config["learning"], recent=config["recent"]
    )
    labels = trained_labels(pl.read_parquet(audited), {e.episode_id: len(e) for e in clean})
    calibration = [
        Calibration(
            cusum=parts[e.episode_id][0],
            probability=parts[e.episode_id][1],
            own=e.source != ActionSource.RECOVERY,
            label=labels[e.episode_id],
        )
        for e in clean
        if e.episode_id in parts
    ]
    return Alarms(
        parts=parts, calibration=calibration, alpha=float(config["alpha"]), early_alpha=float(config["early_alpha"])
    )


def _trained_on(library: Library, task: str) -> Mapping[str, Any]:
    """Group id -> fold, of what the value model was trained on."""
    config = read_sealed(library.workspace.derived / VALUE_MODEL / task / "config.json")
    folds: Mapping[str, Any] = config["fold_of"]
    return folds


def seen(marks: Mapping[str, Sequence[tuple[int, int, str]]]) -> tuple[list[Interval], list[Interval]]:
    """What people saw of progress: intervals without (stagnant, regress) and with it."""
    stuck: list[Interval] = []
    free: list[Interval] = []
    for episode_id, given in marks.items():
        for start, stop, mark in painted(given):
            (free if mark == "progress" else stuck).append((episode_id, start, stop))
    return stuck, free


def painted(given: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """What is left to be seen of marks given one over the other, in order of steps."""
    length = max((stop for _, stop, _ in given), default=0)
    steps = np.full(length, "none", dtype="<U8")
    for start, stop, mark in given:
        steps[start:stop] = mark
    edges = [0, *(np.flatnonzero(steps[1:] != steps[:-1]) + 1).tolist(), length]
    runs = [(start, stop, str(steps[start])) for start, stop in pairwise(edges) if stop > start]
    return [run for run in runs if run[2] != "none"]
