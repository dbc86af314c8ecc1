"""The record of many runs in three small tables, from which every printed figure can be computed again.

    runs.parquet          one row a run: how it was made, and its episodes of training as a list
    evaluations.parquet   one row an evaluation: when, how many succeeded, and its trials as a list
    crashes.parquet       one row a run that crashed and was not run again

The recordings themselves stay in the workspace: `episode_id` is empty here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from episodes.errors import DataRefused
from episodes.workspace import atomic_write
from robot_io.benchmark.record import RunRecord, TrainingEpisode, Trial, columns_of

RUNS, EVALUATIONS, CRASHES = "runs.parquet", "evaluations.parquet", "crashes.parquet"
_TEXTS = ("versions", "config", "made")
"""kept as JSON"""
_NAME = {"task": pl.String, "method": pl.String, "seed": pl.Int64}


def write_record(directory: Path, runs: Sequence[RunRecord], crashes: Sequence[Mapping[str, Any]]) -> None:
    """Write the three tables."""
    made = pl.DataFrame([_run(run) for run in runs], schema=_RUN)
    judged = pl.DataFrame([row for run in runs for row in _evaluations(run)], schema=_EVALUATION)
    crashed = pl.DataFrame(list(crashes), schema=_NAME | {"error": pl.String})
    for name, table in ((RUNS, made), (EVALUATIONS, judged), (CRASHES, crashed)):
        buffer = io.BytesIO()
        table.write_parquet(buffer, compression_level=19)
        atomic_write(directory / name, buffer.getvalue())


def read_record(directory: Path) -> tuple[list[RunRecord], list[dict[str, Any]]]:
    """The runs and the crashes; `DataRefused` where there is no record."""
    if not (directory / RUNS).exists():
        raise DataRefused(f"there is no record of the benchmark in {directory}; begin with `regrasp benchmark run`")
    trials: dict[tuple[Any, ...], list[Trial]] = {}
    for row in pl.read_parquet(directory / EVALUATIONS).iter_rows(named=True):
        step_and_test = {"step": row["step"], "test": row["test"]}
        found = [Trial(**step_and_test, **trial) for trial in row["trials"]]
        trials.setdefault(tuple(row[name] for name in _NAME), []).extend(found)
    runs = []
    for row in pl.read_parquet(directory / RUNS).iter_rows(named=True):
        row |= {name: json.loads(row[name]) for name in _TEXTS}
        row["training"] = [TrainingEpisode.of(r) for r in row["training"]]
        runs.append(RunRecord(**row, trials=trials.get(tuple(row[name] for name in _NAME), [])))
    return runs, pl.read_parquet(directory / CRASHES).to_dicts()


def _run(run: RunRecord) -> dict[str, Any]:
    row = {name: getattr(run, name) for name in (*_NAME, "seconds")}
    row |= {name: json.dumps(getattr(run, name), sort_keys=True) for name in _TEXTS}
    return row | {"training": [asdict(episode) | {"episode_id": ""} for episode in run.training]}


def _evaluations(run: RunRecord) -> list[dict[str, Any]]:
    rows = []
    for (step, test), found in groupby(run.trials, key=lambda trial: (trial.step, trial.test)):
        trials = [{name: getattr(trial, name) for name in _JUDGED} for trial in found]
        row = {**{name: getattr(run, name) for name in _NAME}, "step": step, "test": test, "episodes": len(trials)}
        rows.append(row | {"successes": sum(trial["success"] for trial in trials), "trials": trials})
    return rows


_JUDGED = {name: kind for name, kind in columns_of(Trial).items() if name not in ("step", "test")}
_RUN: dict[str, Any] = {
    **_NAME,
    "seconds": pl.Float64,
    **dict.fromkeys(_TEXTS, pl.String),
    "training": pl.List(pl.Struct(columns_of(TrainingEpisode))),
}
_EVALUATION: dict[str, Any] = {
    **_NAME,
    "step": pl.Int64,
    "test": pl.Boolean,
    "episodes": pl.Int64,
    "successes": pl.Int64,
    "trials": pl.List(pl.Struct(_JUDGED)),
}
