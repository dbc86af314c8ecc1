"""LeRobot datasets v2.0 and v2.1: the lists of episodes and tasks as JSON lines, a data file and a video an episode.

Both versions differ in their statistics alone, which are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic_core

from episodes.errors import EpisodeFormatError
from episodes.formats.lerobot.info import version_of
from episodes.formats.lerobot.source import LeRobot, Row, whole
from episodes.formats.lerobot.steps import EpisodeTable, Steps
from episodes.formats.source import MEND, inside

_EPISODES, _TASKS = "meta/episodes.jsonl", "meta/tasks.jsonl"
_LONGEST_LINE = 1 << 20
"""bytes; a line holds a number and some sentences"""


def detect(path: Path) -> bool:
    """True for a directory whose `meta/info.json` says v2."""
    return (version_of(path) or "").startswith("v2.")


class LeRobotV2(LeRobot):
    """One dataset directory of v2.0 or v2.1."""

    source_format = "lerobot_v2"
    major = "v2"
    tasks_file = _TASKS

    def close(self) -> None:
        """Nothing stays open."""

    def _list(self) -> dict[str, Row | EpisodeFormatError]:
        rows: dict[str, Row | EpisodeFormatError] = {}
        for number, row in self._lines(_EPISODES):
            name = f"{_EPISODES}:{number}"
            if isinstance(row, EpisodeFormatError):
                rows[name] = row
                continue
            try:
                index = str(whole(row, "episode_index", file=self._meta(_EPISODES), episode=name))
                whole(row, "length", file=self._meta(_EPISODES), episode=index)
            except EpisodeFormatError as error:
                rows[name] = error
                continue
            rows[index] = row if index not in rows else self._twice(index)
        if not rows:
            raise EpisodeFormatError("there are no episodes in it", file=self._meta(_EPISODES), remedy=MEND)
        return rows

    def _tasks(self) -> dict[int, str]:
        found = {}
        for number, row in self._lines(_TASKS):
            if isinstance(row, EpisodeFormatError):
                raise row
            index = whole(row, "task_index", file=self._meta(_TASKS), episode=f"line {number}")
            found[index] = str(row.get("task", ""))
        return found

    def _steps(self, name: str, row: Row) -> Steps:
        path = self._file(self.info.data_path, self._place(name), name, "data_path")
        table = EpisodeTable(path, self._place_of(path), name)
        try:
            steps = table.episode(int(name))
        finally:
            table.close()
        steps.check(row["length"])
        if table.count != len(steps):
            raise steps.refusal(f"{table.count - len(steps)} rows are of other episodes", "episode_index")
        return steps

    def _video_of(self, name: str, _row: Row, key: str) -> tuple[Path, float, bool]:
        return self._file(self.info.video_path, {"video_key": key, **self._place(name)}, name, key), 0.0, True

    def _place(self, name: str) -> dict[str, str | int]:
        return {"episode_index": int(name), "episode_chunk": int(name) // self.info.chunks_size}

    def _lines(self, relative: str) -> Iterator[tuple[int, dict[str, Any] | EpisodeFormatError]]:
        """The JSON objects of a file with one a line, each with its number; what is none is an error in its place."""
        path = inside(self.root, relative, episode="", key="")
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
                if line.strip():
                    yield number, self._object(line, relative, number)

    def _object(self, line: bytes, relative: str, number: int) -> dict[str, Any] | EpisodeFormatError:
        what = "no JSON object"
        try:
            found = pydantic_core.from_json(line)
            if isinstance(found, dict):
                return found
        except ValueError as error:
            what = f"no JSON: {error}"
        return EpisodeFormatError(what, file=self._meta(relative), episode=f"line {number}", remedy=MEND)

    def _twice(self, index: str) -> EpisodeFormatError:
        what = "the episode is listed twice"
        return EpisodeFormatError(what, file=self._meta(_EPISODES), episode=index, key="episode_index", remedy=MEND)

    def _meta(self, relative: str) -> str:
        return f"{self.root.name}/{relative}"
