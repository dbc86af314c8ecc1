"""Import: datasets of other programs become episodes, one at a time; what is wrong with one stops none of the others.

Nothing is invented: an outcome, an actor or an action that the source does not name stays unknown or absent, and the
report says so. The same dataset imported twice adds nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from episodes.errors import EpisodeFormatError, UsageError
from episodes.formats.registry import detected, open_dataset
from episodes.identity import episode_id
from episodes.record import ActionSource, Episode, Outcome
from episodes.slug import check_slug, slugify
from episodes.split import group_index
from episodes.store import EpisodeStore
from episodes.validation import Defect, validate

if TYPE_CHECKING:
    from episodes.formats.source import ImportMapping, Source

Progress = Callable[[int, int], None]
"""called with (done, total)"""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a dataset."""

    imported: tuple[str, ...]
    """ids of the new episodes, in the order of the source"""
    duplicates: tuple[str, ...]
    """ids that were in the workspace already, those of `repeated` among them"""
    quarantined: tuple[EpisodeFormatError, ...]
    """one for each episode that was refused: `.file .episode .key .remedy`"""
    warnings: tuple[str, ...]
    """one sentence for each class of defect met"""
    same_trajectory: tuple[tuple[str, str], ...] = ()
    """(new episode, the one before it that has the same `group_id`): one trajectory twice, perhaps from two formats"""
    repeated: tuple[tuple[str, str], ...] = ()
    """(episode of the dataset, the earlier one of it that is the same), by their names in the source"""


def import_dataset(
    source: str | PathLike[str],
    root: str | PathLike[str],
    *,
    task: str | None = None,
    session: str | None = None,
    mapping: Mapping[str, Any] | str | Path | None = None,
    format: str | None = None,
    fps: float | None = None,
    allow_pickle: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Import the dataset at `source` into the workspace at `root`, one session per task.

    `format` is one of `registry.readers()`, detected by default. `fps` overrides the step rate; `mapping` (a dict,
    TOML or JSON file, see `ImportMapping`) says what the files do not. `task` and `session` are slugs; the task is by
    default the name of the dataset or environment. Without `allow_pickle` no pickle is opened, and with it in a
    process that builds plain arrays alone. With `strict` the first bad episode raises; otherwise it is quarantined.
    Raises `EpisodeFormatError` where the dataset as a whole cannot be read, `UsageError` for wrong arguments,
    `DataRefused` for a full disk or a busy session. `progress` is called with (episodes done, all episodes).
    """
    from episodes.formats.source import check_fps, read_mapping

    path = Path(source)
    if not path.exists():
        raise UsageError(f"there is no {path}; check the path of the dataset")
    for what, name in (("task", task), ("session", session)):
        if name is not None:
            check_slug(what, name)
    declared = read_mapping(mapping)
    chosen = format or detected(path, declared)
    if chosen == "transition_pickle" and not allow_pickle:
        what = "a pickle can run code when it is opened, so none was"
        remedy = "if you trust who made it, --allow-pickle reads plain arrays in a process of its own"
        raise EpisodeFormatError(what, file=path.name, remedy=remedy)
    with closing(open_dataset(path, chosen, declared, check_fps(fps))) as opened, ExitStack() as locks:
        return _Import(EpisodeStore(root), path, task, session, declared, locks, strict, progress).run(opened)


@dataclass(slots=True)
class _Import:
    """One import under way."""

    store: EpisodeStore
    path: Path
    task: str | None
    session: str | None
    mapping: ImportMapping
    locks: ExitStack
    strict: bool
    progress: Progress | None
    imported: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    quarantined: list[EpisodeFormatError] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    cameras: set[str] = field(default_factory=set)
    groups: dict[str, str] | None = None
    """group_id -> the first episode of it, read when the first new episode comes"""
    same_trajectory: list[tuple[str, str]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """episode_id -> the first episode of this dataset that has it, by its name there"""
    repeated: list[tuple[str, str]] = field(default_factory=list)

    def run(self, source: Source) -> ImportReport:
        for done, name in enumerate(source.names, 1):
            try:
                self._take(name, source.read(name))
            except EpisodeFormatError as error:
                if self.strict:
                    raise
                error.__cause__ = error.__context__ = None  # with their tracebacks they would keep the episode's arrays
                self.quarantined.append(error.with_traceback(None))
            if self.progress is not None:
                self.progress(done, len(source.names))
        warnings = [*source.warnings, *source.endings.warnings(), *self._warnings(len(source.names)), *self._unseen()]
        return ImportReport(
            imported=tuple(self.imported),
            duplicates=tuple(self.duplicates),
            quarantined=tuple(self.quarantined),
            warnings=tuple(warnings),
            same_trajectory=tuple(self.same_trajectory),
            repeated=tuple(self.repeated),
        )

    def _take(self, name: str, episode: Episode) -> None:
        """Check one episode, give it its task and session, and store it."""
        episode = _declare(episode, self.mapping, self.task)
        if not episode.task:
            file = episode.source_uri.partition("#")[0]
            what, remedy = "the file names no task", "say it with --task"
            raise EpisodeFormatError(what, file=file, episode=name, key="task", remedy=remedy)
        for defect in validate(episode):
            if defect.severity == "error":
                raise _refusal(defect, name, episode)
            self._note(defect.kind, f"{defect.message} (first in episode {name})")
        self._note_unknown(episode)
        self.cameras |= episode.images.keys()
        known = episode_id(episode)
        if (first := self.names.setdefault(known, name)) != name:
            self.repeated.append((name, first))
        if self.store.contains(known):
            self.duplicates.append(known)
            self._note_other_outcome(known, name, episode.success)
        else:
            self.groups = group_index(self.store) if self.groups is None else self.groups
            self.imported.append(self.store.write(replace(episode, session=self._session_of(episode.task))))
            self._note_group(known)

    def _note_other_outcome(self, known: str, name: str, here: Outcome) -> None:
        """An episode never changes, so an outcome that a second import knows better would be lost without a word."""
        there = self.store.attributes(known)["success"]
        if here is not Outcome.UNKNOWN and here.value != there:
            what = f"{known} is there as {there} and is {here.value} here (first in episode {name})"
            self._note("other_outcome", f"{what}; an import changes nothing: decide with `regrasp label episodes`")

    def _note_group(self, new: str) -> None:
        """Keep in mind where the trajectory of a new episode was there before; they will share a split."""
        assert self.groups is not None
        first = self.groups.setdefault(self.store.attributes(new)["group_id"], new)
        if first != new:
            self.same_trajectory.append((new, first))

    def _session_of(self, task: str) -> str:
        """The session of this import and task, locked for as long as the import runs."""
        if task not in self.sessions:
            name = self.session or _default_session(self.path, task)
            if name in self.sessions.values():  # the person named one session and the dataset has a second task
                name = f"{name}-{task}"[:128]
            self.locks.enter_context(self.store.writing(name))
            self.sessions[task] = name
        return self.sessions[task]

    def _note(self, kind: str, message: str) -> None:
        self.kinds[kind] += 1
        self.examples.setdefault(kind, message)

    def _note_unknown(self, episode: Episode) -> None:
        if episode.success is Outcome.UNKNOWN:
            remedy = "give it with `regrasp label episodes` or in the app"
            self._note("outcome", f"the source does not say whether it succeeded, so the outcome is unknown; {remedy}")
        if np.all(episode.action_source == ActionSource.UNKNOWN):
            self._note("actor", "the source does not say who acted; say it with action_source in the mapping")

    def _unseen(self) -> Iterator[str]:
        """A camera that the mapping names and no episode has: a slip of the pen would go by without a word."""
        unseen = [f"{name} (for {there!r})" for there, name in self.mapping.cameras.items() if name not in self.cameras]
        if unseen and len(self.imported) + len(self.duplicates):
            there = ", ".join(sorted(self.cameras)) or "none"
            yield f"cameras: no episode has what the mapping names {', '.join(sorted(unseen))}; here are: {there}"

    def _warnings(self, total: int) -> Iterator[str]:
        for kind, count in self.kinds.items():
            yield f"{kind} ({count} of {total} episodes): {self.examples[kind]}"


def _declare(episode: Episode, mapping: ImportMapping, task: str | None) -> Episode:
    """What the person says, laid over what the file says."""
    said = mapping.model_dump(include={"instruction", "robot", "collection", "action_space"}) | {"task": task}
    if mapping.success is not None:
        said |= {"success": Outcome(mapping.success), "success_derivation": "import mapping"}
    if mapping.action_source is not None:
        code = ActionSource[mapping.action_source.upper()]
        said["action_source"] = np.full(len(episode), code, np.uint8)
    return replace(episode, **{name: value for name, value in said.items() if value is not None})


def _refusal(defect: Defect, name: str, episode: Episode) -> EpisodeFormatError:
    from episodes.formats.source import MEND

    file = episode.source_uri.partition("#")[0]
    return EpisodeFormatError(f"{defect.kind}: {defect.message}", file=file, episode=name, key=defect.key, remedy=MEND)


def _default_session(path: Path, task: str) -> str:
    """A name the same dataset gets each time: its folder, and the file's name where one file is imported."""
    path = path.resolve()
    base = slugify(path.name if path.is_dir() else f"{path.parent.name}_{path.stem}")
    return base if base == task else f"{base[: 127 - len(task)]}-{task}"[:128]
