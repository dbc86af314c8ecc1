"""`benchmark`: methods that learn on the simulated robot with one scripted human, and what they reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import subcommand

from pipelines.commands.show import print_json, print_rows

if TYPE_CHECKING:
    from robot_io.benchmark.record import RunRecord
    from robot_io.benchmark.run import Plan

TABLE_TASKS = ("tube_insertion", "ram_insertion")
TABLE_METHODS = ("bc", "hil_serl")
COMPARED = tuple(f"{name}{end}" for name in ("ir_ratio", "sr_difference") for end in ("", "_lo", "_hi"))
SHOWN = ("sr", "sr_lo", "sr_hi", "ir", "ir_lo", "ir_hi", "ir_online", "training_sr", "human_steps_per_episode")


@dataclass(frozen=True, kw_only=True)
class Run:
    """Run methods on tasks. What is done already stays; what was killed goes on where it was."""

    tasks: tuple[str, ...] = TABLE_TASKS
    methods: tuple[str, ...] = TABLE_METHODS
    seeds: tuple[int, ...] = (0, 1, 2)
    smoke: bool = False
    """a shortened schedule that shows that each method's own code runs, or fails; apart from the others"""
    full: bool = False
    """25,000 steps instead of 12,000; apart from the others"""
    images: bool = False
    """camera frames in place of the object tracker; apart from the others"""
    workers: int = 2
    """runs side by side, one thread each"""

    def run(self, root: Path) -> int:
        from episodes.errors import UsageError
        from episodes.workspace import Workspace
        from pipelines.benchmark import run_plans
        from robot_io.benchmark.method import schedule
        from robot_io.benchmark.run import Plan
        from robot_io.benchmark.smoke import missing
        from robot_io.sim import TASKS
        from robot_io.sim.render import open_context

        name = _schedule(self)
        if self.workers < 1:
            raise UsageError(f"{self.workers} workers do nothing; give at least 1")
        unknown = set(self.tasks) - set(TASKS)
        if unknown:
            raise UsageError(f"there is no task {sorted(unknown)[0]!r}; choose among {', '.join(sorted(TASKS))}")
        plans = [
            Plan(task=task, method=method, seed=seed, schedule=schedule(name, task), images=self.images)
            for seed in self.seeds
            for task in self.tasks
            for method in self.methods
        ]
        if self.images:
            open_context(1).free()
        Workspace.open(root, create=True)
        failed: list[Plan] = []

        def done(plan: Plan, what: RunRecord | Exception) -> None:
            print(_line(plan, what), flush=True)
            lacks = missing(what) if self.smoke and not isinstance(what, Exception) else ""
            if lacks:
                print(lacks)
            if lacks or isinstance(what, Exception):
                failed.append(plan)

        run_plans(root, name, plans, workers=self.workers, done=done)
        print(f"{len(plans) - len(failed)} of {len(plans)} runs are done; next: regrasp benchmark table")
        return 1 if failed else 0


@dataclass(frozen=True, kw_only=True)
class Table:
    """Show what each method reached, with intervals."""

    json: bool = False
    """print JSON"""
    smoke: bool = False
    full: bool = False
    images: bool = False
    write_docs: Path | None = None
    """write the record, as benchmark/*.parquet, and the page benchmark.md into this directory instead"""

    def run(self, root: Path) -> int:
        from episodes.errors import UsageError
        from pipelines.benchmark import known_runs
        from robot_io.benchmark.summary import summary

        name = _schedule(self)
        if self.write_docs is not None and name != "table":
            raise UsageError(f"the page is of the table's own schedule; leave out --{name}")
        runs, crashed, source = known_runs(root, name)
        if self.write_docs is not None:
            return _write_docs(self.write_docs, runs, crashed)
        found = summary(runs, crashed)
        if self.json:
            print_json(found | {"source": source})
        else:
            _print(found, source)
        return 0


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Methods that learn in simulation, with the same human."""

    verb: Annotated[Run, subcommand("run")] | Annotated[Table, subcommand("table")]

    def run(self, root: Path) -> int:
        return self.verb.run(root)


def _schedule(asked: Run | Table) -> str:
    """The name of the schedule that a command is about."""
    from episodes.errors import UsageError

    names = [name for name in ("smoke", "full", "images") if getattr(asked, name)]
    if len(names) > 1:
        raise UsageError(f"a run is smoke, full or images; give one of {' and '.join(f'--{name}' for name in names)}")
    return names[0] if names else "table"


def _line(plan: Plan, what: RunRecord | Exception) -> str:
    """One line for a run that ended."""
    name = f"{plan.task} {plan.method} seed {plan.seed}"
    if isinstance(what, Exception):
        return f"{name}: failed: {type(what).__name__}: {what}"
    last = [trial.success for trial in what.trials if trial.test]
    steps = sum(row.steps for row in what.training)
    human = sum(row.human_steps for row in what.training)
    share = f", human {human} of {steps} steps" if steps else ""
    return f"{name}: {sum(last)} of {len(last)} alone{share}, {what.seconds:.0f} s"


def _write_docs(directory: Path, runs: list[RunRecord], crashed: list[dict[str, Any]]) -> int:
    from pipelines.benchmark_page import PAGE, write_page
    from robot_io.benchmark.published import write_record

    write_record(directory / "benchmark", runs, crashed)
    write_page(directory, runs, crashed)
    print(f"{len(runs)} runs are in {directory / 'benchmark'} and on {directory / PAGE}")
    return 0


def _print(found: dict[str, Any], source: str) -> None:
    """The tables for people."""
    for part in found["tasks"], [{**row, "task": "mean"} for row in found["mean"]]:
        print_rows([_shown(row) for row in part], empty="no rigid task, so no mean")
        print()
    for row in found["mean"]:
        print(f"mean of {row['method']}: over {', '.join(row['tasks'])}")
    for row in found["comparisons"]:
        told = {name: "-" if row[name] is None else f"{row[name]:.3f}" for name in COMPARED}
        print("{method} against {against}: ".format(**row), end="")
        print("IR ratio {} [{}, {}], SR difference {} [{}, {}]".format(*told.values()))
    for crash in found["crashed"]:
        print("crashed: {task} {method} seed {seed}: {error}".format(**crash))
    print("from this workspace" if source == "workspace" else "from the committed record: this workspace has no run")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """The columns for people, rounded."""
    numbers = {name: "-" if row.get(name) is None else f"{row[name]:.3g}" for name in SHOWN}
    return {"task": row["task"], "method": row["method"], "seeds": len(row["seeds"]), **numbers}
