"""`import` and `inspect`: what comes in, and what is there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from pipelines.commands.show import print_fields, print_json, print_rows

if TYPE_CHECKING:
    from episodes.store import EpisodeStore


@dataclass(frozen=True, kw_only=True)
class Import:
    """Import a dataset: LeRobot v3.0, robosuite HDF5, episode JSON with frames."""

    source: Positional[Path]
    """file or directory"""
    format: str | None = None
    """detected by default"""
    task: str | None = None
    """slug; the dataset's or environment's name by default"""
    session: str | None = None
    """slug; made from the names of the dataset and the task by default"""
    fps: float | None = None
    """steps per second, where the dataset does not say or is wrong"""
    mapping: Path | None = None
    """JSON file that says what the dataset does not"""
    strict: bool = False
    """stop at the first bad episode instead of putting it aside"""

    def run(self, root: Path) -> int:
        from episodes.formats import import_dataset

        report = import_dataset(
            self.source,
            root,
            task=self.task,
            session=self.session,
            mapping=self.mapping,
            format=self.format,
            fps=self.fps,
            strict=self.strict,
        )
        for warning in report.warnings:
            print(f"warning: {warning}")
        for refused in report.quarantined:
            print(f"refused: {refused}")
        counts = [len(part) for part in (report.imported, report.duplicates, report.quarantined)]
        print("{} imported, {} already there, {} refused".format(*counts))
        if counts[0]:
            print("next: regrasp materialize")
        return 3 if counts[2] and not counts[0] else 0


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """List sessions and episodes, or show one episode."""

    episode: Positional[str | None] = None
    """episode id; the first digits are enough"""
    session: str | None = None
    """list the episodes of one session"""
    json: bool = False
    """print JSON"""

    def run(self, root: Path) -> int:
        from episodes.store import EpisodeStore
        from episodes.workspace import Workspace

        store = EpisodeStore(Workspace.open(root).root)
        if self.episode is not None:
            self._one(store, _full_id(store, self.episode))
        elif self.session is not None or self.json:
            names = ("episode_id", "session", "task", "collection", "success", "length", "duration_s")
            all_of = [store.attributes(episode_id) for episode_id in store.ids(session=self.session)]
            rows = [{name: attributes[name] for name in names} for attributes in all_of]
            print_json(rows) if self.json else print_rows(rows, empty="no episodes")
        else:
            print_rows([_summary(store, session) for session in store.sessions()], empty="no episodes yet")
        return 0

    def _one(self, store: EpisodeStore, episode_id: str) -> None:
        from episodes.validation import validate

        defects = [f"{d.severity}: {d.message}" for d in validate(store.read(episode_id))]
        shown = {**store.attributes(episode_id), "defects": defects}
        if self.json:
            print_json(shown)
        else:
            print_fields(shown)


def _full_id(store: EpisodeStore, start: str) -> str:
    """The only id that begins like this; the store refuses what is none."""
    found = [episode_id for episode_id in store.ids() if episode_id.startswith(start)]
    return found[0] if len(found) == 1 else start


def _summary(store: EpisodeStore, session: str) -> dict[str, object]:
    all_of = [store.attributes(episode_id) for episode_id in store.ids(session=session)]
    outcomes = Counter(attributes["success"] for attributes in all_of)
    counts = {name: outcomes[name] for name in ("success", "failure", "unknown")}
    minutes = sum(attributes["duration_s"] for attributes in all_of) / 60
    task = all_of[0]["task"]
    return {"session": session, "task": task, "episodes": len(all_of), **counts, "minutes": f"{minutes:.1f}"}
