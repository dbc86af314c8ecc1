"""Export: episodes go out to the formats of other programs, one at a time, all of them or none.

The dataset is written beside its place, under a hidden name, and renamed once it is whole: a killed export leaves
nothing under the name that was asked for. What a format has no place for is lost and named in the report (`losses`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from episodes.errors import DataRefused, UsageError
from episodes.formats.losses import Loss, Losses
from episodes.formats.registry import writers
from episodes.record import Array, Episode, Outcome
from episodes.store import EpisodeStore
from episodes.workspace import disk_errors, writer_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """One episode that goes out: which, and what is known of it outside its file."""

    episode_id: str
    success: Outcome | None = None
    """the outcome as people decided it; None: as recorded"""
    success_derivation: str = ""
    split: str = ""
    """train, validation, calibration or test; empty where it has none yet"""
    curves: Callable[[], Mapping[str, Array]] = dict
    """reads the (T,) curves of `CURVES` that were computed for it"""


CURVES = ("value", "risk", "trigger")


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What went out."""

    episodes: int
    steps: int
    lost: tuple[str, ...]
    """what of these episodes the format has no place for, a line for each class"""


class Writer(Protocol):
    """A dataset under construction at a path of its own; `finish` makes it whole."""

    def add(self, leaving: Leaving, episode: Episode) -> None: ...
    def lost(self, leaving: Leaving, episode: Episode) -> Iterator[Loss]: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...


class EachByItself:
    """A directory under construction in which every episode is whole by itself, whatever comes after it."""

    def __init__(self, root: Path) -> None:
        self._root, self._count = root, 0
        root.mkdir()

    def _next(self, name: str) -> Path:
        """Where the next episode goes; they are numbered in the order they come."""
        self._count += 1
        return self._root / name.format(self._count - 1)

    def finish(self) -> None:
        """There is nothing to add."""

    def close(self) -> None:
        """Nothing stays open."""


def export_dataset(
    store: EpisodeStore,
    destination: Path,
    episodes: Sequence[Leaving],
    *,
    format: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ExportReport:
    """Write `episodes` of the store to `destination` as a dataset of `format`, one of `registry.writers()`.

    `progress` is called with (done, total) episodes. Raises `UsageError` where the destination is taken or nothing is
    to go out, `DataRefused` for episodes that the format cannot hold together and for a full disk.
    """
    if not episodes:
        raise UsageError("there is no episode to export; `regrasp inspect` lists them")
    known = writers()
    if format not in known:
        raise UsageError(f"there is no format {format!r}; the formats are {', '.join(known)}")
    with _whole(destination) as partial:
        writer = known[format](store, partial, episodes)
        try:
            report = _write_all(store, writer, episodes, progress)
            writer.finish()
        finally:
            writer.close()
    return report


def _write_all(
    store: EpisodeStore,
    writer: Writer,
    episodes: Sequence[Leaving],
    progress: Callable[[int, int], None],
) -> ExportReport:
    steps, losses = 0, Losses()
    for done, leaving in enumerate(episodes):
        progress(done, len(episodes))
        episode = store.read(leaving.episode_id)
        if leaving.success is not None:
            episode = replace(episode, success=leaving.success, success_derivation=leaving.success_derivation)
        writer.add(leaving, episode)
        steps += len(episode)
        losses.add(writer.lost(leaving, episode))
    progress(len(episodes), len(episodes))
    return ExportReport(len(episodes), steps, losses.told(len(episodes)))


@contextmanager
def _whole(destination: Path) -> Iterator[Path]:
    """A path beside `destination` that gets its name when the block ends well, and is removed when it does not."""
    destination = Path(os.path.abspath(destination))
    if os.path.lexists(destination):
        raise UsageError(f"{destination} is there already; remove it or give another destination")
    nearest = next(folder for folder in destination.parents if folder.exists())
    if not nearest.is_dir():
        raise UsageError(f"{nearest} is a file, so {destination} cannot be in it; give another destination")
    partial, lock = (destination.with_name(f".{destination.name}.{end}") for end in ("partial", "lock"))
    with disk_errors(destination), writer_lock(lock):
        try:
            _remove(partial)  # what a killed export left
            yield partial
            os.rename(partial, destination)
        finally:
            _remove(partial)
            lock.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def rate_of(episode: Episode) -> float:
    """Steps per second: the nominal rate, or where the episode has none, that of its median step."""
    if episode.fps > 0:
        return episode.fps
    if len(episode) < 2:
        raise DataRefused(f"an episode of task {episode.task} has one step and no rate; leave it out")
    return round(1 / float(np.median(np.diff(episode.time_s))), 6)


def as_json(value: float) -> Any:
    """A number as JSON spells it best: 10 instead of 10.0."""
    return int(value) if float(value).is_integer() else value
