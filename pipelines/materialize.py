"""Bring up to date what is stale, in as few Dagster runs as possible, and say why it was stale.

What is stale is told by our own versions (`assets.versions`); Dagster runs it, records it and shows it. A failed check
stops what reads the stage, not the other tasks; when all is done that can be done the first failed line is raised.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from assets.making import Maker, put_back_interrupted
from assets.snapshot import Snapshot
from assets.stages import STAGE, Stage
from assets.versions import Stale, Survey, survey
from episodes.errors import GateNotMet, UsageError
from episodes.workspace import Workspace
from pipelines.commands.show import bars
from pipelines.plan import Batch, batches, passes, reach
from pipelines.resources import dagster_instance, register_partitions

if TYPE_CHECKING:
    from dagster import DagsterInstance, JobDefinition
    from rich.progress import Progress, TaskID

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which stages and partitions a call is about."""

    keys: frozenset[str]
    task: str | None = None
    partitions: frozenset[str] | None = None
    """only these; None for all"""

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        targets: Collection[str],
        task: str | None,
        *,
        only: bool,
        partitions: Collection[str] | None = None,
    ) -> Scope:
        """The scope of these names; `UsageError` for one that there is not."""
        unknown = sorted(set(targets) - set(STAGE))
        if unknown:
            raise UsageError(f"there is no asset {unknown[0]!r}; there are {', '.join(STAGE)}")
        snapshot = Snapshot.take(workspace)
        tasks = snapshot.tasks
        if task is not None and task not in tasks:
            raise UsageError(f"there is no task {task!r} in {workspace.root}; there are: {', '.join(tasks) or 'none'}")
        chosen = None if partitions is None else frozenset(partitions)
        return cls(keys=frozenset(reach(targets, snapshot.settings, only=only)), task=task, partitions=chosen)

    def holds(self, found: Survey, key: str, partition: str) -> bool:
        chosen = self.partitions is None or partition in self.partitions
        own_task = self.task in (None, found.snapshot.task(STAGE[key].partition, partition))
        return key in self.keys and chosen and own_task

    def stale(self, found: Survey) -> list[Stale]:
        """What is stale in it, in topological order."""
        return [one for one in found.stale if self.holds(found, one.stage.key, one.partition)]

    def total(self, found: Survey) -> int:
        """How many stages and partitions are in it."""
        return sum(self.holds(found, key, partition) for key, partition in found.places)


@dataclass(slots=True, kw_only=True)
class Report:
    """What a call of `materialize` did."""

    made: list[tuple[str, str]] = field(default_factory=list)
    """stage key and partition, in order"""
    seconds: dict[str, float] = field(default_factory=dict)
    """stage key -> time spent in it"""
    causes: dict[str, list[str]] = field(default_factory=dict)
    """first cause in words -> keys of the stages it made stale"""
    runs: int = 0
    total_s: float = 0.0


def materialize(
    workspace: Workspace,
    targets: Collection[str] = (),
    *,
    task: str | None = None,
    only: bool = False,
    partitions: Collection[str] | None = None,
    say: Say = print,
    show_progress: bool = True,
) -> Report:
    """Make everything stale, or what is stale of `targets` (stage keys) and of all they read.

    `only` leaves what they read as it is, `partitions` all other sessions and tasks. Raises `GateNotMet` naming the
    first failed check, and what a stage raised.
    """
    started, report = perf_counter(), Report()
    put_back_interrupted(workspace)
    scope = Scope.of(workspace, targets, task, only=only, partitions=partitions)
    found = survey(Snapshot.take(workspace))
    stale = scope.stale(found)
    report.causes = causes(stale)
    if stale:
        say(f"{len(stale)} of {scope.total(found)} are stale")
        for line in explained(report.causes):
            say(f"  {line}")
        _make_all(workspace, scope, report, len(stale), show_progress=show_progress)
        found = survey(Snapshot.take(workspace))
    report.total_s = perf_counter() - started
    _raise_blocked(found, scope)
    nothing = f"nothing to do, {scope.total(found)} up to date"
    say(f"{len(report.made)} made in {report.total_s:.1f} s" if stale else nothing)
    return report


def causes(stale: Sequence[Stale]) -> dict[str, list[str]]:
    """Each first cause with the keys of the stages it made stale, in order."""
    out: dict[str, list[str]] = {}
    for one in stale:
        for cause in one.causes:
            keys = out.setdefault(cause, [])
            if one.stage.key not in keys:
                keys.append(one.stage.key)
    return out


def explained(made_stale: Mapping[str, Sequence[str]]) -> list[str]:
    """One line for each set of stages: all first causes that made just these stale, and the stages."""
    together: dict[tuple[str, ...], list[str]] = {}
    for cause, keys in made_stale.items():
        together.setdefault(tuple(keys), []).append(cause)
    return [f"{_few(found)} -> {', '.join(keys)}" for keys, found in together.items()]


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _make_all(workspace: Workspace, scope: Scope, report: Report, total: int, *, show_progress: bool) -> None:
    """Pass by pass: what one pass made is there when the next one looks at what is stale."""
    from pipelines.definitions import definitions

    # It logs with its traceback what ends the closing of a connection of Dagster's, and that may be a Ctrl-C.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    with _bars(total, show_progress) as shown, dagster_instance(workspace) as instance:
        maker = Maker(workspace.root, progress=shown.inner, on_stage=shown.stage)
        job = definitions(maker).resolve_implicit_global_asset_job_def()
        for stages in passes():
            # Again until nothing is left: where a partition was refused, its neighbours in the run have stages to make.
            while todo := _batches(workspace, instance, scope, stages, maker):
                for batch in todo:
                    report.runs += 1
                    _run(job, instance, maker, batch)
    report.made = [(key, partition) for key, partition, _ in maker.made]
    for key, _, seconds in maker.made:
        report.seconds[key] = report.seconds.get(key, 0.0) + seconds


def _batches(
    workspace: Workspace, instance: DagsterInstance, scope: Scope, stages: Sequence[Stage], maker: Maker
) -> list[Batch]:
    """The runs to make now of one pass, with Dagster told which partitions there are; nothing is made twice."""
    found = survey(Snapshot.take(workspace))
    register_partitions(instance, found.snapshot)
    done = {(key, partition) for key, partition, _ in maker.made}
    left = [one for one in scope.stale(found) if (one.stage.key, one.partition) not in done]
    stale = [one for one in left if one.stage in stages and not one.waits]
    return batches(stale, stages, instance.get_dynamic_partitions(stages[0].partition))


def _run(job: JobDefinition, instance: DagsterInstance, maker: Maker, batch: Batch) -> None:
    """One Dagster run; what a stage raised is raised here in its own words."""
    import dagster as dg

    first, last = batch.partitions[0], batch.partitions[-1]
    span = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    with _pressed_is_an_interrupt():
        result = job.execute_in_process(
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            instance=instance,
            asset_selection=[dg.AssetKey(stage.path) for stage in batch.stages],
            partition_key=first if first == last else None,
            tags=None if first == last else span,
            raise_on_error=False,
        )
        if maker.error is not None:
            raise maker.error
    stopped = any((stage, partition) in maker.refused for stage in batch.stages for partition in batch.partitions)
    if not result.success and not stopped:
        raise RuntimeError(f"Dagster run {result.run_id} failed outside our stages; see its log with `regrasp ui`")


@contextmanager
def _pressed_is_an_interrupt() -> Iterator[None]:
    """Raise `KeyboardInterrupt` for a Ctrl-C in the block, whatever became of the run: Dagster holds one back between
    stages, and a run that is just ending succeeds with it."""
    import dagster as dg

    pressed = _Pressed()
    try:
        yield
    except dg.DagsterExecutionInterruptedError:  # how Dagster says Ctrl-C inside a stage
        raise KeyboardInterrupt from None
    finally:
        if pressed.stop():
            raise KeyboardInterrupt


class _Pressed:
    """Notices a Ctrl-C whoever handles it."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._main = threading.current_thread() is threading.main_thread()
        self._before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False) if self._main else -1

    def stop(self) -> bool:
        """Whether it was pressed; leaves the signals as they were."""
        if self._main:
            signal.set_wakeup_fd(self._before)
        try:
            return signal.SIGINT in os.read(self._reader, 1024)
        except BlockingIOError:
            return False
        finally:
            os.close(self._reader)
            os.close(self._writer)


def _raise_blocked(found: Survey, scope: Scope) -> None:
    lines = [
        f"{key} of {partition} did not pass {manifest.blocked_by.name}: {manifest.blocked_by.sentence}"
        for (key, partition), manifest in found.blocked.items()
        if scope.holds(found, key, partition) and manifest.blocked_by
    ]
    if lines:
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        raise GateNotMet(lines[0] + more)


@dataclass(slots=True)
class _Bars:
    """Two progress bars: stages of this call, and the long work inside one stage."""

    progress: Progress
    overall: TaskID
    within: TaskID

    def stage(self, key: str, partition: str, *, done: bool) -> None:
        self.progress.update(self.overall, description=f"{key} {partition}", advance=int(done))
        self.progress.update(self.within, visible=False)

    def inner(self, what: str, done: int, total: int) -> None:
        self.progress.update(self.within, description=f"  {what}", completed=done, total=total, visible=done < total)


@contextmanager
def _bars(total: int, show: bool) -> Iterator[_Bars]:
    with bars(show=show) as progress:
        yield _Bars(progress, progress.add_task("", total=total), progress.add_task("", visible=False))
