"""ROS 1 bags: one bag is one episode, and the messages of one topic are its steps.

Poses, wrenches, joint states and images are found by what a message is made of, under the definitions in the bag. Where
one place fits it is taken, and the report says which; where several do, `fields` in the mapping says which, as
`/topic` or `/topic:path.in.the.message`. `steps` names the topic whose messages are the steps where several topics
are used; a step has the last value that came before it, never a later one. Units are those of ROS (REP 103).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.formats import endings, fields, meaning
from episodes.formats.mapping import FieldMapping, line_of
from episodes.formats.ros1.bag import Bag, opened, require_rosbags
from episodes.formats.ros1.tracks import Tracks
from episodes.formats.source import (
    ImportMapping,
    foreign_episode,
    inside,
    placing,
    sha256_of,
    starts_with,
    tell_once,
    unchanging,
)
from episodes.record import Array, Episode
from episodes.slug import slugify

_MAGIC = b"#ROSBAG V"
_FOUND_BY_KIND = {"ee_pose": "pose", "wrench": "wrench", "proprio": "joints"}
_ROS: dict[str, dict[str, Any]] = {
    "ee_pose": {"unit": ("m",), "rotation": "xyzw"},
    "wrench": {"unit": ("N", "Nm")},
}
"""how ROS writes what a mapping only names"""


def detect(path: Path) -> bool:
    """True for a bag, or a directory that has one."""
    return bool(_bags(path))


class RosBag1:
    """The bags of one directory, or one of them."""

    def __init__(self, path: Path, mapping: ImportMapping, fps: float | None) -> None:
        require_rosbags()
        self.root = path if path.is_dir() else path.parent
        self.names = [str(file.relative_to(self.root)) for file in _bags(path)]
        self.warnings: list[str] = []
        self.endings = endings.Endings(mapping.fields.get("success"))
        self._mapping, self._fps = mapping, fps

    def close(self) -> None:
        """Nothing stays open."""

    def read(self, name: str) -> Episode:
        """The episode of one bag."""
        path = inside(self.root, name, episode=name, key="")
        with placing(self.root.name, name), unchanging(path, episode=name), opened(path) as bag:
            return replace(self._episode(name, bag), source_sha256=sha256_of(path))

    def _episode(self, name: str, bag: Bag) -> Episode:
        notes: list[str] = []
        asked = self._asked(bag, notes)
        tracks = Tracks(bag, asked, self._flags(bag), self._mapping)
        arrays = fields.arrays_of(asked, tracks.column, notes)
        if "proprio" in arrays and tracks.joints:
            arrays["proprio_names"] = tracks.joints
        if "wrench" in arrays and tracks.frame(asked["wrench"].source[0]):
            arrays.setdefault("wrench_attrs", {}).setdefault("frame", tracks.frame(asked["wrench"].source[0]))
        actors = meaning.actors(tracks.flags, len(tracks), asked.get("intervention"))
        ended = self.endings.of(tracks.flags, {})
        times, defects = self._times(tracks)
        images = tracks.images(name)
        tell_once(self.warnings, [*notes, *tracks.notes, actors.warning])
        return foreign_episode(
            slugify(self.root.resolve().name),
            actors.source,
            ended,
            images,
            instruction="",
            recorded_at=datetime.fromtimestamp(tracks.received_ns[0] // 1_000_000_000, UTC).isoformat(),
            time_s=times,
            time_derivation="recorded" if self._fps is None else "assumed rate",
            fps=self._fps or _rate(times),
            source_time_defects=defects,
            source_format="rosbag1",
            source_uri=f"{self.root.resolve().name}/{name}",
            **arrays,
        )

    def _asked(self, bag: Bag, notes: list[str]) -> dict[Any, FieldMapping]:
        """Where each field stands: as the mapping says, else the one place that fits."""
        asked: dict[Any, FieldMapping] = {}
        for field, said in self._mapping.fields.items():
            usual = {key: value for key, value in _ROS.get(field, {}).items() if not getattr(said, key)}
            asked[field] = said.model_copy(update=usual)
        for name, kind in _FOUND_BY_KIND.items():
            fitting = sorted(key for key, (_, place) in bag.places.items() if place.kind == kind)
            if name not in asked and len(fitting) > 1:
                choice = " or ".join(line_of(name, [key]) for key in fitting)
                raise DataRefused(
                    f"{name} can be in {len(fitting)} places; say in a mapping file (--mapping): {choice}"
                )
            if name not in asked and fitting:
                asked[name] = FieldMapping.model_validate({"from": fitting, **_ROS.get(name, {})})
                notes.append(f"fields: {name} is read from {fitting[0]}, the only place of the bag that has its form")
        return asked

    def _flags(self, bag: Bag) -> set[str]:
        """Single values whose names say who acted or how it ended."""
        single = {key for key, (_, place) in bag.places.items() if place.kind in ("number", "string")}
        said = {self._mapping.fields[name].source[0] for name in _FLAG_FIELDS if name in self._mapping.fields}
        return {key for key in single if meaning.says_who_acts(key) or endings.says_how_it_ended(key)} | said

    def _times(self, tracks: Tracks) -> tuple[Array, dict[str, int]]:
        """Times since the first step, by the messages' own stamps unless those are missing, repeated or go backward."""
        if self._fps is not None:
            return np.arange(len(tracks)) / self._fps, {}
        received_s = (tracks.received_ns - tracks.received_ns[0]) / 1e9
        if tracks.stamps_ns is None or not tracks.stamps_ns.any():
            return received_s, {}
        steps = np.diff(tracks.stamps_ns)
        defects = {"duplicate": int((steps == 0).sum()), "backward": int((steps < 0).sum())}
        if any(defects.values()):
            return received_s, defects
        return (tracks.stamps_ns - tracks.stamps_ns[0]) / 1e9, {}


_FLAG_FIELDS = ("intervention", "success")


def _rate(times: Array) -> float:
    """Steps per second, to a thousandth."""
    return round(float(1 / np.median(np.diff(times))), 3) if len(times) > 1 else 0.0


def _bags(path: Path) -> list[Path]:
    files = sorted(path.rglob("*.bag")) if path.is_dir() else [path]
    return [file for file in files if starts_with(file, _MAGIC) or (path.is_dir() and file.is_file())]
