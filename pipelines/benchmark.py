"""Runs of the benchmark side by side, each in a process of its own with one thread, and where their record is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from episodes.errors import DataRefused
from models.processes import Processes, heed_stop
from robot_io.benchmark.protocol import MATCHED

if TYPE_CHECKING:
    from robot_io.benchmark.record import RunRecord
    from robot_io.benchmark.run import Plan

Done = Callable[["Plan", "RunRecord | Exception"], None]
DOCS = Path(__file__).resolve().parent.parent / "docs"
"""where the record is committed"""


def run_directory(root: Path, schedule: str, plan: Plan) -> Path:
    """Where the run of a plan is, a workspace of its own; `schedule` is the name of the plan's."""
    from robot_io.benchmark import record

    return record.run_directory(root, schedule, plan.task, plan.method, plan.seed)


def run_plans(root: Path, schedule: str, plans: Sequence[Plan], *, workers: int, done: Done) -> None:
    """Do every run that is not done; `done` is told of each, also of one that failed: the others go on.

    A control that is matched to another run waits until all others are done. Stopped, each run ends after the episode
    it is in, and goes on from its last checkpoint when it is asked for again.
    """
    with Processes(workers) as processes:
        for wave in waves(plans):
            futures = dict(zip(processes.start(partial(_run, root, schedule), wave), wave, strict=True))
            for future in as_completed(futures):
                error = future.exception()
                if error is not None and not isinstance(error, Exception):
                    raise error
                done(futures[future], error if error is not None else future.result())
                _summarise(root, schedule)


def waves(plans: Sequence[Plan]) -> tuple[list[Plan], list[Plan]]:
    """The plans that need no other run, then those that do, each in the order given."""
    return [p for p in plans if p.method not in MATCHED], [p for p in plans if p.method in MATCHED]


def record_directory(docs: Path, schedule: str) -> Path:
    """Where the record of a schedule's runs is in a directory of documents: the table's first, the others below it."""
    return docs / "benchmark" / ("" if schedule == "table" else schedule)


def known_runs(root: Path, schedule: str) -> tuple[list[RunRecord], list[dict[str, Any]], str]:
    """Finished runs, crashes, and whose they are: the workspace's, or where it has none the committed record's.

    `DataRefused` where there are none in either, or they do not compare.
    """
    from robot_io.benchmark.published import read_record
    from robot_io.benchmark.table import check_alike, read_crashes, read_runs

    directory, record = root / "benchmark" / schedule, record_directory(DOCS, schedule)
    if _any_done(directory) or not recorded(record):
        return read_runs(directory), read_crashes(directory), "workspace"
    runs, crashed = read_record(record)
    check_alike(runs)
    return runs, crashed, "record"


def sweep_plans(tasks: Sequence[str], seeds: Sequence[int]) -> dict[str, list[Plan]]:
    """schedule -> its runs, for the table's person and then for every other."""
    from robot_io.benchmark.method import schedule
    from robot_io.benchmark.run import Plan
    from robot_io.benchmark.sweep import METHODS, SETTINGS

    return {
        setting.schedule if setting else "table": [
            Plan(task=task, method=method, seed=seed, schedule=schedule("table", task), setting=setting)
            for seed in seeds
            for task in tasks
            for method in METHODS
        ]
        for setting in (None, *SETTINGS)
    }


def known_sweep(root: Path) -> dict[str, tuple[list[RunRecord], list[dict[str, Any]]]]:
    """schedule -> runs and crashes, of the people that were run with, here or in the committed record.

    `DataRefused` where they do not compare.
    """
    from robot_io.benchmark.table import check_alike

    places = {name: (root / "benchmark" / name, record_directory(DOCS, name)) for name in sweep_plans((), ())}
    there = [name for name, (here, record) in places.items() if _any_done(here) or recorded(record)]
    found = {name: known_runs(root, name)[:2] for name in there}
    check_alike([run for runs, _ in found.values() for run in runs])
    return found


def _any_done(directory: Path) -> bool:
    from robot_io.benchmark.record import RUN

    return next(directory.glob(f"**/{RUN}"), None) is not None


def recorded(directory: Path) -> bool:
    """Whether a record of runs is there."""
    from robot_io.benchmark.published import RUNS

    return (directory / RUNS).exists()


def _run(root: Path, schedule: str, plan: Plan) -> RunRecord:
    import torch

    from robot_io.benchmark.record import run_directory
    from robot_io.benchmark.run import run

    torch.set_num_threads(1)
    like = MATCHED.get(plan.method)
    matched = run_directory(root, schedule, plan.task, like, plan.seed) if like else None
    directory = run_directory(root, schedule, plan.task, plan.method, plan.seed)
    return run(plan, directory, lambda so_far: heed_stop(), matched=matched)


def _summarise(root: Path, schedule: str) -> None:
    """Leave the table of what is done beside the runs, where the app reads it; none while nothing is done."""
    from robot_io.benchmark.summary import write_summary

    try:
        write_summary(root / "benchmark" / schedule)
    except DataRefused:
        return  # the command that asks for the table says why
