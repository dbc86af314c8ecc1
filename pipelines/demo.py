"""`regrasp demo`: from a robot that gets stuck to a robot that frees itself, in one command and without hardware.

Collect, materialize, freeze, release, deploy, materialize what came back, and print one table. Every step asks first
what is already there, so an interrupted demo goes on where it was. Nothing in the table is typed: all of it is read
off recordings, curves of episodes that were not trained on, and the simulator's own notes on stalls.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console

from assets.audit_log import begun_log
from assets.settings import begin_settings
from audits.freeze import freeze, list_freezes
from episodes.errors import GateNotMet
from episodes.workspace import Workspace, atomic_write, workspace_lock
from models.processes import Processes
from pipelines.closed_loop import ARMS, ClosedLoop
from pipelines.commands.show import count_bar
from pipelines.materialize import materialize
from pipelines.scoreboard import Scoreboard, print_scoreboard
from pipelines.simulated import SessionJob, run_sessions

BY = "demo"
PROFILE = "sim"
DESPITE = "demo: the table shows the figures, whatever they are"
LABEL_STAGES = ("labels/stagnation",)
RETURNED_STAGES = (
    "episodes/raw",
    "episodes/validated",
    "episodes/decided",
    "episodes/split",
    "values/curves",
    "triggers/curves",
)
"""what is made of the sessions that came back; training on them is for the next `regrasp materialize`"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """How much of everything a demo does."""

    demonstrations: Mapping[str, int]
    """task -> how many are recorded. The base policy clones those that the split gives to training and calibration:
    19 to 21 of 25, 8 of 10. The eggplant's clone of 20 hardly ever fails, so it gets fewer."""
    cameras: tuple[str, ...]
    rollouts: int
    """of the base policy alone, per task"""
    takeovers: int
    """episodes with the human watching, per task"""
    paired: int
    """closed-loop episodes of each arm, per task"""
    settings: dict[str, dict[str, Any]]
    """what differs from the models' defaults"""

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.demonstrations)


QUICK = DemoPlan(
    demonstrations={"tube_insertion": 25},
    cameras=("third",),
    rollouts=120,
    takeovers=48,
    paired=12,
    settings={
        "value": {"cameras": ["third"], "steps": 300},
        "intervention": {"steps": 200},
        "policy": {"steps": 1500},
        "recovery": {"steps": 1500},
    },
)
FULL = DemoPlan(
    demonstrations={"tube_insertion": 25, "pick_eggplant": 10},
    cameras=("third", "wrist"),
    rollouts=160,
    takeovers=60,
    paired=24,
    settings={"value": {"cameras": ["third", "wrist"], "steps": 600}},
)


@dataclass(slots=True)
class Demo:
    """One demo in one workspace."""

    workspace: Workspace
    plan: DemoPlan
    console: Console
    seconds: dict[str, float] = field(default_factory=dict)
    """stage -> seconds, of this and earlier runs"""

    def run(self) -> Scoreboard:
        """All steps in order; returns what the table shows."""
        self.seconds = self._read_seconds()
        releases = self._released() or self._prepare()
        loops = {task: self._loop(task, releases[task]) for task in self.plan.tasks}
        with self._stage("closed loop"), count_bar("closed loop", self.console) as on_count, _robots() as robots:
            arms = {task: loop.run(robots, on_count=on_count) for task, loop in loops.items()}
        with self._stage("returned session"):
            sessions = [loop.session(arm) for loop in loops.values() for arm in ARMS]
            self._judge([session for session in sessions if not self._is_judged(session)])
        return Scoreboard.of(self.workspace, releases, arms, self.seconds)

    def _judge(self, returned: list[str]) -> None:
        """Curves of the sessions that came back, once: by what is stale they wait for models that know them too."""
        if returned:
            self._materialize(*RETURNED_STAGES, only=True, partitions=[*returned, *self.plan.tasks])

    def _is_judged(self, session: str) -> bool:
        return (self.workspace.derived / RETURNED_STAGES[-1] / session).exists()

    def _prepare(self) -> dict[str, str]:
        """From nothing to a promoted release of each task."""
        with self._stage("demonstrations"):
            self._collect_demonstrations()
        with self._stage("base policy"):
            self._materialize("models/policy")
        with self._stage("rollouts"):
            self._collect_rollouts()
        with self._stage("values and labels"):
            self._freeze("episodes")
            self._materialize(*LABEL_STAGES)
        with self._stage("trigger, memory, recovery, release"):
            self._freeze("labels")
            self._freeze("pairs")
            self._materialize()
        return {task: promote_candidate(self.workspace, task, self.console.print) for task in self.plan.tasks}

    def _released(self) -> dict[str, str]:
        """The releases this demo has promoted, if it got that far; what came later made others, which it leaves."""
        from releases.ledger import history

        mine = [move for move in history(self.workspace.root, profile=PROFILE) if move.by == BY]
        first = {move.task: move.moved_to for move in reversed(mine)}
        return first if set(self.plan.tasks) <= set(first) else {}

    def _collect_demonstrations(self) -> None:
        jobs = [
            self._job(task, f"{task}-demos", range(10_000, 10_000 + count), collection="demo", human="demo")
            for task, count in self.plan.demonstrations.items()
        ]
        self._run("demonstrations", jobs)

    def _collect_rollouts(self) -> None:
        """The base policy alone, and with the human watching; two simulated robots, so two sessions of each."""
        jobs = []
        for task in self.plan.tasks:
            policy = self.workspace.derived / "models/policy" / task
            for robot in (1, 2):
                alone = _half(20_000, self.plan.rollouts, robot)
                watched = _half(30_000, self.plan.takeovers, robot)
                jobs.append(
                    self._job(task, f"{task}-alone-{robot}", alone, collection="rollout", human="none", policy=policy)
                )
                jobs.append(self._job(task, f"{task}-watched-{robot}", watched, collection="takeover", policy=policy))
        self._run("rollouts", jobs)

    def _job(self, task: str, session: str, seeds: range, **rest: Any) -> SessionJob:
        defaults: dict[str, Any] = {"human": "watching", "attended": False}
        return SessionJob(
            root=self.workspace.root,
            session=session,
            task=task,
            cameras=self.plan.cameras,
            seeds=tuple(seeds),
            **(defaults | rest),
        )

    def _run(self, what: str, jobs: list[SessionJob]) -> None:
        with count_bar(what, self.console) as on_count, _robots() as robots:
            summaries = run_sessions(jobs, robots, on_count=on_count)
        stopped = sum(bool(summary.fault) for session in summaries for summary in session)
        if stopped:
            self.console.print(f"{stopped} episodes ended in a safety stop and are kept as failures")

    def _materialize(self, *targets: str, **scope: Any) -> None:
        show = self.console.is_terminal
        materialize(self.workspace, targets, say=self.console.print, show_progress=show, **scope)

    def _freeze(self, kind: str) -> None:
        """Freeze what is decided so far, once."""
        log = begun_log(self.workspace)
        if not any(made.kind == kind and made.name == BY for made in list_freezes(log)):
            made = freeze(log, kind, BY, by=BY)
            self.console.print(f"froze {made.count} decisions on {kind} as {BY!r}")

    def _loop(self, task: str, version: str) -> ClosedLoop:
        seeds = tuple(range(40_000, 40_000 + self.plan.paired))
        return ClosedLoop(root=self.workspace.root, task=task, cameras=self.plan.cameras, release=version, seeds=seeds)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Time one stage; what an interrupted run spent on it counts too."""
        self.console.rule(name, align="left")
        started, before = perf_counter(), self.seconds.get(name, 0.0)
        try:
            yield
        finally:
            self.seconds[name] = round(before + perf_counter() - started, 1)
            atomic_write(self._seconds_path, json.dumps(self.seconds).encode())

    @property
    def _seconds_path(self) -> Path:
        return self.workspace.derived / "demo" / "seconds.json"

    def _read_seconds(self) -> dict[str, float]:
        return json.loads(self._seconds_path.read_text()) if self._seconds_path.is_file() else {}


def promote_candidate(workspace: Workspace, task: str, say: Callable[[str], object]) -> str:
    """Make the candidate the champion of the simulated robot, by `demo`; returns its version.

    Figures that do not pass the gates are said and stand in the ledger: the table is there to show them, whatever they
    are. Raises `GateNotMet` where a check kept the task without a candidate.
    """
    from releases.ledger import champion, promote

    candidate = workspace.derived / "releases/candidate" / task / "release.json"
    if not candidate.is_file():
        raise GateNotMet(f"{task} has no release candidate; `regrasp materialize` says what is in its way")
    version = str(json.loads(candidate.read_text())["version"])
    if champion(workspace.root, PROFILE, task) != version:
        move = promote(workspace.root, version, PROFILE, by=BY, despite=DESPITE)
        if unmet := move.evidence.get("unmet"):
            say(f"{task}: promoted to {PROFILE} despite gates that are not met: {'; '.join(unmet)}")
    return version


def _robots() -> Processes:
    """Where the simulated robots run, for one stage: while models are trained their memory is wanted there."""
    return Processes(min(2, os.cpu_count() or 1))


def _half(first: int, count: int, robot: int) -> range:
    """The seeds of one of two robots."""
    half = (count + 1) // 2
    return range(first, first + half) if robot == 1 else range(first + half, first + count)


def _board(workspace: Workspace, plan: DemoPlan, console: Console) -> Scoreboard:
    if not begin_settings(workspace, plan.settings):
        kept = (
            f"{workspace.root}/settings.json is not what this demo would set, so the workspace's own settings are used"
        )
        console.print(f"{kept}; for the demo's give another --root")
    return Demo(workspace, plan, console).run()


def run(root: Path, *, quick: bool = False, report: Path | None = None, console: Console | None = None) -> None:
    """The command: run the demo in `root`, print the table, and write it to `report` (JSON) where asked."""
    console = console or Console()
    workspace = Workspace.open(root, create=True)
    with workspace_lock(root, alone="`regrasp demo`"):
        board = _board(workspace, QUICK if quick else FULL, console)
    print_scoreboard(board, console)
    if report is not None:
        atomic_write(report, json.dumps(board.json(), indent=1, allow_nan=False).encode())
    place = "" if root == Path("workspace") else f" --root {root}"
    console.print(
        f"\nLook at it: [bold]regrasp ui{place}[/bold] (the asset graph)  "
        f"[bold]regrasp app{place}[/bold] (curves, labels, pairs)"
    )
