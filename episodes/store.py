"""The episode store: `<root>/episodes/<session>/<episode_id>.h5`, one file an episode, never changed afterwards.

There is no index to go stale: the directory is the index, and what was read of a file is remembered because the file
cannot change. A file is there whole or not at all; readers never lock.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from episodes import hdf5, images
from episodes.errors import DataRefused, EpisodeFormatError, IntegrityError, UsageError
from episodes.identity import episode_id_of, group_id_of
from episodes.layout import stored_arrays
from episodes.record import Array, Codec, Episode
from episodes.slug import check_slug, is_slug
from episodes.tables import FrameTable, Tables
from episodes.workspace import Workspace, atomic_write, disk_errors, sync_directory, writer_lock

_EPISODE_ID = re.compile(r"[0-9a-f]{16}")


class EpisodeStore:
    """All episodes of one workspace. `root` is the workspace directory; it is made by the first write."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.workspace = Workspace(Path(root))
        if (self.workspace.root / "workspace.json").exists():
            Workspace.open(root)
        self._places: dict[str, str] = {}
        """episode -> the session in which it was last seen"""
        self._writing: set[str] = set()
        self._attributes = lru_cache(maxsize=100_000)(self._read_attributes)
        self._tables = lru_cache(maxsize=4096)(self._read_tables)

    def write(self, episode: Episode) -> str:
        """Store the episode and return its id. An id that is there already is left as it is: ask `contains` first.

        The file is written beside its place, read back, compared, synced and renamed. Raises `DataRefused` for an
        episode that cannot be stored, a full disk, a session of another task or a session that has a writer.
        """
        check_slug("session", episode.session)
        check_slug("task", episode.task)
        arrays = stored_arrays(episode)
        episode_id = episode_id_of(episode, arrays)
        if self.contains(episode_id):
            return episode_id
        image = hdf5.encode(episode, arrays, episode_id, group_id_of(arrays, episode_id))
        path = self._session_directory(episode.session) / f"{episode_id}.h5"
        with self.writing(episode.session):
            self._check_task(episode)
            atomic_write(path, image, check=lambda partial: _check_written(partial, arrays))
        return episode_id

    @contextmanager
    def writing(self, session: str) -> Iterator[None]:
        """Be the session's only writer for as long as the block runs; `write` takes it for one episode by itself."""
        if session in self._writing:
            yield
            return
        Workspace.open(self.workspace.root, create=True)
        directory = self._session_directory(session)
        with writer_lock(directory / ".writer.lock"):
            for torn in directory.glob(".*.tmp"):  # what a killed writer left: nobody else can be writing here now
                torn.unlink(missing_ok=True)
            self._writing.add(session)
            try:
                yield
            finally:
                self._writing.discard(session)

    def read(self, episode_id: str, *, images: bool = True) -> Episode:
        """The episode; without `images` the camera blobs stay on disk. Damage is `EpisodeFormatError`."""
        return hdf5.decode(self.path(episode_id), images=images)

    def attributes(self, episode_id: str) -> dict[str, Any]:
        """What the file says without its arrays: task, session, success, ... and `length`, `duration_s`, `group_id`."""
        return dict(self._attributes(episode_id))

    def encoded(self, episode_id: str, camera: str, t: int) -> tuple[bytes, Codec]:
        """The stored bytes of one frame and their codec, without reading or decoding anything else."""
        tables = self._tables(episode_id).frames
        if camera not in tables:
            raise DataRefused(f"{episode_id} has no camera {camera!r}; it has {', '.join(tables) or 'none'}")
        table = tables[camera]
        if not 0 <= t < len(table.offsets) - 1:
            raise DataRefused(
                f"{episode_id} has steps 0 to {len(table.offsets) - 2} and none at {t}; ask for one of them"
            )
        return table.frame(t), table.codec

    def frame_tables(self, episode_id: str) -> dict[str, FrameTable]:
        """The compressed frames of every camera, left in the file; to be read one by one."""
        return dict(self._tables(episode_id).frames)

    def rows(self, episode_id: str, name: str, start: int, stop: int) -> Array:
        """Steps `start` to `stop` (exclusive) of one array, by its name in `Episode`; nothing else is read."""
        tables = self._tables(episode_id).rows
        if name not in tables:
            raise DataRefused(f"{episode_id} has no {name!r}; it has {', '.join(tables)}")
        return tables[name].rows(start, stop)

    def frame(self, episode_id: str, camera: str, t: int) -> Array:
        """Frame `t` as uint8 (H, W, 3) RGB."""
        return images.decode(*self.encoded(episode_id, camera, t))

    def ids(self, session: str | None = None, task: str | None = None) -> list[str]:
        """The ids of all committed episodes, sorted, of one session or one task where asked."""
        sessions = self.sessions(task)
        if session is not None:
            check_slug("session", session)
            sessions = [name for name in sessions if name == session]
        return sorted({episode_id for name in sessions for episode_id in self._list(name)})

    def sessions(self, task: str | None = None) -> list[str]:
        """The sessions that hold an episode, sorted; those of one task where asked."""
        if task is not None:
            check_slug("task", task)
        if task is None:
            return [name for name in self._folders() if next(self._list(name), None) is not None]
        return [name for name in self._folders() if self.task_of(name) == task]

    def tasks(self) -> list[str]:
        """The tasks of all sessions, sorted."""
        return sorted({task for name in self.sessions() if (task := self.task_of(name))})

    def task_of(self, session: str) -> str | None:
        """The task of a session: all its episodes have the same, so any readable one says it; None where none is."""
        for episode_id in self._list(session):
            try:
                return str(self._attributes(episode_id)["task"])
            except EpisodeFormatError:  # one damaged file must not hide the session; reading it says what is wrong
                continue
        return None

    def contains(self, episode_id: str) -> bool:
        """True where the episode is committed, in any session."""
        return self._find(episode_id) is not None

    def path(self, episode_id: str) -> Path:
        """The episode's file; `DataRefused` where there is none."""
        path = self._find(episode_id)
        if path is None:
            raise self._absent(episode_id)
        return path

    def verify(self, episode_id: str) -> None:
        """Hash the episode again; `IntegrityError` where the bytes are no longer those that were recorded."""
        found = self.read(episode_id)
        if episode_id_of(found, stored_arrays(found)) != episode_id:
            raise IntegrityError(
                f"episode {episode_id} has changed on disk; restore {self.path(episode_id)} from a copy"
            )

    def discard(self, episode_id: str) -> Path:
        """Move the episode to `<root>/discarded/<session>/`, out of everything derived; returns where it is."""
        path = self.path(episode_id)
        kept = self.workspace.discarded / path.parent.name / path.name
        with self.writing(path.parent.name), disk_errors(kept):
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, kept)
            sync_directory(kept.parent)
            sync_directory(path.parent)
        self._attributes.cache_clear()
        self._tables.cache_clear()
        return kept

    def _find(self, episode_id: str) -> Path | None:
        if not _EPISODE_ID.fullmatch(episode_id):
            raise UsageError(f"{episode_id!r} is not an episode id; `regrasp inspect` lists them")
        known = self._places.get(episode_id)
        for session in chain((known,) if known else (), self._folders()):
            path = self.workspace.episodes / session / f"{episode_id}.h5"
            if path.is_file():
                self._places[episode_id] = session
                return path
        return None

    def _folders(self) -> Iterator[str]:
        """The session directories, sorted; not read before the first is asked for."""
        directory = self.workspace.episodes
        yield from sorted(name for name in os.listdir(directory) if is_slug(name)) if directory.is_dir() else ()

    def _list(self, session: str) -> Iterator[str]:
        directory = self._session_directory(session)
        for name in os.listdir(directory) if directory.is_dir() else ():
            episode_id, dot, suffix = name.partition(".")
            if dot and suffix == "h5" and _EPISODE_ID.fullmatch(episode_id):
                self._places[episode_id] = session
                yield episode_id

    def _check_task(self, episode: Episode) -> None:
        task = self.task_of(episode.session)
        if task not in (None, episode.task):
            raise DataRefused(f"session {episode.session} holds task {task}, not {episode.task}; give another session")

    def _read_attributes(self, episode_id: str) -> Mapping[str, Any]:
        return hdf5.attributes(self.path(episode_id))

    def _read_tables(self, episode_id: str) -> Tables:
        return hdf5.tables(self.path(episode_id))

    def _session_directory(self, session: str) -> Path:
        return self.workspace.episodes / check_slug("session", session)

    def _absent(self, episode_id: str) -> DataRefused:
        return DataRefused(f"there is no episode {episode_id} in {self.workspace.root}; `regrasp inspect` lists them")


def _check_written(partial: Path, arrays: Mapping[str, Array]) -> None:
    """Compare what the disk gives back with what was to be written, bit by bit."""
    found = hdf5.arrays_of(partial)
    for name, array in arrays.items():
        if name not in found or not np.array_equal(found[name].view(np.uint8), array.view(np.uint8)):
            raise IntegrityError(f"{partial.name} does not read back as written at {name}; check the disk")
