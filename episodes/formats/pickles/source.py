"""Pickled lists of transitions: what HIL-SERL dumps, and the episode files of UniIntervene's authors.

    [{"observations": {"wrist": uint8 (1, H, W, 3), "external": ..., "state": (1, n)}, "next_observations": {...},
      "actions": (A,), "rewards": 0.0, "masks": 1.0, "dones": False, ...}, ...]

The authors write one episode a file, with `task_name`, and `success` or `failure`; HIL-SERL cuts by number of steps
(`parts`). HIL-SERL does not note who acted, but `demo_buffer/` beside `buffer/` holds a copy of each step
that a person took; its recorded demonstrations carry `infos`, whose `intervene_action` is the person's, and send zeros
while nobody moves. No outcome is taken from rewards unless the mapping says so. Pictures become PNG. The observation
after the last step has no place, nor has what the authors' stages add.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataRefused, EpisodeFormatError
from episodes.formats import endings, meaning
from episodes.formats.fields import arrays_of
from episodes.formats.pickles import opening
from episodes.formats.pickles.columns import INTERVENTION, Columns, packed
from episodes.formats.pickles.parts import Part, Span, files_of, find_parts, recognised
from episodes.formats.source import (
    Clock,
    ImportMapping,
    camera_names,
    foreign_episode,
    inside,
    placing,
    sha256_of,
    sources_from_flags,
    tell_once,
    unchanging,
)
from episodes.record import ActionSource, Array, EncodedFrames, Episode, Outcome
from episodes.slug import slugify

USUAL_FPS = 10.0
HUMAN_COPIES = "demo_buffer"
_TASK = ("task_name", "task", "task_id", "source_task", "task_text")
_INSTRUCTION = ("task_text", "prompt", "instruction", "language_instruction")


def detect(path: Path) -> bool:
    """True for a pickle, or a directory with one; nothing is opened."""
    return bool(files_of(path))


class TransitionPickle:
    """All pickles of a directory, or one."""

    def __init__(self, path: Path, mapping: ImportMapping, fps: float | None) -> None:
        self.root = path if path.is_dir() else path.parent
        self._mapping, self._clock = mapping, Clock.choose(fps, None, USUAL_FPS)
        self.warnings: list[str] = [] if "time" in mapping.fields else self._clock.warning(fps)
        self.endings = endings.Endings(mapping.fields.get("success"))
        self._stream: _Stream | None = None
        self._opener = opening.Opener()
        files = files_of(path)
        copies = [name for name in files if Path(self.root.resolve(), name).parent.name == HUMAN_COPIES]
        if copies and len(copies) == len(files):
            what = f"{HUMAN_COPIES} holds single steps that were cut out of their episodes"
            raise EpisodeFormatError(what, file=path.name, remedy="give the folder that holds it and buffer/")
        with ExitStack() as failed:
            failed.callback(self._opener.close)
            self._parts = find_parts(self.root, [name for name in files if name not in copies], self._opener)
            self._human = frozenset(key for name in copies for key in self._keys(name))
            failed.pop_all()
        self.names = list(self._parts)
        self._sha256 = lru_cache(maxsize=1)(sha256_of)

    def close(self) -> None:
        """End the process that reads."""
        self._let_go()
        self._opener.close()

    def read(self, name: str) -> Episode:
        """One episode, by the name of its file, with `#` and its number where the file has several."""
        part = self._parts[name]
        if part.refusal is not None:
            raise part.refusal
        with placing(part.spans[0].file, name):
            with ExitStack() as unchanged:
                for span in part.spans:
                    unchanged.enter_context(unchanging(self.root / span.file, episode=name, since=span.since))
                columns = Columns([packed(step) for span in part.spans for step in self._steps(span)])
            human = [recognised(step) in self._human for step in columns.steps] if self._human else []
            return self._episode(name, part, columns, np.array(human, bool))

    def _steps(self, span: Span) -> Iterator[opening.Step]:
        """The steps of a span; a file is opened once for all its episodes in order."""
        if self._stream is None or not self._stream.reaches(span):
            self._let_go()
            path = inside(self.root, span.file, episode=span.file, key="")
            self._stream = _Stream(span.file, self._opener.steps(path))
        return self._stream.take(span)

    def _let_go(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _keys(self, name: str) -> Iterator[bytes]:
        for step in self._opener.steps(inside(self.root, name, episode=name, key=""), small=True):
            if (key := recognised(step)) is not None:
                yield key

    def _episode(self, name: str, part: Part, columns: Columns, human: Array) -> Episode:
        said, ended = self._mapping.fields, self._outcome(columns)
        wording = said.get("instruction")
        return foreign_episode(
            slugify(columns.text(_TASK)) if columns.text(_TASK) else "",
            self._actors(columns, human),
            ended,
            self._images(name, columns),
            instruction=meaning.instruction(wording, columns.__getitem__) if wording else columns.text(_INSTRUCTION),
            complete=part.ended,
            terminal=part.ended and ended[0] is Outcome.SUCCESS,
            source_format="transition_pickle",
            source_uri=f"{self.root.resolve().name}/{name}",
            source_sha256=self._sha256(self.root / part.spans[0].file),
            **({"collection": "demo"} if columns.has_infos() else {}),
            **self._clock.times(len(columns.steps), said.get("time"), columns.__getitem__),
            **self._arrays(columns),
        )

    def _arrays(self, columns: Columns) -> dict[str, Any]:
        """What is recorded at each step; the mapping wins."""
        reward = next((columns[key] for key in ("rewards", "reward") if key in columns), None)
        found = {"executed_action": columns.rows("actions"), "human_action": columns.rows(INTERVENTION)}
        found |= {"reward": reward, **columns.proprio()}
        guesses: list[str] = []
        found |= arrays_of(self._mapping.fields, columns.__getitem__, guesses)
        tell_once(self.warnings, guesses)
        return {key: value for key, value in found.items() if value is not None}

    def _actors(self, columns: Columns, human: Array) -> Array:
        said = self._mapping.fields.get("intervention")
        if len(human) and said is None:
            return sources_from_flags(human)
        found = meaning.actors(columns if said else columns.flags(), len(columns.steps), said)
        tell_once(self.warnings, [found.warning])
        actions = columns.rows("actions")
        if columns.has_infos() and actions is not None:
            still = (found.source == ActionSource.POLICY) & ~actions.any(axis=1)
            return np.where(still, ActionSource.HOLD, found.source).astype(np.uint8)
        return found.source

    def _outcome(self, columns: Columns) -> tuple[Outcome, str]:
        """A flag of the authors is of the episode, and one in `infos` of a step."""
        if "success" in self._mapping.fields:
            return self.endings.of(columns, {})
        flags = [key for key in columns if endings.says_how_it_ended(key)]
        per_step = {key: columns[key] for key in flags if "/" in key}
        return self.endings.of(per_step, {key: columns.last(key) for key in flags if "/" not in key})

    def _images(self, name: str, columns: Columns) -> dict[str, EncodedFrames]:
        pictures = columns.pictures()
        named = camera_names({key: key for key in pictures}, self._mapping, name)
        return {
            named[key]: EncodedFrames.pack([picture.png for picture in found], "png", *found[0].size_px)
            for key, found in pictures.items()
        }


class _Stream:
    """A pickle that is being read, and how far."""

    def __init__(self, file: str, steps: Generator[opening.Step]) -> None:
        self._file, self._steps, self._next = file, steps, 0

    def reaches(self, span: Span) -> bool:
        return span.file == self._file and span.start >= self._next

    def take(self, span: Span) -> Iterator[opening.Step]:
        while self._next < span.stop:
            step = next(self._steps, None)
            if step is None:
                raise DataRefused(f"{self._file} ends at step {self._next} and had {span.stop} before")
            self._next += 1
            if self._next > span.start:
                yield step

    def close(self) -> None:
        self._steps.close()
