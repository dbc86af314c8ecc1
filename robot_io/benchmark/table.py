"""The table: what each method reached on each task and on average, with intervals, from the records of its runs.

Rates are fractions of 1. SR is the share of the last trials, the policy alone, that succeeded; IR the person's steps
among all steps of training, demonstrations excluded, and `ir_online` the same after the warm-up. The intervals are
95 % percentiles of a bootstrap in two levels: runs (seeds), then episodes within each. With three seeds they are
rough, and still wider and more honest than one over pooled episodes. A mean is over the rigid tasks, each counted
alike; which ones a method ran is named beside it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.record import Array
from models.sealed import read_sealed
from robot_io.benchmark.protocol import CONTROLS, METHODS, RIGID, TASKS
from robot_io.benchmark.record import CRASH, RUN, RunRecord, read_run
from robot_io.sim.arm import FPS_HZ

RESAMPLES = 1_000
_METHODS = (*METHODS, *CONTROLS)
Measure = Callable[[RunRecord], Array]
"""a run to (n, 2) rows of one episode each: how much, out of how much; their ratio of sums is the rate"""


def read_runs(directory: Path) -> list[RunRecord]:
    """All finished runs under `directory`, in the order of task, method and seed.

    `DataRefused` where there is none, and where they do not compare.
    """
    found = [read_run(path.parent) for path in sorted(directory.glob(f"**/{RUN}"))]
    runs = sorted((run for run in found if run is not None), key=lambda run: (run.task, run.method, run.seed))
    if not runs:
        raise DataRefused(f"no run of the benchmark is finished in {directory}; begin with `regrasp benchmark run`")
    check_alike(runs)
    return runs


def check_alike(runs: Sequence[RunRecord]) -> None:
    """Raise `DataRefused` where runs come from several versions of MuJoCo or of the protocol, or a task's schedules
    differ: one table of them would compare what is not the same."""
    for what, name in (("MuJoCo", "mujoco"), ("protocol", "protocol")):
        _one({run.versions.get(name, "unknown") for run in runs}, f"of the benchmark come from {what}")
    for task in sorted({run.task for run in runs}):
        schedules = {json.dumps(run.config["schedule"], sort_keys=True) for run in runs if run.task == task}
        _one(schedules, f"on {task} have the schedules")


def _one(found: set[str], told: str) -> None:
    if len(found) > 1:
        raise DataRefused(f"the runs {told} {' and '.join(sorted(found))}, so they do not compare; run all with one")


def read_crashes(directory: Path) -> list[dict[str, Any]]:
    """Task, method, seed and error of the runs that crashed and were not run again since."""
    return [read_sealed(path) for path in sorted(directory.glob(f"**/{CRASH}"))]


def table(runs: Sequence[RunRecord]) -> dict[str, list[dict[str, Any]]]:
    """`{mean: one row a method, tasks: one row a task and method}`; a mean is over `RIGID`, or those the method ran."""
    cells = by_cell(runs)
    methods = list(dict.fromkeys(m for _, m in cells))
    rigid = {m: {t: cell for (t, of), cell in cells.items() if of == m and t in RIGID} for m in methods}
    mean = [{"method": m, "tasks": list(cells)} | _row(cells) for m, cells in rigid.items() if cells]
    rows = [{"task": t, "method": m} | _row({t: cell}) for (t, m), cell in cells.items()]
    return {"mean": mean, "tasks": rows}


def by_cell(runs: Sequence[RunRecord]) -> dict[tuple[str, str], list[RunRecord]]:
    """(task, method) -> its runs; tasks and methods in the order of the protocol."""
    cells: dict[tuple[str, str], list[RunRecord]] = {}
    for run in sorted(runs, key=lambda run: (_place(run.task, TASKS), _place(run.method, _METHODS), run.seed)):
        cells.setdefault((run.task, run.method), []).append(run)
    return cells


def _place(name: str, order: Sequence[str]) -> tuple[int, str]:
    """Where a name stands; what the protocol does not know comes last."""
    return (order.index(name) if name in order else len(order), name)


def success(run: RunRecord) -> Array:
    """Last trials."""
    return np.array([(trial.success, 1.0) for trial in run.trials if trial.test]).reshape(-1, 2)


def intervention(run: RunRecord) -> Array:
    """Steps of training, by episode."""
    return _steps(run, "human_steps", 0)


def online_intervention(run: RunRecord) -> Array:
    """Steps of training after the warm-up, by episode."""
    return _steps(run, "human_steps", int(run.config["schedule"]["warm_up"]))


@dataclass(frozen=True, slots=True)
class Interval:
    """A rate and its 95 % interval; NaN where nothing was counted."""

    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, rate: float, drawn: Array) -> Interval:
        """From the rate of what was seen and those of its resamples."""
        low, high = np.quantile(drawn, [0.025, 0.975])
        return cls(rate, float(low), float(high))

    def named(self, name: str) -> dict[str, float | None]:
        """As three fields of a row; None for NaN, as JSON has it."""
        fields = {name: self.rate, f"{name}_lo": self.low, f"{name}_hi": self.high}
        return {key: None if np.isnan(value) else value for key, value in fields.items()}


def interval(tasks: Iterable[Sequence[RunRecord]], measure: Measure, seed: int = 0) -> Interval:
    """The mean over tasks of a rate, and its interval."""
    measured = [[rows for run in runs if len(rows := measure(run))] for runs in tasks]
    measured = [rows for rows in measured if rows]
    return Interval.of(mean_rate(measured), draws(measured, seed)) if measured else Interval(np.nan, np.nan, np.nan)


def draws(tasks: Sequence[Sequence[Array]], seed: int) -> Array:
    """(RESAMPLES,) mean rates of resampled tasks -> runs -> (n, 2) rows."""
    random = np.random.default_rng(seed)
    drawn: Array = np.mean([_resampled(runs, random) for runs in tasks], axis=0)
    return drawn


def mean_rate(tasks: Sequence[Sequence[Array]]) -> float:
    """The mean over tasks of the rate in all their rows."""
    return float(np.mean([_rate(runs) for runs in tasks]))


def _resampled(runs: Sequence[Array], random: np.random.Generator) -> Array:
    """(RESAMPLES,) rates, each of as many runs at random, and of each of them as many episodes at random."""
    chosen = random.integers(len(runs), size=(RESAMPLES, len(runs)))
    sums = np.empty((*chosen.shape, 2))
    for place, rows in enumerate(runs):
        here = chosen == place
        episodes = random.integers(len(rows), size=(np.count_nonzero(here), len(rows)))
        sums[here] = rows[episodes].sum(axis=1)
    total = sums.sum(axis=1)
    rates: Array = total[:, 0] / total[:, 1]
    return rates


def _rate(runs: Sequence[Array]) -> float:
    total = np.sum([rows.sum(axis=0) for rows in runs], axis=0)
    return float(total[0] / total[1])


def _steps(run: RunRecord, name: str, after: int) -> Array:
    """(n, 2) steps of one kind and all steps, of the episodes that began at step `after` or later."""
    rows = [(getattr(row, name), row.steps) for row in run.training if row.first_step >= after]
    return np.array(rows, float).reshape(-1, 2)


def _row(tasks: dict[str, list[RunRecord]]) -> dict[str, Any]:
    """One row over the runs of one method."""
    runs = [run for cell in tasks.values() for run in cell]
    training = [row for run in runs for row in run.training]
    trials = [trial for run in runs for trial in run.trials if trial.test]
    steps = sum(row.steps for row in training)
    human = sum(row.human_steps for row in training)
    won = sum(row.success for row in training)
    return {
        **interval(tasks.values(), success).named("sr"),
        **interval(tasks.values(), intervention).named("ir"),
        **interval(tasks.values(), online_intervention).named("ir_online"),
        "seeds": sorted({run.seed for run in runs}),
        "trials": len(trials),
        "steps": steps,
        "episodes": len(training),
        "training_sr": _of(won, len(training)),
        "policy_share": _of(sum(row.policy_steps for row in training), steps),
        "recovery_share": _of(sum(row.recovery_steps for row in training), steps),
        "human_steps_per_episode": _of(human, len(training)),
        "human_s_per_success": _of(human / FPS_HZ, won),
        "triggers": sum(row.triggers for row in training),
        "recoveries": sum(row.recoveries for row in training),
        "recoveries_better": sum(row.recoveries_better for row in training),
        "takeovers": dict(sorted(Counter(reason for row in training for reason in row.reasons).items())),
        "takeovers_before": dict(sorted(Counter(before for row in training for before in row.before).items())),
        "failure_modes": dict(sorted(Counter(t.failure_mode for t in trials if not t.success).items())),
        "training_failure_modes": dict(
            sorted(Counter(row.failure_mode for row in training if not row.success).items())
        ),
        "seconds": sum(run.seconds for run in runs),
    }


def _of(part: float, whole: float) -> float | None:
    return part / whole if whole else None
