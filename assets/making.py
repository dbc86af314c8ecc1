"""Making one stage of one partition: lock, compute into an empty directory, describe, swap it in.

A directory under `derived/` is replaced as a whole: a killed run leaves what was there before. What a stage was made
of is read from the manifests that stand, so a stage made of something stale is itself stale.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from assets.manifest import FILE, CheckResult, Manifest, directory, read_manifest
from assets.settings import resolve
from assets.snapshot import Snapshot
from assets.stages import STAGE, STAGES, Stage
from assets.versions import Version, compose, decisions_for, noting, standing, upstream
from episodes.errors import DataRefused, GateNotMet, UsageError
from episodes.store import EpisodeStore
from episodes.workspace import Workspace, atomic_write, disk_errors, writer_lock

Progress = Callable[[str, int, int], None]
"""called with (what, done, total) during long work"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came out of a stage, for people: figures, pictures, and what the checks say."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    """JSON values, by words a person reads"""
    checks: tuple[CheckResult, ...] = ()
    plots: Mapping[str, bytes] = field(default_factory=dict)
    """name -> PNG"""
    damaged: tuple[str, ...] = ()
    """ids of recordings that could not be read; they are looked at again once their files are others"""
    elsewhere: tuple[Path, ...] = ()
    """files outside the stage's directory that belong to it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One stage of one partition about to be made."""

    snapshot: Snapshot
    stage: Stage
    partition: str
    out: Path
    """an empty directory; it becomes the stage's when all is done"""
    progress: Progress | None = None
    version: str = ""
    """that the stage will have, up to recordings that turn out damaged"""

    @property
    def workspace(self) -> Workspace:
        return self.snapshot.workspace

    @property
    def unfinished(self) -> Path:
        """Where something is left to go on from, should this be killed; gone once the stage is made."""
        place: Path = directory(self.workspace, self.stage, self.partition)
        return place.with_name(f".{place.name}.training")

    @property
    def store(self) -> EpisodeStore:
        return self.snapshot.store

    @property
    def task(self) -> str:
        return self.snapshot.task(self.stage.partition, self.partition)

    @property
    def sessions(self) -> list[str]:
        """The sessions it covers: its own, or all of its task."""
        return [self.partition] if self.stage.partition == "session" else self.snapshot.sessions(self.partition)

    @property
    def decisions(self) -> Mapping[str, Mapping[str, Any]]:
        """The frozen decisions about its episodes; {} without a freeze."""
        made = self.snapshot.freezes.get(self.stage.freeze or "")
        ids = self.snapshot.episodes(self.stage.partition, self.partition)
        return decisions_for(made.decisions, ids) if made else {}  # type: ignore[return-value]

    def config(self, name: str) -> Any:
        """One of the stage's configs, with the workspace's settings."""
        return resolve(name, self.snapshot.settings)

    def upstream(self, key: str, session: str | None = None) -> Path:
        """The directory of a stage it reads: of its task, or of one session."""
        place: Path = directory(self.workspace, STAGE[key], session or self.task)
        return place


Compute = Callable[[Work], Made]


class OnStage(Protocol):
    """Told when a stage starts and when it is done."""

    def __call__(self, key: str, partition: str, *, done: bool) -> None: ...


@dataclass(slots=True)
class Maker:
    """Makes stages in one workspace; the resource every asset is given."""

    root: Path
    progress: Progress | None = None
    on_stage: OnStage | None = None
    lock: Callable[[], AbstractContextManager[None]] = nullcontext
    """held while a stage is made, where the caller does not hold the workspace already"""
    made: list[tuple[str, str, float]] = field(default_factory=list)
    """stage key, partition, seconds"""
    refused: list[tuple[Stage, str]] = field(default_factory=list)
    """what a check stopped"""
    error: BaseException | None = None
    """what went wrong otherwise, in our words: the graph's engine wraps it in its own"""

    def make(self, key: str, partition: str, compute: Compute) -> Manifest:
        """Make the stage, whatever its state is, and return its manifest.

        `DataRefused` by the computation becomes a failed check of the stage: it is an answer about the data.
        """
        self._tell(key, partition, done=False)
        try:
            with self.lock():
                manifest = _make(Workspace.open(self.root), STAGE[key], partition, compute, self.progress)
        except BaseException as error:
            self.error = error
            raise
        self._tell(key, partition, done=True)
        self.made.append((key, partition, manifest.seconds))
        if manifest.blocked_by:
            self.refused.append((STAGE[key], partition))
        return manifest

    def _tell(self, key: str, partition: str, *, done: bool) -> None:
        if self.on_stage is not None:
            self.on_stage(key, partition, done=done)


def _make(workspace: Workspace, stage: Stage, partition: str, compute: Compute, progress: Progress | None) -> Manifest:
    snapshot, started = Snapshot.take(workspace), perf_counter()
    _check_upstream(snapshot, stage, partition)
    version = compose(snapshot, stage, partition, standing(snapshot))
    place: Path = directory(workspace, stage, partition)
    with writer_lock(_lock(place)), _swapped_in(place) as out:
        work = Work(
            snapshot=snapshot, stage=stage, partition=partition, out=out, progress=progress, version=version.digest
        )
        made = _computed(work, compute)
        version = noting(version, snapshot, stage, partition, made.damaged)
        written = _described(work, made, version, place, perf_counter() - started).model_dump_json(indent=1).encode()
        atomic_write(out / FILE, written)
        shutil.rmtree(work.unfinished, ignore_errors=True)
    return Manifest.model_validate_json(written)  # as everyone will read it: a NumPy number is a plain one


def _check_upstream(snapshot: Snapshot, stage: Stage, partition: str) -> None:
    """Refuse to start on what is not there, or on what a check stopped."""
    if partition not in snapshot.partitions(stage.partition):
        there = ", ".join(snapshot.partitions(stage.partition)) or "none"
        raise UsageError(f"there is no {stage.partition} {partition} in {snapshot.workspace.root}; there are: {there}")
    for dep, of in upstream(snapshot, stage, partition):
        manifest = read_manifest(snapshot.workspace, dep, of)
        if manifest is None:
            raise UsageError(f"{stage.key} of {partition} reads {dep.key} of {of}, which is not made; make that first")
        if manifest.blocked_by:
            line = manifest.blocked_by
            raise GateNotMet(f"{dep.key} of {of} did not pass {line.name}, so {stage.key} waits: {line.sentence}")


def _computed(work: Work, compute: Compute) -> Made:
    try:
        made = compute(work)
    except DataRefused as error:
        if not work.stage.checks:
            raise
        return Made(checks=(CheckResult(name=work.stage.checks[0], passed=False, sentence=str(error)),))
    with disk_errors(work.out):
        for name, png in made.plots.items():
            (work.out / f"{name}.png").write_bytes(png)
    return made


def _described(work: Work, made: Made, version: Version, place: Path, seconds: float) -> Manifest:
    """The manifest, with file names as they will be once the directory is in its place."""
    stage, root = work.stage, work.workspace.root
    files = [place / path.relative_to(work.out) for path in sorted(work.out.rglob("*")) if path.is_file()]
    return Manifest(
        asset=stage.key,
        partition=work.partition,
        data_version=version.digest,
        inputs=dict(version.inputs),
        config={name: asdict(work.config(name)) for name in stage.configs},
        freeze=work.snapshot.frozen_by(stage),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        code_version=stage.code_version,
        seconds=round(seconds, 3),
        metadata=dict(made.metadata),
        checks=_complete(stage, made.checks),
        files=tuple(path.relative_to(root).as_posix() for path in [*files, *made.elsewhere]),
    )


def _complete(stage: Stage, checks: tuple[CheckResult, ...]) -> tuple[CheckResult, ...]:
    """One result for every check the stage declares: one that was not reached after a refusal did not pass either."""
    given = {check.name: check for check in checks}
    undeclared = set(given) - set(stage.checks)
    assert not undeclared, f"{stage.key} declares no check {undeclared}"
    refused = any(check.blocks for check in checks)
    missing = "not judged, because the stage was refused" if refused else "nothing to object to"
    return tuple(
        given.get(name) or CheckResult(name=name, passed=not refused, sentence=missing) for name in stage.checks
    )


@contextmanager
def _swapped_in(place: Path) -> Iterator[Path]:
    """An empty directory beside `place` that takes its place at the end, and goes away where the block fails."""
    fresh, old = (place.with_name(f".{place.name}.{kind}") for kind in ("new", "old"))
    with disk_errors(place):
        _put_back(old, place)
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            yield fresh
            if place.exists():
                os.rename(place, old)
            os.rename(fresh, place)
        except BaseException:
            _put_back(old, place)
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        shutil.rmtree(old, ignore_errors=True)


def put_back_interrupted(workspace: Workspace) -> None:
    """Give every stage back what it had, where a run was killed between moving the old directory away and the new in.

    A stage that is being made is left to its maker.
    """
    for stage in STAGES:
        for old in sorted((workspace.derived / stage.key).glob(".*.old")):
            place = old.with_name(old.name.removeprefix(".").removesuffix(".old"))
            if not place.exists():
                with suppress(DataRefused), writer_lock(_lock(place)):
                    _put_back(old, place)


def _put_back(old: Path, place: Path) -> None:
    if old.exists() and not place.exists():
        os.rename(old, place)


def _lock(place: Path) -> Path:
    return place.parent / f".{place.name}.lock"
