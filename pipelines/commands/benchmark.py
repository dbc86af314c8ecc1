"""`benchmark`: methods that learn on the simulated robot with one scripted human, and what they reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        from robot_io.benchmark.method import schedule
        from robot_io.benchmark.run import Plan
        from robot_io.benchmark.smoke import missing
        from robot_io.sim.render import open_context

        name = _schedule(self)
        _check(self.tasks, self.workers)
        plans = [
            Plan(task=task, method=method, seed=seed, schedule=schedule(name, task), images=self.images)
            for seed in self.seeds
            for task in self.tasks
            for method in self.methods
        ]
        if self.images:
            open_context(1).free()
        done = _run_all(root, name, plans, self.workers)
        lacks = [lack for lack in map(missing, done) if lack] if self.smoke else []
        print(*lacks, f"{len(done)} of {len(plans)} runs are done; next: regrasp benchmark table", sep="\n")
        return 1 if lacks or len(done) < len(plans) else 0


@dataclass(frozen=True, kw_only=True)
class Table:
    """Show what each method reached, with intervals."""

    json: bool = False
    """print JSON"""
    smoke: bool = False
    full: bool = False
    images: bool = False
    sweep: bool = False
    """what hil_serl_regrasp saves with each person"""
    write_docs: Path | None = None
    """write the record, as benchmark/*.parquet, and the page benchmark.md into this directory instead"""

    def run(self, root: Path) -> int:
        from episodes.errors import UsageError
        from pipelines.benchmark import known_runs
        from robot_io.benchmark.summary import summary

        name = _schedule(self)
        if self.write_docs is not None and name in ("smoke", "full"):
            raise UsageError(f"nothing is published of --{name}; leave it out")
        if self.sweep:
            return self._sweep(root)
        runs, crashed, source = known_runs(root, name)
        if self.write_docs is not None:
            return _write_docs(self.write_docs, {name: (runs, crashed)})
        found = summary(runs, crashed)
        if self.json:
            print_json(found | {"source": source})
        else:
            _print(found, source)
        return 0

    def _sweep(self, root: Path) -> int:
        from pipelines.benchmark import known_sweep
        from robot_io.benchmark.sweep import sweep_table

        known = known_sweep(root)
        if self.write_docs is not None:  # the table's person is in the table's record
            return _write_docs(self.write_docs, {name: told for name, told in known.items() if name != "table"})
        rows = sweep_table({name: runs for name, (runs, _) in known.items()})
        if self.json:
            print_json(rows)
        else:
            print_rows([_person(row) for row in rows], empty="nobody watched both methods on a task yet")
        return 0


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Run hil_serl and hil_serl_regrasp with other people: patience, reaction and attention vary one at a time.

    The table's own person comes first: those runs are the table's. What is done already stays; what was killed goes on
    where it was.
    """

    tasks: tuple[str, ...] = TABLE_TASKS
    seeds: tuple[int, ...] = (0, 1, 2)
    workers: int = 2
    """runs side by side, one thread each"""

    def run(self, root: Path) -> int:
        from pipelines.benchmark import sweep_plans

        _check(self.tasks, self.workers)
        people = sweep_plans(self.tasks, self.seeds)
        done = 0
        for name, plans in people.items():
            print(f"{name}:", flush=True)
            done += len(_run_all(root, name, plans, self.workers))
        asked = sum(len(plans) for plans in people.values())
        print(f"{done} of {asked} runs are done; next: regrasp benchmark table --sweep")
        return 1 if done < asked else 0


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Methods that learn in simulation, with the same human."""

    verb: (
        Annotated[Run, subcommand("run")]
        | Annotated[Sweep, subcommand("sweep")]
        | Annotated[Table, subcommand("table")]
    )

    def run(self, root: Path) -> int:
        return self.verb.run(root)


def _check(tasks: Sequence[str], workers: int) -> None:
    """`UsageError` for what no run can be."""
    from episodes.errors import UsageError
    from robot_io.sim import TASKS

    if workers < 1:
        raise UsageError(f"{workers} workers do nothing; give at least 1")
    unknown = set(tasks) - set(TASKS)
    if unknown:
        raise UsageError(f"there is no task {sorted(unknown)[0]!r}; choose among {', '.join(sorted(TASKS))}")


def _run_all(root: Path, name: str, plans: Sequence[Plan], workers: int) -> list[RunRecord]:
    """Do and tell every run of a schedule, and return those that are done."""
    from episodes.workspace import Workspace
    from pipelines.benchmark import run_plans

    Workspace.open(root, create=True)
    records: list[RunRecord] = []

    def done(plan: Plan, what: RunRecord | Exception) -> None:
        print(_line(plan, what), flush=True)
        if not isinstance(what, Exception):
            records.append(what)

    run_plans(root, name, plans, workers=workers, done=done)
    return records


def _schedule(asked: Run | Table) -> str:
    """The name of the schedule that a command is about."""
    from episodes.errors import UsageError

    names = [name for name in ("smoke", "full", "images", "sweep") if getattr(asked, name, False)]
    if len(names) > 1:
        raise UsageError(f"these stand apart: {' and '.join(f'--{name}' for name in names)}; give one of them")
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


def _write_docs(docs: Path, told: Mapping[str, tuple[list[RunRecord], list[dict[str, Any]]]]) -> int:
    """The record of each schedule, and the page where the table's record is there."""
    from pipelines.benchmark import record_directory, recorded
    from pipelines.benchmark_page import PAGE, write_page
    from robot_io.benchmark.published import write_record

    for name, (runs, crashed) in told.items():
        write_record(record_directory(docs, name), runs, crashed)
    count = sum(len(runs) for runs, _ in told.values())
    if recorded(record_directory(docs, "table")):
        write_page(docs)
        print(f"{count} runs are in {docs / 'benchmark'} and on {docs / PAGE}")
    else:
        print(f"{count} runs are in {docs / 'benchmark'}; the page comes with the table's: leave out the schedule")
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


def _person(row: dict[str, Any]) -> dict[str, Any]:
    """What a person's row shows, rounded."""
    from pipelines.benchmark_beside import person
    from pipelines.markdown import interval

    rates = {name: f"{row[name]:.3f}" for name in row if name.startswith(("ir_hil", "sr_hil"))}
    told = {name: interval(row, name) for name in ("ir_ratio", "sr_difference")}
    return {"person": person(row), "task": row["task"], "seeds": len(row["seeds"]), **rates, **told}
