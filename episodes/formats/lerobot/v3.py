"""LeRobot datasets v3.0: the lists of episodes and tasks as Parquet, many episodes in one data or video file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from episodes.errors import EpisodeFormatError
from episodes.formats.lerobot.info import version_of
from episodes.formats.lerobot.source import LeRobot, Row, whole
from episodes.formats.lerobot.steps import EpisodeTable, Steps, reading
from episodes.formats.source import MEND, ImportMapping, inside

_EPISODES, _TASKS = "meta/episodes", "meta/tasks.parquet"
_NEEDED = ("episode_index", "length", "data/chunk_index", "data/file_index")


def detect(path: Path) -> bool:
    """True for a directory with `meta/info.json`, whatever version it says: the reader names what it cannot read."""
    return version_of(path) is not None


class LeRobotV3(LeRobot):
    """One dataset directory of v3. Keeps the data file it read last, because episodes follow each other in it."""

    source_format = "lerobot_v3"
    major = "v3"
    tasks_file = _TASKS

    def __init__(self, path: Path, mapping: ImportMapping, fps: float | None) -> None:
        self._table: EpisodeTable | None = None
        super().__init__(path, mapping, fps)

    def close(self) -> None:
        """Let go of the last data file."""
        if self._table is not None:
            self._table.close()
        self._table = None

    def _list(self) -> dict[str, Row | EpisodeFormatError]:
        rows: dict[str, Row | EpisodeFormatError] = {}
        for path in sorted((self.root / _EPISODES).rglob("*.parquet")):
            with reading(path.name):
                listed = self._read(path.relative_to(self.root), _NEEDED).to_pylist()
            for row in listed:
                index = str(whole(row, "episode_index", file=path.name, episode=""))
                what = "the episode is listed twice"
                again = EpisodeFormatError(what, file=path.name, episode=index, key="episode_index", remedy=MEND)
                rows[index] = again if index in rows else row
        if not rows:
            raise EpisodeFormatError("there are no episodes in it", file=f"{self.root.name}/{_EPISODES}", remedy=MEND)
        return rows

    def _tasks(self) -> dict[int, str]:
        """The text stands in the column `task`, or in the index pandas wrote."""
        table = self._read(Path(_TASKS), ("task_index",))
        text = next((name for name in ("task", "__index_level_0__") if name in table.column_names), None)
        if text is None:
            raise EpisodeFormatError("there is no text in it", file=_TASKS, key="task", remedy=MEND)
        with reading(_TASKS):
            return dict(zip(table["task_index"].to_pylist(), map(str, table[text].to_pylist()), strict=True))

    def _steps(self, name: str, row: Row) -> Steps:
        file = f"{self.root.name}/{_EPISODES}"
        place: dict[str, Any] = {
            key: whole(row, f"data/{key}", file=file, episode=name) for key in ("chunk_index", "file_index")
        }
        path = self._file(self.info.data_path, place, name, "data_path")
        if self._table is None or self._table.path != path:
            self.close()
            self._table = EpisodeTable(path, self._place_of(path), name)
        steps = self._table.episode(int(name))
        steps.check(whole(row, "length", file=file, episode=name))
        return steps

    def _video_of(self, name: str, row: Row, key: str) -> tuple[Path, float, bool]:
        file, at = f"{self.root.name}/{_EPISODES}", f"videos/{key}/"
        place: dict[str, Any] = {
            k: whole(row, f"{at}{k}", file=file, episode=name) for k in ("chunk_index", "file_index")
        }
        path = self._file(self.info.video_path, {"video_key": key, **place}, name, key)
        start_s, stop_s = row.get(f"{at}from_timestamp"), row.get(f"{at}to_timestamp")
        if not isinstance(start_s, float):
            what = "the list of episodes does not say where its video begins"
            raise EpisodeFormatError(what, file=file, episode=name, key=key, remedy=MEND)
        frames = round((stop_s - start_s) * self.info.fps) if isinstance(stop_s, float) else row["length"]
        if frames != row["length"]:
            what = f"its video has {frames} frames for {row['length']} steps"
            raise EpisodeFormatError(what, file=file, episode=name, key=key, remedy=MEND)
        return path, start_s, False

    def _read(self, relative: Path, needed: tuple[str, ...]) -> pa.Table:
        """A Parquet file of `meta`, without the statistics."""
        path = inside(self.root, str(relative), episode="", key="")
        with reading(relative.name):
            names = pq.read_schema(path).names
            missing = set(needed) - set(names)
            if missing:
                raise EpisodeFormatError("a column is missing", file=relative.name, key=min(missing), remedy=MEND)
            return pq.read_table(path, columns=[name for name in names if not name.startswith("stats/")])
