"""What a run of the benchmark leaves: one row for each episode of training and each trial, and how it was made.

    <run>/run.json              task, method, seed, every setting, versions, seconds          (sealed)
    <run>/training.parquet      one row an episode
    <run>/trials.parquet        one row a trial of the policy alone
    <run>/crash.json            instead of all that: what ended a run that should not have ended

The rows carry task, method and seed, so that those of many runs are one table. Everything printed is computed from
them; nothing is kept that could be computed.
"""

from __future__ import annotations

import io
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from episodes.workspace import atomic_write
from models.sealed import read_sealed, write_sealed
from robot_io.benchmark.protocol import VERSION

RUN, TRAINING, TRIALS, CRASH = "run.json", "training.parquet", "trials.parquet", "crash.json"
BROKEN = "fault"
"""failure mode of an episode in which the physics diverged: counted, and nothing is learned from it"""
BEFORE = ("unnoticed", "unanswered", "in recovery", "after recovery")
"""what the robot had done about the trouble: no trigger; a trigger that no recovery answered; a recovery that was at
work, or one that had handed back"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEpisode:
    """One episode while the method learned."""

    index: int
    reset_seed: int
    first_step: int
    """steps of training before it"""
    steps: int
    policy_steps: int
    human_steps: int
    recovery_steps: int
    hold_steps: int
    success: bool
    end_reason: str
    failure_mode: str
    """empty for a success"""
    reasons: tuple[str, ...]
    """of the takeovers, in order"""
    before: tuple[str, ...]
    """of the takeovers, in order: one of `BEFORE`"""
    triggers: int
    recoveries: int
    recoveries_better: int
    fault: str
    episode_id: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> TrainingEpisode:
        """From a row that was written: its texts come as lists."""
        whole: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in row.items()}
        return cls(**whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One episode of the policy alone."""

    step: int
    """steps of training that the policy had seen"""
    test: bool
    """of the last evaluation, on the test seeds"""
    reset_seed: int
    success: bool
    steps: int
    failure_mode: str
    """empty for a success"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run."""

    task: str
    method: str
    seed: int
    config: Mapping[str, Any]
    """schedule, method and demonstrations"""
    versions: Mapping[str, str]
    seconds: float
    """of work, evaluation included; no part of what is compared"""
    training: Sequence[TrainingEpisode]
    trials: Sequence[Trial]
    made: Mapping[str, Any] = field(default_factory=dict)
    """what the method made on the way"""

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows of training and of the trials."""
        return self._frame(self.training, TrainingEpisode), self._frame(self.trials, Trial)

    def write(self, directory: Path) -> None:
        """The rows first: where `run.json` is, the run is done."""
        for name, frame in zip((TRAINING, TRIALS), self.frames(), strict=True):
            buffer = io.BytesIO()
            frame.write_parquet(buffer)
            atomic_write(directory / name, buffer.getvalue())
        names = ("task", "method", "seed", "config", "versions", "seconds", "made")
        rest = {name: getattr(self, name) for name in names}
        write_sealed(directory / RUN, rest)
        (directory / CRASH).unlink(missing_ok=True)

    def _frame(self, rows: Sequence[TrainingEpisode] | Sequence[Trial], kind: type) -> pl.DataFrame:
        columns = {"task": pl.String, "method": pl.String, "seed": pl.Int64} | columns_of(kind)
        mine = {"task": self.task, "method": self.method, "seed": self.seed}
        return pl.DataFrame([mine | asdict(row) for row in rows], schema=columns)


def run_directory(root: Path, schedule: str, task: str, method: str, seed: int) -> Path:
    """Where a run of the workspace `root` is, a workspace of its own; `schedule` is the name of its schedule."""
    return root / "benchmark" / schedule / task / method / str(seed)


def read_run(directory: Path) -> RunRecord | None:
    """The record of a finished run; None where it is not finished."""
    if not (directory / RUN).exists():
        return None
    rows = {name: pl.read_parquet(directory / name).drop("task", "method", "seed") for name in (TRAINING, TRIALS)}
    training = [TrainingEpisode.of(row) for row in rows[TRAINING].iter_rows(named=True)]
    trials = [Trial(**row) for row in rows[TRIALS].iter_rows(named=True)]
    return RunRecord(**read_sealed(directory / RUN), training=training, trials=trials)


def versions() -> dict[str, str]:
    """What a run's numbers depend on."""
    return {"protocol": VERSION, "python": platform.python_version()} | {
        name: version(name) for name in ("regrasp", "mujoco", "numpy", "torch")
    }


def columns_of(kind: type) -> dict[str, Any]:
    """The columns of a table of such rows."""
    types = {"int": pl.Int64, "bool": pl.Boolean, "str": pl.String, "tuple[str, ...]": pl.List(pl.String)}
    return {name: types[annotation] for name, annotation in kind.__annotations__.items()}
