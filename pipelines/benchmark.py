"""Runs of the benchmark side by side, each in a process of its own with one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robot_io.benchmark.record import RunRecord
    from robot_io.benchmark.run import Plan

Done = Callable[["Plan", "RunRecord | Exception"], None]


def run_directory(root: Path, schedule: str, plan: Plan) -> Path:
    """Where the run of a plan is, a workspace of its own; `schedule` is the name of the plan's."""
    return root / "benchmark" / schedule / plan.task / plan.method / str(plan.seed)


def run_plans(root: Path, schedule: str, plans: Sequence[Plan], *, workers: int, done: Done) -> None:
    """Do every run that is not done; `done` is told of each, also of one that failed: the others go on."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_run, plan, run_directory(root, schedule, plan)): plan for plan in plans}
        for future in as_completed(futures):
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            done(futures[future], error if error is not None else future.result())


def _run(plan: Plan, directory: Path) -> RunRecord:
    import torch

    from robot_io.benchmark.run import run

    torch.set_num_threads(1)
    return run(plan, directory)
