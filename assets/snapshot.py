"""A workspace at one moment, as far as versions depend on it: episode ids, freezes and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b

from polars import col, read_parquet
from polars.exceptions import PolarsError

from assets.audit_log import open_log
from assets.manifest import FrozenBy, directory
from assets.settings import Settings, read_settings
from assets.stages import STAGE, TABLE, PartitionKind, Stage
from audits.freeze import FREEZE_KINDS, Freeze, latest
from episodes.errors import EpisodeFormatError
from episodes.split import read_split
from episodes.store import EpisodeStore
from episodes.workspace import Workspace


@dataclass(frozen=True)
class Snapshot:
    """What there is to make things of. Taking one reads directories and one attribute a session, no arrays."""

    workspace: Workspace
    store: EpisodeStore
    ids: Mapping[str, tuple[str, ...]]
    """session -> sorted episode ids"""
    task_of: Mapping[str, str]
    """session -> task; "" where no recording of a session can be read and none ever was"""
    unreadable: frozenset[str]
    """sessions of which no recording can be read"""
    freezes: Mapping[str, Freeze | None]
    settings: Settings

    @classmethod
    def take(cls, workspace: Workspace) -> Snapshot:
        """Look at the workspace now."""
        store = EpisodeStore(workspace.root)
        ids = {session: tuple(store.ids(session=session)) for session in store.sessions()}
        said = {session: store.task_of(session) for session in ids}
        unreadable = frozenset(session for session, task in said.items() if task is None)
        task_of = {session: task or _task_before(workspace, ids[session]) for session, task in said.items()}
        return cls(workspace, store, ids, task_of, unreadable, _latest_freezes(workspace), read_settings(workspace))

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.task_of.values()) - {""}))

    def sessions(self, task: str) -> list[str]:
        """The sessions of a task, sorted."""
        return [session for session in self.ids if self.task_of[session] == task]

    def partitions(self, kind: PartitionKind) -> tuple[str, ...]:
        """All partitions of a kind, sorted."""
        return tuple(self.ids) if kind == "session" else self.tasks

    def task(self, kind: PartitionKind, partition: str) -> str:
        """The task a partition belongs to."""
        return self.task_of[partition] if kind == "session" else partition

    def episodes(self, kind: PartitionKind, partition: str) -> list[str]:
        """The ids of a partition's episodes, sorted."""
        sessions = [partition] if kind == "session" else self.sessions(partition)
        return sorted(episode_id for session in sessions for episode_id in self.ids[session])

    def collected(self, task: str, collection: str) -> list[str]:
        """The ids of a task's episodes that were collected like this."""
        found = (_collections(self.workspace, session, self.ids[session]) for session in self.sessions(task))
        return sorted(name for part in found for name, how in part.items() if how == collection)

    def applies(self, stage: Stage, partition: str) -> bool:
        """False where the stage has nothing to read: no demonstrations, no base policy."""
        return not stage.collection or bool(self.collected(partition, stage.collection))

    def notes(self, task: str) -> dict[str, str]:
        """episode_id -> digest of what the simulator noted of it, for the episodes of a task that have such notes."""
        ids = {episode_id for session in self.sessions(task) for episode_id in self.ids[session]}
        files = sorted((self.workspace.derived / "privileged").glob("*/*.parquet"))
        return {path.stem: blake2b(path.read_bytes(), digest_size=8).hexdigest() for path in files if path.stem in ids}

    def bytes_of(self, episode_id: str) -> str:
        """Digest of a recording's file as it is now; "" where even its bytes cannot be read."""
        try:
            return blake2b(self.store.path(episode_id).read_bytes(), digest_size=8).hexdigest()
        except OSError:
            return ""

    def frozen_by(self, stage: Stage) -> FrozenBy | None:
        """The freeze the stage reads, as a manifest names it."""
        made = self.freezes.get(stage.freeze or "")
        return None if made is None else FrozenBy(**{name: getattr(made, name) for name in FrozenBy.model_fields})


def _task_before(workspace: Workspace, ids: tuple[str, ...]) -> str:
    """The task these episodes had when they were given their split: their own files do not say it any more."""
    rows = read_split(workspace.root).filter(col("episode_id").is_in(ids))
    return str(rows["task"][0]) if len(rows) else ""


@lru_cache(maxsize=10_000)
def _collections(workspace: Workspace, session: str, ids: tuple[str, ...]) -> dict[str, str]:
    """episode_id -> collection. From the session's list where that is of these episodes: opening each file is slow."""
    try:
        listed = read_parquet(directory(workspace, STAGE["episodes/raw"], session) / TABLE)
        if tuple(listed["episode_id"]) == ids:
            return dict(listed.select("episode_id", "collection").iter_rows())
    except (OSError, PolarsError):
        pass  # not made yet, or by another version: the recordings know
    store = EpisodeStore(workspace.root)
    return {episode_id: _collection(store, episode_id) for episode_id in ids}


def _collection(store: EpisodeStore, episode_id: str) -> str:
    """How an episode was collected; `unknown` for a damaged file, which its session's own stage refuses by name."""
    try:
        return str(store.attributes(episode_id)["collection"])
    except EpisodeFormatError:
        return "unknown"


def _latest_freezes(workspace: Workspace) -> dict[str, Freeze | None]:
    """The newest freeze of each kind. `IntegrityError` where the log lost what something was made with."""
    log = open_log(workspace)
    return {kind: latest(log, kind) if log else None for kind in FREEZE_KINDS}
