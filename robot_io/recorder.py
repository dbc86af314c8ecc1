"""The recorder: steps into a journal while the episode runs, then one HDF5 file, then the journal is gone.

`finish` writes the end into the journal first, so that a crash at any later point loses nothing: whoever opens
the session next (`SessionRecorder`, or `recover` for all sessions) finishes what was begun. A journal without an
end becomes an episode with `complete=False`, `end_reason="crash"` and an unknown outcome.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from episodes.errors import DataRefused
from episodes.identity import episode_id
from episodes.images import encode_jpeg
from episodes.record import Array
from episodes.slug import check_slug, is_slug
from episodes.store import EpisodeStore
from episodes.workspace import Workspace, sync_directory
from robot_io.assembly import assemble, is_discarded
from robot_io.journal import Journal, JournalText, read_journal
from robot_io.protocols import EpisodeEnd, RobotSpec, Step

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a start-up pass made of one journal."""

    session: str
    episode_id: str | None
    """None where the journal held no step, was discarded or could not be read"""
    steps: int
    bytes_cut: int
    """bytes of a torn or damaged record at the end"""


class SessionRecorder:
    """Implements `Recorder` for one session, as its only writer until `close`; use it as a context manager."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        session: str,
        *,
        recorded_at: str | None = None,
        collected_by: Mapping[str, Any] | None = None,
    ) -> None:
        """`recorded_at` (ISO 8601) instead of the wall clock; `collected_by` goes into every episode.

        Raises `DataRefused` where the session has another writer.
        """
        self.session = check_slug("session", session)
        self.store = EpisodeStore(root)
        self._recorded_at, self._collected_by = recorded_at, dict(collected_by or {})
        self._path = journal_path(self.store.workspace, session)
        self._journal: Journal | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._time_s = float("-inf")
        self._held = ExitStack()
        self._held.enter_context(self.store.writing(session))
        with ExitStack() as on_error:
            on_error.callback(self._held.close)
            self.recovered = _settle(self.store, self._path)
            on_error.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let the session go. An episode that is still running stays in its journal, to be recovered."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._held.close()

    def start(self, spec: RobotSpec, collected_by: Mapping[str, Any]) -> None:
        """Begin an episode; one that a failed `finish` left behind is finished first.

        Raises `DataRefused` where the session holds another task.
        """
        if self._journal is not None:
            self._journal.close()
            self._journal = None
            _settle(self.store, self._path)
        detail = {
            "session": self.session,
            "recorded_at": self._recorded_at or datetime.now(UTC).isoformat(timespec="milliseconds"),
            "collected_by": {**self._collected_by, **collected_by},
            "spec": {field.name: getattr(spec, field.name) for field in fields(spec)},
        }
        self._check_spec(spec)
        self._shapes, self._time_s = _expected_shapes(spec), float("-inf")
        self._journal = Journal(self._path)
        self._journal.append("start", plain(detail))

    def step(self, step: Step) -> None:
        """Append one step; its frames become JPEG here, once. A step that does not fit those before is refused."""
        seen = step.observation
        arrays: dict[str, Array] = {
            "ee_pose": np.asarray(seen.ee_pose, np.float64),
            "proprio": np.asarray(seen.proprio, np.float32),
            "wrench": np.asarray(seen.wrench, np.float32),
        }
        for name in ("policy_action", "human_action", "executed_action", "raw_action"):
            if getattr(step, name) is not None:
                arrays[name] = np.asarray(getattr(step, name), np.float32)
        self._check(seen.time_s, {**arrays, **{f"camera {name}": image for name, image in seen.images.items()}})
        sizes = {name: image.shape[:2] for name, image in seen.images.items()}
        frames = {f"image/{name}": np.frombuffer(encode_jpeg(image), np.uint8) for name, image in seen.images.items()}
        native = {f"robot/{name}": np.asarray(rows) for name, rows in seen.stream.items()}
        detail = {"time_s": seen.time_s, "source": int(step.source), "policy_id": step.policy_id, "frames": sizes}
        self._running().append("step", plain(detail), arrays | frames | native)
        self._time_s = seen.time_s

    def event(self, t: int, kind: str, **detail: Any) -> None:
        """Append one event of step `t`."""
        self._running().append("event", plain({"t": t, "kind": kind, **detail}))

    def finish(self, end: EpisodeEnd) -> str:
        """Make the episode durable and return its id. Until it returns, the journal is what there is."""
        self._running().append("end", plain(asdict(end)))
        settled = self._settled()
        if settled is None or settled.episode_id is None:
            raise DataRefused(f"the episode of session {self.session} has no steps; discard it or record again")
        return settled.episode_id

    def discard(self) -> None:
        """Keep the episode out of everything: it goes to `<root>/discarded/`."""
        self._running().append("discard", {})
        self._settled()

    def _running(self) -> Journal:
        assert self._journal is not None, "start comes first"
        return self._journal

    def _settled(self) -> Recovered | None:
        self._running().close()
        settled = _settle(self.store, self._path)
        self._journal = None
        return settled

    def _check_spec(self, spec: RobotSpec) -> None:
        for camera in spec.cameras:
            check_slug("camera", camera)
        for known in self.store.ids(self.session)[:1]:
            task = self.store.attributes(known)["task"]
            if task != spec.task:
                raise DataRefused(f"session {self.session} holds task {task}, not {spec.task}; give another session")

    def _check(self, time_s: float, arrays: Mapping[str, Array]) -> None:
        if not time_s > self._time_s:
            raise DataRefused(f"a step at {time_s} s follows one at {self._time_s} s; check the robot's clock")
        for name, array in arrays.items():
            known = self._shapes.setdefault(name, array.shape)
            if array.shape != known:
                raise DataRefused(f"{name} has shape {array.shape} instead of {known}; check the device that gives it")


def journal_path(workspace: Workspace, session: str) -> Path:
    """Where the running episode of a session is."""
    return workspace.live / "journals" / f"{session}.rec"


def recover(root: str | os.PathLike[str]) -> list[Recovered]:
    """The start-up pass: turn what crashes left into episodes. Sessions that are being recorded are left alone."""
    store = EpisodeStore(root)
    found = []
    for path in sorted((store.workspace.live / "journals").glob("*.rec")):
        if not is_slug(path.stem):
            continue
        with ExitStack() as held:
            try:
                held.enter_context(store.writing(path.stem))
            except DataRefused as busy:
                _log.info("%s", busy)
                continue
            settled = _settle(store, path)
        found += [settled] if settled is not None else []
    return found


def _expected_shapes(spec: RobotSpec) -> dict[str, tuple[int, ...]]:
    """The shapes a robot's word gives; those of frames and raw axes are the ones of the first step."""
    actions = ("policy_action", "human_action", "executed_action")
    sizes = {"ee_pose": 7, "proprio": len(spec.proprio_names), "wrench": 6}
    sizes |= dict.fromkeys(actions, len(spec.action_space["names"]))
    return {name: (size,) for name, size in sizes.items()}


def plain(value: Any) -> Any:
    """`value` as JSON holds it: NumPy numbers as Python's, NaN and infinities as null, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _settle(store: EpisodeStore, path: Path) -> Recovered | None:
    """Turn one journal into its episode and remove it; None where there is no journal. Safe to repeat."""
    if not path.exists():
        return None
    text = read_journal(path)
    steps = sum(record.kind == "step" for record in text.records)
    if not text.records and text.bytes_cut:
        path.replace(path.with_suffix(".unreadable"))
        _log.warning("%s has no readable record and was set aside as %s.unreadable", path, path.stem)
        return Recovered(session=path.stem, episode_id=None, steps=0, bytes_cut=text.bytes_cut)
    kept = _keep(store, path, text) if steps else None
    path.unlink()
    sync_directory(path.parent)
    return Recovered(session=path.stem, episode_id=kept, steps=steps, bytes_cut=text.bytes_cut)


def _keep(store: EpisodeStore, path: Path, text: JournalText) -> str | None:
    """Store the episode, or move it to `discarded/`; an identical one that was kept before is not touched.

    In the same session that is a run that goes on where it was killed, and nothing to tell anybody.
    """
    episode = assemble(text)
    known = store.contains(episode_id(episode))
    written = store.write(episode)
    kept_in = store.path(written).parent.name
    if kept_in != episode.session:
        _log.warning("episode %s of session %s is there already, in session %s", written, episode.session, kept_in)
    if not is_discarded(text):
        return written
    if not known:
        store.discard(written)
    return None
