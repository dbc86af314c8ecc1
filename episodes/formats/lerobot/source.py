"""LeRobot datasets, whatever their layout: what the columns of an episode say. `v2` and `v3` find the files.

Images in Parquet are passed through; video becomes JPEG quality 95. Who acted and how it ended is what `meaning` finds
in the columns and in the list of episodes; a reward says nothing. What `regrasp export` wrote comes back whole, by its
note; a column that is NaN all along is absent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from episodes.errors import EpisodeFormatError
from episodes.formats import endings, fields, meaning, note
from episodes.formats.lerobot.info import fill, read_info
from episodes.formats.lerobot.steps import Steps
from episodes.formats.lerobot.video import read_frames
from episodes.formats.mapping import FieldMapping
from episodes.formats.source import (
    MEND,
    Clock,
    ImportMapping,
    camera_names,
    foreign_episode,
    inside,
    pack_foreign,
    placing,
    tell_once,
    unchanging,
)
from episodes.record import Array, EncodedFrames, Episode
from episodes.slug import slugify

_TIME = "complementary_info.time_s"
_POLICY_ID = "complementary_info.collector_policy_id"
_EE_POSE = "observation.ee_pose"
_OPTIONAL = {
    "wrench": "observation.wrench",
    "policy_action": "complementary_info.policy_action",
    "human_action": "complementary_info.human_action",
    "raw_action": "complementary_info.raw_command",
}
_READ = {"observation.state", "action", "next.reward", _TIME, _POLICY_ID, _EE_POSE, *_OPTIONAL.values()}
_BOOKKEEPING = {"next.done", "timestamp", "frame_index", "episode_index", "index", "task_index"}
STAMP_TOLERANCE_S = 1e-3
"""LeRobot writes `frame_index / fps` as float32; stamps further off were recorded"""

Row = Mapping[str, Any]
"""what the list of episodes says of one"""


class LeRobot(ABC):
    """One dataset directory."""

    source_format: ClassVar[str]
    major: ClassVar[str]
    tasks_file: ClassVar[str]

    def __init__(self, path: Path, mapping: ImportMapping, fps: float | None) -> None:
        self.root, self._mapping, self._asked_fps = path, mapping, fps
        self.info = read_info(path, self.major)
        self._clock = Clock.choose(fps, self.info.fps, self.info.fps)
        self._cameras = camera_names(self.info.cameras(), mapping, f"{path.name}/meta/info.json")
        self._rows: dict[str, Row | EpisodeFormatError] = self._list()
        self._instructions = self._tasks()
        self.names = list(self._rows)
        self.endings = endings.Endings(mapping.fields.get("success"))
        self.warnings = [*self.info.newer(), *self._dropped(), *self._recoded(), *self._miscounted()]

    @abstractmethod
    def close(self) -> None:
        """Let go of the data file that was read last."""

    @abstractmethod
    def _list(self) -> dict[str, Row | EpisodeFormatError]:
        """The episodes, each with its row of the list of episodes, or with why that cannot be read."""

    @abstractmethod
    def _tasks(self) -> dict[int, str]:
        """task_index -> instruction."""

    @abstractmethod
    def _steps(self, name: str, row: Row) -> Steps:
        """The rows of an episode, one for each of its steps."""

    @abstractmethod
    def _video_of(self, name: str, row: Row, key: str) -> tuple[Path, float, bool]:
        """A camera's video, the second in it at which the episode begins, and whether it has no other episode."""

    def read(self, name: str) -> Episode:
        """The episode with index `name`."""
        row = self._rows[name]
        if isinstance(row, EpisodeFormatError):
            raise row
        steps = self._steps(name, row)
        with placing(steps.file, name):
            decided = self._mapping.decides(self._asked_fps)
            episode, warning = note.with_note(self._episode(row, steps), row.get(note.KEY), decided=decided)
        tell_once(self.warnings, [warning])
        return episode

    def _episode(self, row: Row, steps: Steps) -> Episode:
        said: dict[Any, FieldMapping] = self._mapping.fields
        guesses: list[str] = []
        acting, ending = said.get("intervention"), said.get("success")
        actors = meaning.actors(steps.those(meaning.says_who_acts, acting), len(steps), acting)
        time_s, derivation, defects = self._times(steps)
        images = {name: self._images(row, steps, key) for key, name in self._cameras.items()}
        in_steps = None if ending is None or ending.source[0] in row else ending
        ended = self.endings.of(steps.those(endings.says_how_it_ended, in_steps), row)
        arrays = self._arrays(steps) | fields.arrays_of(said, steps.values, guesses)
        tell_once(self.warnings, [actors.warning, *guesses])
        return foreign_episode(
            slugify(self.root.resolve().name),
            actors.source,
            ended,
            images,
            instruction=self._instruction(steps),
            robot=self.info.robot_type or "unknown",
            time_s=time_s,
            time_derivation=derivation,
            source_time_defects=defects,
            fps=self._clock.fps,
            source_format=self.source_format,
            source_uri=f"{self.root.resolve().name}/{steps.file}#{steps.episode}",
            source_sha256=steps.digest,
            policy_id=_policy_id(steps),
            **arrays,
        )

    def _arrays(self, steps: Steps) -> dict[str, Any]:
        """The arrays of the record by the names that LeRobot and our own export give them."""
        names = list(self.info.names_of("action"))
        return {
            "proprio": steps.numbers("observation.state"),
            "proprio_names": self.info.names_of("observation.state"),
            "executed_action": steps.numbers("action"),
            "action_space": {"names": names} if names else {},
            "ee_pose": _given(steps.numbers(_EE_POSE, np.float64)),
            "reward": _given(steps.one("next.reward")),
            **{field: _given(steps.numbers(key)) for field, key in _OPTIONAL.items()},
        }

    def _times(self, steps: Steps) -> tuple[Array, Any, dict[str, int]]:
        """Times, how they are known, and what is wrong with the stamps of the source."""
        if "time" in self._mapping.fields:
            return fields.stamps_of(self._mapping.fields["time"], steps.values), "recorded", {}
        steady_s = np.arange(len(steps)) / self._clock.fps
        recorded_s, stamps_s = steps.one(_TIME), steps.one("timestamp")
        if stamps_s is None or self._clock.derivation == "assumed rate":
            return steady_s, self._clock.derivation, {}
        if recorded_s is not None:
            return recorded_s, "recorded", {}
        stamps_s = stamps_s - stamps_s[0]
        if np.allclose(stamps_s, steady_s, rtol=0, atol=STAMP_TOLERANCE_S):
            return steady_s, self._clock.derivation, {}
        steps_s = np.diff(stamps_s)
        defects = {"duplicate": int((steps_s == 0).sum()), "backward": int((steps_s < 0).sum())}
        if not np.isfinite(stamps_s).all():
            defects["missing"] = int((~np.isfinite(stamps_s)).sum())
        if any(defects.values()):
            return steady_s, self._clock.derivation, defects
        return stamps_s, "recorded", {}

    def _instruction(self, steps: Steps) -> str:
        if "instruction" in self._mapping.fields:
            return meaning.instruction(self._mapping.fields["instruction"], steps.values)
        indices = steps.one("task_index")
        if self._mapping.instruction is not None or indices is None:
            return self._mapping.instruction or ""
        if indices[0] not in self._instructions:
            raise steps.refusal(f"task {indices[0]:g} is not in {self.tasks_file}", "task_index")
        if (indices != indices[0]).any():
            tell_once(self.warnings, ["an episode has several instructions, of which the first is kept"])
        return self._instructions[int(indices[0])]

    def _images(self, row: Row, steps: Steps, key: str) -> EncodedFrames:
        if self.info.features[key].dtype == "image":
            cells = steps.cells(key)
            if cells is None:
                raise steps.refusal("there is no such column", key)
            frames = [(cell.get("bytes") if isinstance(cell, dict) else None) or b"" for cell in cells]
            return pack_foreign(frames, file=steps.file, episode=steps.episode, key=key)
        path, start_s, alone = self._video_of(steps.episode, row, key)
        with unchanging(path, episode=steps.episode):
            return read_frames(
                path,
                start_s=start_s,
                count=len(steps),
                fps=self.info.fps,
                alone=alone,
                episode=steps.episode,
                key=key,
            )

    def _file(self, template: str | None, place: dict[str, str | int], name: str, key: str) -> Path:
        """The file of this episode that a path template of `info.json` names."""
        info = f"{self.root.name}/meta/info.json"
        relative = fill(template or "", place, file=info, episode=name, key=key)
        return inside(self.root, relative, episode=name, key=key)

    def _place_of(self, path: Path) -> str:
        return str(path.relative_to(self.root.resolve()))

    def _dropped(self) -> list[str]:
        kept = _READ | _BOOKKEEPING | self._cameras.keys()
        kept |= {key for field in self._mapping.fields.values() for key in field.source}
        read = {key for key in self.info.features if meaning.says_who_acts(key) or endings.says_how_it_ended(key)}
        lost = sorted(self.info.features.keys() - kept - read)
        return [f"not kept: columns {', '.join(lost)}"] if lost else []

    def _recoded(self) -> list[str]:
        videos = [key for key in self._cameras if self.info.features[key].dtype == "video"]
        return [f"video becomes JPEG q95, which loses a little: {', '.join(videos)}"] if videos else []

    def _miscounted(self) -> list[str]:
        told, found = self.info.total_episodes, len(self._rows)
        if told in (None, found):
            return []
        return [f"meta/info.json counts {told} episodes and {found} are listed: the list may be cut off"]


def whole(row: Row, key: str, *, file: str, episode: str) -> int:
    """A number of the list of episodes that counts something."""
    value = row.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        what = f"{key} is {str(value)[:40]!r} and no count"
        raise EpisodeFormatError(what, file=file, episode=episode, key=key, remedy=MEND)
    return value


def _given(values: Array | None) -> Array | None:
    """None for a column that is there for other episodes' sake and NaN in this one."""
    return None if values is None or np.isnan(values).all() else values


def _policy_id(steps: Steps) -> tuple[str, ...] | None:
    names = tuple(str(name or "") for name in steps.cells(_POLICY_ID) or ())
    return names if any(names) else None
