"""LeRobot datasets v3.0: `meta/info.json`, episodes and tasks as Parquet, many episodes in one data or video file.

Read with our own Parquet and video decoding. Images in Parquet are passed through; video becomes JPEG quality 95.
The outcome is `episode_success` of `meta/episodes`, or `next.success` where that column says so once; a reward says
nothing. Who acted is taken from our own `control_mode`, else from an intervention column, and is unknown without one.
What `regrasp export` wrote comes back whole, by its note; a column that is NaN all along is absent.
"""

from __future__ import annotations

from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pydantic

from episodes.errors import EpisodeFormatError
from episodes.formats import note
from episodes.formats.source import (
    MEND,
    Clock,
    ImportMapping,
    camera_info,
    collection_of,
    first_error,
    inside,
    pack_foreign,
    sources_from_flags,
)
from episodes.formats.video import read_frames
from episodes.record import ActionSource, Array, EncodedFrames, Episode, Outcome
from episodes.slug import slugify

_INTERVENTION = ("complementary_info.is_intervention", "is_intervention", "intervention")
_CONTROL_MODE = "complementary_info.control_mode"
_TIME = "complementary_info.time_s"
_POLICY_ID = "complementary_info.collector_policy_id"
_EE_POSE = "observation.ee_pose"
_OPTIONAL = {
    "wrench": "observation.wrench",
    "policy_action": "complementary_info.policy_action",
    "human_action": "complementary_info.human_action",
    "raw_action": "complementary_info.raw_command",
}
_READ = {"observation.state", "action", "next.reward", "next.success", _CONTROL_MODE, _TIME, _POLICY_ID}
_READ |= {_EE_POSE, *_OPTIONAL.values(), *_INTERVENTION}
_BOOKKEEPING = {"next.done", "timestamp", "frame_index", "episode_index", "index", "task_index"}
STAMP_TOLERANCE_S = 1e-3
"""LeRobot writes `frame_index / fps` as float32; stamps further off were recorded"""


class Feature(pydantic.BaseModel):
    """One column or camera of the dataset."""

    dtype: str
    names: Any = None


class Info(pydantic.BaseModel):
    """What is needed of `meta/info.json`."""

    codebase_version: str
    fps: pydantic.PositiveFloat
    robot_type: str | None = None
    features: dict[str, Feature]
    data_path: str
    video_path: str | None = None


def detect(path: Path) -> bool:
    """True for a directory with `meta/info.json`."""
    return (path / "meta" / "info.json").is_file()


class LeRobotV3:
    """One dataset directory. Keeps the data file it read last, because episodes follow each other in it."""

    def __init__(self, path: Path, mapping: ImportMapping, fps: float | None) -> None:
        self.root, self._mapping = path, mapping
        self._info = _read_info(path)
        self._asked_fps = fps
        self._clock = Clock.choose(fps, self._info.fps, self._info.fps)
        self._instructions = _read_tasks(path)
        self._rows = _read_episodes(path)
        self._table: tuple[Path, pa.Table, str] | None = None
        self.names = list(self._rows)
        self.warnings = [*self._dropped(), *self._recoded()]

    def close(self) -> None:
        """Let go of the last data file."""
        self._table = None

    def read(self, name: str) -> Episode:
        """The episode with index `name`."""
        row = self._rows[name]
        table, uri, digest = self._data(name, row)
        source = self._source(name, table)
        time_s, derivation, defects = self._times(table)
        images = self._images(name, row, table)
        success, said_by = self._success(name, row, table)
        others: dict[str, Any] = {k: self._given(self._column(name, table, key)) for k, key in _OPTIONAL.items()}
        episode = Episode(
            task=slugify(self.root.resolve().name),
            instruction=self._instruction(name, table),
            session=slugify(self.root.resolve().name),
            robot=self._info.robot_type or "unknown",
            time_s=time_s,
            time_derivation=derivation,
            source_time_defects=defects,
            fps=self._clock.fps,
            action_source=source,
            collection=collection_of(source),
            success=success,
            success_derivation=said_by,
            source_format="lerobot_v3",
            source_uri=f"{self.root.resolve().name}/{uri}#{name}",
            source_sha256=digest,
            action_space={"names": list(self._names_of("action"))} if self._names_of("action") else {},
            proprio=self._column(name, table, "observation.state"),
            proprio_names=self._names_of("observation.state"),
            ee_pose=self._given(self._column(name, table, _EE_POSE, np.float64)),
            executed_action=self._column(name, table, "action"),
            reward=self._given(self._scalar(name, table, "next.reward")),
            policy_id=self._policy_id(table),
            images=images,
            cameras=camera_info(images),
            **others,
        )
        episode, warning = note.with_note(episode, row.get(note.KEY), asked_fps=self._asked_fps)
        if warning and warning not in self.warnings:
            self.warnings.append(warning)
        return episode

    def _data(self, name: str, row: dict[str, Any]) -> tuple[pa.Table, str, str]:
        """The rows of one episode in step order, where they are from, and the hash of that file."""
        place = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
        path = self._file(self._info.data_path, place, name, "data_path")
        if self._table is None or self._table[0] != path:
            with path.open("rb") as file:
                self._table = (path, _read_parquet(path), file_digest(file, "sha256").hexdigest())
        _, table, digest = self._table
        table = table.filter(pc.equal(table["episode_index"], int(name))).sort_by("frame_index")
        if table["frame_index"].to_pylist() != list(range(int(row["length"]))) or table.num_rows == 0:
            raise self._refusal(f"{table.num_rows} rows for {row['length']} steps", name, "length", path.name)
        return table, str(path.relative_to(self.root.resolve())), digest

    def _times(self, table: pa.Table) -> tuple[Array, Any, dict[str, int]]:
        """Times, how they are known, and what is wrong with the stamps of the source."""
        steady_s = np.arange(table.num_rows) / self._clock.fps
        if "timestamp" not in table.column_names or self._clock.derivation == "assumed rate":
            return steady_s, self._clock.derivation, {}
        if _TIME in table.column_names:
            return np.asarray(table[_TIME].to_pylist(), np.float64), "recorded", {}
        stamps_s = np.asarray(table["timestamp"].to_pylist(), np.float64)
        stamps_s = stamps_s - stamps_s[0]
        if np.allclose(stamps_s, steady_s, rtol=0, atol=STAMP_TOLERANCE_S):
            return steady_s, self._clock.derivation, {}
        steps_s = np.diff(stamps_s)
        defects = {"duplicate": int((steps_s == 0).sum()), "backward": int((steps_s < 0).sum())}
        if any(defects.values()) or not np.isfinite(stamps_s).all():
            return steady_s, self._clock.derivation, defects
        return stamps_s, "recorded", {}

    def _source(self, name: str, table: pa.Table) -> Array:
        names = table[_CONTROL_MODE].to_pylist() if _CONTROL_MODE in table.column_names else []
        codes = {source.name.lower(): source for source in ActionSource}
        if names and all(name in codes for name in names):
            return np.array([codes[name] for name in names], np.uint8)
        for key in _INTERVENTION:
            flags = self._scalar(name, table, key)
            if flags is not None:
                return np.where(np.isnan(flags), ActionSource.UNKNOWN, sources_from_flags(flags > 0)).astype(np.uint8)
        return np.full(table.num_rows, ActionSource.UNKNOWN, np.uint8)

    def _success(self, name: str, row: dict[str, Any], table: pa.Table) -> tuple[Outcome, str]:
        """The outcome and who says it. Where no step says success, the column may be one that nobody filled."""
        if row.get("episode_success") in ("success", "failure"):
            return Outcome(row["episode_success"]), "column episode_success"
        said = self._scalar(name, table, "next.success")
        return (Outcome.SUCCESS, "column next.success") if said is not None and said.any() else (Outcome.UNKNOWN, "")

    @staticmethod
    def _given(values: Array | None) -> Array | None:
        """None for a column that is there for other episodes' sake and NaN in this one."""
        return None if values is None or np.isnan(values).all() else values

    @staticmethod
    def _policy_id(table: pa.Table) -> tuple[str, ...] | None:
        if _POLICY_ID not in table.column_names:
            return None
        names = tuple(str(name or "") for name in table[_POLICY_ID].to_pylist())
        return names if any(names) else None

    def _instruction(self, name: str, table: pa.Table) -> str:
        if self._mapping.instruction is not None or "task_index" not in table.column_names:
            return self._mapping.instruction or ""
        index = table["task_index"][0].as_py()
        if index not in self._instructions:
            raise self._refusal(f"task {index} is not in meta/tasks.parquet", name, "task_index", "tasks.parquet")
        return self._instructions[index]

    def _images(self, name: str, row: dict[str, Any], table: pa.Table) -> dict[str, EncodedFrames]:
        return {
            self._camera(key): read(name, row, table, key)
            for key, feature in self._info.features.items()
            if (read := {"video": self._video, "image": self._stills}.get(feature.dtype)) is not None
        }

    def _camera(self, key: str) -> str:
        camera = key.rpartition(".")[2]
        return self._mapping.cameras.get(camera, slugify(camera))

    def _video(self, name: str, row: dict[str, Any], _table: pa.Table, key: str) -> EncodedFrames:
        try:
            place = {"chunk_index": row[f"videos/{key}/chunk_index"], "file_index": row[f"videos/{key}/file_index"]}
            start_s = float(row[f"videos/{key}/from_timestamp"])
        except (KeyError, TypeError) as error:
            raise self._refusal("meta/episodes does not say where its video is", name, key, "meta/episodes") from error
        path = self._file(self._info.video_path or "", {"video_key": key, **place}, name, key)
        return read_frames(path, start_s=start_s, count=int(row["length"]), fps=self._info.fps, episode=name, key=key)

    def _stills(self, name: str, _row: dict[str, Any], table: pa.Table, key: str) -> EncodedFrames:
        if key not in table.column_names:
            raise self._refusal("there is no such column", name, key, "data")
        frames = [(cell or {}).get("bytes") or b"" for cell in table[key].to_pylist()]
        return pack_foreign(frames, file=self.root.name, episode=name, key=key)

    def _column(self, name: str, table: pa.Table, key: str, dtype: type = np.float32) -> Array | None:
        """A (T, n) column; None where the dataset has none."""
        if key not in table.column_names:
            return None
        values = table[key].to_pylist()
        try:
            return np.asarray(values, dtype).reshape(len(values), -1)
        except (ValueError, TypeError) as error:
            raise self._refusal(f"holes, or rows of several lengths: {error}", name, key, "data") from error

    def _scalar(self, name: str, table: pa.Table, key: str) -> Array | None:
        column = self._column(name, table, key)
        if column is not None and column.shape[1] != 1:
            raise self._refusal(f"{column.shape[1]} values a step where one is meant", name, key, "data")
        return None if column is None else column[:, 0]

    def _names_of(self, key: str) -> tuple[str, ...]:
        """The names of a column's values; they stand in a list, or in a list under one key."""
        names = self._info.features[key].names if key in self._info.features else None
        if isinstance(names, dict) and len(names) == 1:
            names = next(iter(names.values()))
        return tuple(str(name) for name in names) if isinstance(names, list) else ()

    def _dropped(self) -> list[str]:
        kept = _READ | _BOOKKEEPING
        lost = [key for key, f in self._info.features.items() if key not in kept and f.dtype not in ("video", "image")]
        return [f"not kept: columns {', '.join(sorted(lost))}"] if lost else []

    def _recoded(self) -> list[str]:
        videos = sorted(key for key, feature in self._info.features.items() if feature.dtype == "video")
        return [f"video becomes JPEG q95, which loses a little: {', '.join(videos)}"] if videos else []

    def _file(self, template: str, place: dict[str, Any], name: str, key: str) -> Path:
        try:
            relative = template.format(**place)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise self._refusal(f"{template!r} is no path: {error}", name, key, "meta/info.json") from error
        return inside(self.root, relative, episode=name, key=key)

    def _refusal(self, what: str, name: str, key: str, file: str) -> EpisodeFormatError:
        return EpisodeFormatError(what, file=f"{self.root.name}/{file}", episode=name, key=key, remedy=MEND)


def _read_info(root: Path) -> Info:
    file = f"{root.name}/meta/info.json"
    try:
        info = Info.model_validate_json((root / "meta" / "info.json").read_bytes())
    except pydantic.ValidationError as error:
        key, message = first_error(error)
        raise EpisodeFormatError(message, file=file, key=key, remedy="copy the dataset again, whole") from error
    if not info.codebase_version.startswith("v3."):
        what = f"this is LeRobot {info.codebase_version} and this reader knows v3.0"
        remedy = "convert it with LeRobot's convert_dataset_v21_to_v30"
        raise EpisodeFormatError(what, file=file, key="codebase_version", remedy=remedy)
    return info


def _read_tasks(root: Path) -> dict[int, str]:
    """task_index -> instruction. The text stands in the column `task`, or in the index pandas wrote."""
    path = inside(root, "meta/tasks.parquet", episode="", key="tasks")
    table = _read_parquet(path)
    text = next((name for name in ("task", "__index_level_0__") if name in table.column_names), None)
    if text is None or "task_index" not in table.column_names:
        raise EpisodeFormatError("no task_index or no text in it", file=path.name, key="task", remedy=MEND)
    return dict(zip(table["task_index"].to_pylist(), table[text].to_pylist(), strict=True))


def _read_episodes(root: Path) -> dict[str, dict[str, Any]]:
    """episode_index -> its row of meta/episodes, without the statistics."""
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted((root / "meta" / "episodes").rglob("*.parquet")):
        table = _read_parquet(path)
        missing = {"episode_index", "length", "data/chunk_index", "data/file_index"} - set(table.column_names)
        if missing:
            raise EpisodeFormatError("a column is missing", file=path.name, key=min(missing), remedy=MEND)
        table = table.select([name for name in table.column_names if not name.startswith("stats/")])
        rows |= {str(row["episode_index"]): row for row in table.to_pylist()}
    if not rows:
        raise EpisodeFormatError("there are no episodes in it", file=f"{root.name}/meta/episodes", remedy=MEND)
    return rows


def _read_parquet(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise EpisodeFormatError(
            f"no Parquet file: {first}", file=path.name, remedy="copy the file again, whole"
        ) from error
