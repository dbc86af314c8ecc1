"""The benchmark in the asset graph: one run of a method on a task, the table of all runs, and how they went.

No stages: a run reads nothing of the workspace and is stale for nothing, and `regrasp materialize` never starts one.
Materialized again, a finished run is read, a killed one goes on. The same runs are made from the shell by
`regrasp benchmark run`, several side by side.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets import plots
from assets.making import Maker
from episodes.workspace import Workspace
from robot_io.benchmark.protocol import MATCHED, TableRun, table_runs

if TYPE_CHECKING:
    from polars import DataFrame

    from robot_io.benchmark.record import RunRecord

SCHEDULE = "table"
RUNS = dg.StaticPartitionsDefinition([":".join(map(str, run)) for run in table_runs()])
FIGURES = ("sr", "sr_lo", "sr_hi", "ir", "ir_lo", "ir_hi", "ir_online", "training_sr", "human_steps_per_episode")
COUNTS = ("takeovers", "failure_modes", "training_failure_modes")


def _run(context: dg.AssetExecutionContext, maker: dg.ResourceParam[Maker]) -> dg.MaterializeResult:
    """Begin, go on with, or read each run that is asked for, one after the other."""
    import torch

    Workspace.open(maker.root, create=True)
    torch.set_num_threads(1)
    for partition in context.partition_keys:
        task, method, seed = partition.split(":")
        record = _record(maker, TableRun(task, method, int(seed)))
        context.add_asset_metadata(_told(record), ["benchmark", "run"], partition)
    return dg.MaterializeResult()


with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)  # single-run backfills: one process, not one for each partition
    one_run = dg.asset(
        key=["benchmark", "run"],
        partitions_def=RUNS,
        group_name="benchmark",
        kinds={"pytorch"},
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="One method on one task with one seed, while the same scripted person watches: task:method:seed.",
    )(_run)


@dg.asset(
    key=["benchmark", "table"],
    deps=[one_run],
    group_name="benchmark",
    kinds={"json"},
    description="What each method reached on each task and on average, with intervals, from the finished runs.",
)
def table(maker: dg.ResourceParam[Maker]) -> dg.MaterializeResult:
    """Write it beside the runs, where the app reads it."""
    from robot_io.benchmark.summary import write_summary

    found = write_summary(maker.root / "benchmark" / SCHEDULE)
    tables = {"mean": found["mean"], "tasks": found["tasks"], "what methods save": found["comparisons"]}
    shown: dict[str, Any] = {name: _table(rows) for name, rows in tables.items() if rows}
    return dg.MaterializeResult(metadata=shown | {"crashed": dg.MetadataValue.json(found["crashed"])})


@dg.asset(
    key=["benchmark", "curves"],
    deps=[one_run],
    group_name="benchmark",
    kinds={"polars"},
    description="Success of the policy alone and the person's share of the steps, over the steps of training.",
)
def curves(maker: dg.ResourceParam[Maker]) -> dg.MaterializeResult:
    """Two pictures a task, one line a run."""
    from robot_io.benchmark.table import read_runs

    runs = read_runs(maker.root / "benchmark" / SCHEDULE)
    shown = {}
    for task in dict.fromkeys(run.task for run in runs):
        shown |= _pictures([run for run in runs if run.task == task], f"{task}, ")
    return dg.MaterializeResult(metadata=shown)


def _record(maker: Maker, which: TableRun) -> "RunRecord":
    from robot_io.benchmark.method import schedule
    from robot_io.benchmark.record import run_directory
    from robot_io.benchmark.run import Plan, run

    plan = Plan(**which._asdict(), schedule=schedule(SCHEDULE, which.task))
    like = MATCHED.get(which.method)
    matched = run_directory(maker.root, SCHEDULE, which.task, like, which.seed) if like else None
    return run(plan, run_directory(maker.root, SCHEDULE, *which), matched=matched)


def _told(run: "RunRecord") -> dict[str, Any]:
    """What a person reads of a run."""
    from robot_io.benchmark.table import table

    (row,) = table([run])["tasks"]
    figures = {name: row[name] for name in FIGURES if row[name] is not None}
    counts = {name: dg.MetadataValue.json(row[name]) for name in COUNTS}
    return {**figures, **counts, "seconds": run.seconds, **_pictures([run], "")}


def _table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows as a table in the UI; what is no text or number is written out."""
    plain = [{name: v if isinstance(v, str | int | float) else str(v) for name, v in row.items()} for row in rows]
    return dg.MetadataValue.table(records=[dg.TableRecord(row) for row in plain])


def _pictures(runs: Sequence["RunRecord"], prefix: str) -> dict[str, dg.MarkdownMetadataValue]:
    """The learning curves of runs on one task."""
    import polars as pl

    from models.learning_curves import intervention_curve, success_curve

    training, trials = (pl.concat(part) for part in zip(*(run.frames() for run in runs), strict=True))
    pictures = {
        "SR over the steps": plots.learning(_lines(success_curve(trials), "sr"), "SR, policy alone"),
        "IR over the steps": plots.learning(_lines(intervention_curve(training), "ir"), "IR, each 1000 steps"),
    }
    return {f"{prefix}{name}": dg.MetadataValue.md(plots.markdown(png)) for name, png in pictures.items()}


def _lines(curve: "DataFrame", column: str) -> dict[str, list[Any]]:
    """method -> one (steps, shares) a seed."""
    lines: dict[str, list[Any]] = {}
    for (method, _), rows in curve.group_by("method", "seed", maintain_order=True):
        lines.setdefault(str(method), []).append((rows["step"].to_numpy(), rows[column].to_numpy()))
    return lines
