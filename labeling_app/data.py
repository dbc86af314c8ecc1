"""What the pages read: episodes from the store, curves, labels and pairs from the derived Parquet files.

Pure access without Streamlit. Nothing here writes or locks. A table is read again only when its file changed.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from audits.database import place_of
from audits.log import AuditLog
from audits.noted import noted, open_held
from audits.state import Decisions
from episodes.errors import DataRefused, RegraspError
from episodes.findings import VERDICTS
from episodes.record import Episode
from episodes.store import EpisodeStore
from episodes.workspace import Workspace
from labeling_app.episode_table import LISTED, SCHEMA, overlaid, recorded
from releases.ledger import history

QUALITY = "episodes/quality"
VALIDATED = "episodes/validated"
CURVES = "values/curves"
TRIGGERS = "triggers/curves"
LABELS = "labels/stagnation"
MEMORY = "memory/recovery"
KEPT = 512
"""tables in memory, one for each session and one or two for each task; the one read longest ago goes first"""


class Library:
    """Everything a workspace holds that a person may look at. Raises `UsageError` where there is no workspace."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace.open(root)
        self.store = EpisodeStore(root)
        self._tables: dict[Path, tuple[tuple[int, int], pl.DataFrame]] = {}
        self._sessions: dict[str, tuple[tuple[int, int], pl.DataFrame]] = {}
        self._episode = lru_cache(maxsize=16)(self._read_episode)

    def log(self) -> AuditLog:
        """The audit log, begun where nobody has decided anything yet.

        `IntegrityError` where an event is not what was written, or where it lost what manifests or the ledger noted of
        it: no decision goes on top of that.
        """
        manifests = sorted(self.workspace.derived.glob("*/*/*/manifest.json"))
        known = noted(manifests, [move.evidence for move in history(self.workspace.root)])
        log = open_held(self.workspace.audits, known) or AuditLog(place_of(self.workspace.audits))
        log.verify()
        return log

    def tasks(self) -> list[str]:
        """The tasks that have episodes."""
        return self.store.tasks()

    def episodes(self, task: str, decisions: Decisions) -> pl.DataFrame:
        """One row an episode, with what people decided laid over what was recorded; ordered by session and id."""
        sessions = [self._recorded(session) for session in self.store.sessions(task)]
        table = pl.concat(sessions) if sessions else pl.DataFrame(schema=SCHEMA)
        return overlaid(table.sort("session", "episode_id"), decisions)

    def _recorded(self, session: str) -> pl.DataFrame:
        """What was recorded in a session; looked up again only when a file came, went or was listed."""
        path = self._directory(LISTED, session) / "table.parquet"
        listed = self._table(path)
        stamp = ((self.workspace.episodes / session).stat().st_mtime_ns, id(listed))
        if self._sessions.get(session, (None,))[0] != stamp:
            self._sessions[session] = (stamp, recorded(self.store, session, listed, path))
        return self._sessions[session][1]

    def episode(self, episode_id: str) -> Episode:
        """The episode without its images."""
        return self._episode(episode_id)

    def length(self, episode_id: str) -> int:
        """The number of steps of an episode; 0 where it is not there or damaged."""
        try:
            return int(self.store.attributes(episode_id)["length"])
        except RegraspError:
            return 0

    def cameras(self, episode_id: str) -> list[str]:
        """The cameras of an episode."""
        return sorted(self.store.attributes(episode_id)["cameras"])

    def frame(self, episode_id: str, camera: str, t: int) -> bytes:
        """The stored (JPEG or PNG) bytes of frame `t`: nothing is decoded here."""
        return self.store.encoded(episode_id, camera, t)[0]

    def quality(self, task: str) -> pl.DataFrame | None:
        """The quality of the task's episodes, the worst first, with `session` and `data_version`; None before any."""
        frames = []
        for session in self.store.sessions(task):
            table = self._table(self._directory(QUALITY, session) / "table.parquet")
            if table is not None:
                version = str(self.manifest(QUALITY, session).get("data_version", ""))
                frames.append(table.with_columns(session=pl.lit(session), data_version=pl.lit(version)))
        if not frames:
            return None
        grave = pl.col("verdict").replace_strict({name: place for place, name in enumerate(VERDICTS)})
        faults = pl.col("findings").list.len()
        return pl.concat(frames).sort(
            grave,
            "weight",
            faults,
            "tremble",
            "episode_id",
            descending=[True, False, True, True, False],
            nulls_last=True,
        )

    def driven_by_nobody(self, task: str) -> set[str]:
        """The episodes of the task that validation saw no person act in."""
        paths = (self._directory(VALIDATED, session) / "table.parquet" for session in self.store.sessions(task))
        tables = [table for path in paths if (table := self._table(path)) is not None]
        return {each for table in tables for each in table.filter(pl.col("human_steps") == 0)["episode_id"]}

    def curves(self, task: str) -> pl.DataFrame | None:
        """Value curves of the task's sessions, with `session` and `model_hash`; None before there are any."""
        return self._sidecars(CURVES, task)

    def value_model(self, task: str) -> str:
        """The hash of the value model whose curves are shown; several where sessions differ, none before any."""
        newest = (_newest(self._directory(CURVES, session)) for session in self.store.sessions(task))
        return " ".join(sorted({path.stem for path in newest if path is not None}))

    def triggers(self, task: str) -> pl.DataFrame | None:
        """Trigger curves of the task's sessions, with `session` and `model_hash`; None before there are any."""
        return self._sidecars(TRIGGERS, task)

    def labels(self, task: str) -> pl.DataFrame | None:
        """Mined stagnation labels; None before there are any."""
        return self._table(self._directory(LABELS, task) / "labels.parquet")

    def label_terms(self, task: str) -> pl.DataFrame | None:
        """What the mining rule saw at each step; None before there is any."""
        return self._table(self._directory(LABELS, task) / "frames.parquet")

    def pairs(self, task: str) -> pl.DataFrame | None:
        """Retrieved pairs of stuck step and recovery target; None before there are any."""
        return self._table(self._directory(MEMORY, task) / "pairs.parquet")

    def manifest(self, asset: str, partition: str) -> dict[str, Any]:
        """How a partition of a stage was made; empty where nothing says so."""
        return _object(self._directory(asset, partition) / "manifest.json")

    def miner(self, task: str) -> dict[str, Any]:
        """The parameters the labels were mined with; empty where nothing says so."""
        return _object(self._directory(LABELS, task) / "params.json")

    def _directory(self, asset: str, partition: str) -> Path:
        return self.workspace.derived / asset / partition

    def _read_episode(self, episode_id: str) -> Episode:
        return self.store.read(episode_id, images=False)

    def _sidecars(self, asset: str, task: str) -> pl.DataFrame | None:
        frames = []
        for session in self.store.sessions(task):
            path = _newest(self._directory(asset, session))
            table = None if path is None else self._table(path)
            if path is not None and table is not None:
                names = pl.lit(session).alias("session"), pl.lit(path.stem).alias("model_hash")
                frames.append(table.with_columns(names))
        return pl.concat(frames, how="diagonal_relaxed") if frames else None

    def _table(self, path: Path) -> pl.DataFrame | None:
        try:
            stat = path.stat()
        except FileNotFoundError:
            return None
        stamp = (stat.st_mtime_ns, stat.st_size)
        known = self._tables.pop(path, None)
        if known is None or known[0] != stamp:
            try:
                known = (stamp, pl.read_parquet(path))
            except (PolarsError, OSError) as error:
                raise DataRefused(f"{path} cannot be read; remove it and run `regrasp materialize` again") from error
            for gone in [name for name in tuple(self._tables) if not name.exists()]:  # another model's curves
                self._tables.pop(gone, None)
        self._tables[path] = known
        for oldest in tuple(self._tables)[:-KEPT]:
            self._tables.pop(oldest, None)
        return known[1]


def _newest(directory: Path) -> Path | None:
    """A session's sidecar: a stage leaves one file, named by its model."""
    return max(directory.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns, default=None)


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, empty where there is no file."""
    try:
        found = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise DataRefused(f"{path} is damaged ({error}); run `regrasp materialize` again") from error
    return found if isinstance(found, dict) else {}
