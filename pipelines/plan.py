"""From what is stale to as few runs as possible.

A run has partitions of one kind, so consecutive stages of a kind go together: for a task with everything stale that is
six runs. Partitions with the same stale stages that lie next to each other go into one run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from assets.settings import Settings
from assets.stages import STAGES, Stage
from assets.versions import Stale, Survey, upstream


@dataclass(frozen=True, slots=True)
class Batch:
    """Stages to be made in one run, in order, for neighbouring partitions."""

    stages: tuple[Stage, ...]
    partitions: tuple[str, ...]


def passes() -> list[tuple[Stage, ...]]:
    """Consecutive stages of one kind of partition, in topological order."""
    return [tuple(group) for _, group in groupby(STAGES, key=lambda stage: stage.partition)]


def batches(stale: Sequence[Stale], stages: Sequence[Stage], order: Sequence[str]) -> list[Batch]:
    """The runs that make what is stale among `stages`; `order` is how Dagster numbers the partitions.

    Tasks never share a run: one that is refused must not stop another.
    """
    todo = {p: tuple(s.stage for s in stale if s.partition == p and s.stage in stages) for p in order}
    if not stages or stages[0].partition == "task":
        return [Batch(found, (p,)) for p, found in todo.items() if found]
    runs = groupby(order, key=lambda p: todo[p])
    return [Batch(found, tuple(neighbours)) for found, neighbours in runs if found]


def reach(targets: Collection[str], settings: Settings, *, only: bool) -> set[str]:
    """Keys of the named stages (all, without names) and, unless `only`, of all they read with these settings."""
    wanted = set(targets) or {stage.key for stage in STAGES}
    for stage in () if only else reversed(STAGES):
        if stage.key in wanted:
            wanted |= set(stage.reads(settings))
    return wanted


def ready(found: Survey) -> Iterator[Batch]:
    """One batch a partition, of the stages whose every stale input is in the batch before them."""
    stale = {(one.stage.key, one.partition) for one in found.stale}
    chosen: dict[tuple[str, str], list[Stage]] = {}
    for one in found.stale:
        batch = chosen.setdefault((one.stage.partition, one.partition), [])
        read = {(dep.key, of) for dep, of in upstream(found.snapshot, one.stage, one.partition)}
        if read & stale <= {(stage.key, one.partition) for stage in batch} and not one.waits:
            batch.append(one.stage)
    yield from (Batch(tuple(batch), (partition,)) for (_, partition), batch in chosen.items() if batch)
