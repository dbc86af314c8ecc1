"""`export`: episodes to the formats of other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from episodes.errors import UsageError
from pipelines.commands.show import count_bar

if TYPE_CHECKING:
    from episodes.formats.exporting import Leaving
    from episodes.record import Array
    from episodes.store import EpisodeStore

Format = Literal["lerobot-v3", "robomimic", "seed-json", "uniintervene", "rerun"]
SPLITS = ("train", "validation", "calibration", "test", "")
CURVE_STAGES = {"values/curves": ("value", "risk"), "triggers/curves": ("trigger",)}


@dataclass(frozen=True, kw_only=True)
class Export:
    """Export episodes to a format of the field; excluded episodes stay here."""

    destination: Positional[Path]
    """directory to make; a file for robomimic"""
    format: Format
    """what to write"""
    task: str | None = None
    """only this task"""
    session: str | None = None
    """only this session"""

    def run(self, root: Path) -> int:
        from episodes.formats.exporting import export_dataset
        from episodes.store import EpisodeStore
        from episodes.workspace import Workspace

        store = EpisodeStore(Workspace.open(root).root)
        leaving, excluded = self._chosen(store)
        with count_bar("export") as progress:
            report = export_dataset(store, self.destination, leaving, format=self.format, progress=progress)
        if excluded:
            print(f"left out: {excluded} excluded episodes")
        for loss in report.lost:
            print(f"not kept: {loss}")
        print(f"{report.episodes} episodes, {report.steps} steps are in {self.destination}")
        return 0

    def _chosen(self, store: EpisodeStore) -> tuple[list[Leaving], int]:
        """The episodes that go out, by split, and how many are excluded; outcomes as the latest freeze has them."""
        from episodes.formats.exporting import Leaving
        from episodes.record import Outcome
        from episodes.split import read_split

        splits = dict(read_split(store.workspace.root).select("episode_id", "split").iter_rows())
        rows = [row for task in self._tasks(store) for row in _decided(store, task)]
        if self.task is None:
            _refuse_damaged(store, set(store.ids(session=self.session)) - {row["episode_id"] for row in rows})
        chosen = [row for row in rows if self.session in (None, row["session"])]
        leaving = [
            Leaving(
                episode_id=row["episode_id"],
                success=Outcome(row["success"]),
                success_derivation=row["success_derivation"],
                split=splits.get(row["episode_id"], ""),
                curves=partial(_curves, store.workspace.derived, row["session"], row["episode_id"]),
            )
            for row in chosen
            if not row["excluded"]
        ]
        leaving.sort(key=lambda item: SPLITS.index(item.split))
        return leaving, len(chosen) - len(leaving)

    def _tasks(self, store: EpisodeStore) -> list[str]:
        for what, asked, there in (("task", self.task, store.tasks()), ("session", self.session, store.sessions())):
            if asked is not None and asked not in there:
                listed = ", ".join(there) or "none"
                raise UsageError(f"there is no {what} {asked!r} in {store.workspace.root}; there are: {listed}")
        if self.session is not None:
            return [task for task in [store.task_of(self.session)] if task is not None and self.task in (None, task)]
        return store.tasks() if self.task is None else [self.task]


def _decided(store: EpisodeStore, task: str) -> Iterator[dict[str, Any]]:
    from assets.audit_log import open_log
    from audits.freeze import latest
    from episodes.decided import decide

    log = open_log(store.workspace)
    freeze = latest(log, "episodes") if log else None
    return decide(store, task, freeze.decisions if freeze else {}).iter_rows(named=True)


def _refuse_damaged(store: EpisodeStore, taskless: set[str]) -> None:
    """`EpisodeFormatError` for the first episode of a session in which no file can say what its task is."""
    for episode_id in sorted(taskless):
        store.attributes(episode_id)


def _curves(derived: Path, session: str, episode_id: str) -> Mapping[str, Array]:
    """The curves of one episode by name, in step order; those that were never computed are absent."""
    import polars as pl

    found: dict[str, Array] = {}
    for stage, columns in CURVE_STAGES.items():
        for path in (derived / stage / session).glob("*.parquet"):
            rows = pl.scan_parquet(path).filter(pl.col("episode_id") == episode_id).sort("frame_index").collect()
            found |= {name: rows[name].to_numpy() for name in columns if len(rows)}
    return found
