"""Out to LeRobot v3.0: Parquet for data, episodes and tasks, camera frames as they are in image columns, no video.

Beside LeRobot's own columns: `complementary_info.is_intervention` (1 where a person acted, NaN where nobody knows),
`.control_mode` (the name of the `ActionSource`), `.policy_action`, `.human_action`, `.raw_command`,
`.collector_policy_id`, `.time_s` (LeRobot's `timestamp` is `frame_index / fps`), and the curves `.value`, `.risk` and
`.trigger` where they were computed. NaN rows are steps without a value. What has no column is the episode's note in
`meta/episodes`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from episodes.errors import DataRefused
from episodes.formats import losses, note
from episodes.formats.exporting import Leaving, as_json, rate_of
from episodes.formats.lerobot.export_columns import (
    CAMERA,
    MORE,
    NUMBERS,
    arrow,
    episode_schema,
    nothing,
    schema_of,
    settle,
    tasks_table,
)
from episodes.formats.lerobot.export_stats import Stats, camera_stats, column_stats, merged
from episodes.record import ActionSource, Episode, Outcome
from episodes.store import EpisodeStore

FILE_BYTES = 100 * 2**20
"""a data file that is larger is closed, and the next episode begins another; LeRobot's own limit"""
FILES_A_CHUNK = 1000


class LeRobotV3Writer:
    """A dataset directory. Memory holds one episode, and of the others a few numbers."""

    def __init__(self, store: EpisodeStore, root: Path, episodes: Sequence[Leaving]) -> None:
        self._root = root
        self._features = settle(store, episodes)
        self._cameras = [key for key, feature in self._features.items() if feature["dtype"] == "image"]
        self._texts = [key for key, feature in self._features.items() if feature["dtype"] == "string"]
        self._schema = schema_of(self._features)
        self._stats: dict[str, Stats] = {}
        self._tasks: dict[str, int] = {}
        self._splits: list[str] = []
        self._steps, self._files = 0, 0
        self._fps, self._robot = 0.0, ""
        self._data: pq.ParquetWriter | None = None
        place = root / "meta/episodes/chunk-000/file-000.parquet"
        place.parent.mkdir(parents=True)
        self._episodes = pq.ParquetWriter(place, episode_schema(self._features))

    def add(self, leaving: Leaving, episode: Episode) -> None:
        """Append one episode as one row group; `DataRefused` where its rate is not that of those before."""
        fps = rate_of(episode)
        if self._splits and fps != self._fps:
            what = f"episode {leaving.episode_id} has {fps:g} steps a second and those before have {self._fps:g}"
            raise DataRefused(f"{what}; a LeRobot dataset has one rate: choose with --task or --session")
        self._fps, self._robot = fps, self._robot or episode.robot
        columns = self._columns(leaving, episode)
        stats = self._measure(episode, columns)
        self._episodes.write_table(pa.Table.from_pylist([self._row(episode, stats)], schema=self._episodes.schema))
        self._write([arrow(columns[key], self._schema.field(key).type) for key in self._features])
        self._splits.append(leaving.split)
        self._steps += len(episode)

    def lost(self, leaving: Leaving, episode: Episode) -> Iterator[losses.Loss]:
        """All has a column or stands in the note, but for what no column can be."""
        return losses.of_arrays(episode, lost=("depth", "robot_stream"))

    def finish(self) -> None:
        """Close the data, and write what tells of it; `info.json` last."""
        self.close()
        meta = self._root / "meta"
        pq.write_table(tasks_table(list(self._tasks)), meta / "tasks.parquet")
        stats = {key: {name: value.tolist() for name, value in found.items()} for key, found in self._stats.items()}
        (meta / "stats.json").write_text(json.dumps(stats, indent=4))
        (meta / "info.json").write_text(json.dumps(self._info(), indent=4))

    def close(self) -> None:
        """Let go of the files."""
        self._episodes.close()
        if self._data is not None:
            self._data.close()
            self._data = None

    def _columns(self, leaving: Leaving, episode: Episode) -> dict[str, Any]:
        """Every column of the dataset for one episode: (T,) or (T, n) arrays, or lists of text or images."""
        steps = np.arange(len(episode))
        last = steps == len(episode) - 1
        source = episode.action_source
        acted = np.where(source == ActionSource.UNKNOWN, np.nan, source == ActionSource.HUMAN)
        known: dict[str, Any] = {
            "next.done": last,
            "next.success": last & (episode.success is Outcome.SUCCESS),
            f"{MORE}is_intervention": acted,
            f"{MORE}control_mode": [ActionSource(code).name.lower() for code in source],
            f"{MORE}time_s": episode.time_s,
            "timestamp": steps / self._fps,
            "frame_index": steps,
            "episode_index": np.full(len(episode), len(self._splits)),
            "index": steps + self._steps,
            "task_index": np.full(len(episode), self._tasks.setdefault(episode.instruction, len(self._tasks))),
        }
        known |= {f"{MORE}{name}": curve for name, curve in leaving.curves().items()}
        known |= {f"{MORE}collector_policy_id": list(episode.policy_id)} if episode.policy_id else {}
        numbers = {key: getattr(episode, name) for key, (_, name, _) in NUMBERS.items()}
        known |= {key: values for key, values in numbers.items() if values is not None}
        for key in self._cameras:
            frames = episode.images[key.removeprefix(CAMERA)]
            known[key] = [{"bytes": frames.frame(t), "path": None} for t in range(len(episode))]
        return {key: known.get(key, nothing(feature, len(episode))) for key, feature in self._features.items()}

    def _measure(self, episode: Episode, columns: dict[str, Any]) -> dict[str, Stats]:
        """The episode's statistics, also merged into those of the dataset."""
        own: dict[str, Stats] = {key: camera_stats(episode.images[key.removeprefix(CAMERA)]) for key in self._cameras}
        for key in self._features.keys() - set(self._cameras) - set(self._texts):
            found = column_stats(np.asarray(columns[key]))
            if found is not None:
                own[key] = found
        for key, found in own.items():
            self._stats[key] = merged([self._stats[key], found]) if key in self._stats else found
        return own

    def _row(self, episode: Episode, stats: dict[str, Stats]) -> dict[str, Any]:
        """The episode's row of `meta/episodes`."""
        chunk, file = divmod(self._files, FILES_A_CHUNK)
        return {
            "episode_index": len(self._splits),
            "tasks": [episode.instruction],
            "length": len(episode),
            "data/chunk_index": chunk,
            "data/file_index": file,
            "dataset_from_index": self._steps,
            "dataset_to_index": self._steps + len(episode),
            "episode_success": None if episode.success is Outcome.UNKNOWN else episode.success.value,
            note.KEY: note.note_of(episode),
            **{f"stats/{key}/{name}": v.tolist() for key, found in stats.items() for name, v in found.items()},
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }

    def _write(self, columns: list[pa.Array]) -> None:
        chunk, file = divmod(self._files, FILES_A_CHUNK)
        path = self._root / f"data/chunk-{chunk:03d}/file-{file:03d}.parquet"
        if self._data is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._data = pq.ParquetWriter(path, self._schema, use_dictionary=self._texts)
        self._data.write_table(pa.Table.from_arrays(columns, schema=self._schema), row_group_size=len(columns[0]))
        if path.stat().st_size >= FILE_BYTES:
            self._data.close()
            self._data = None
            self._files += 1

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": "v3.0",
            "robot_type": self._robot,
            "total_episodes": len(self._splits),
            "total_frames": self._steps,
            "total_tasks": len(self._tasks),
            "chunks_size": FILES_A_CHUNK,
            "data_files_size_in_mb": FILE_BYTES // 2**20,
            "video_files_size_in_mb": 200,
            "fps": as_json(self._fps),
            "splits": self._ranges(),
            "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            "video_path": None,
            "features": self._features,
        }

    def _ranges(self) -> dict[str, str]:
        """split -> "first:stop" of its episodes, which come one split after the other; without a split all train."""
        if not any(self._splits):
            return {"train": f"0:{len(self._splits)}"}
        ranges, first = {}, 0
        for split, run in groupby(self._splits):
            stop = first + len(list(run))
            ranges[split or "unassigned"] = f"{first}:{stop}"
            first = stop
        return ranges
