"""What was said on the topics of a bag, laid along its steps.

The messages of one topic are the steps. Every other topic is held: a step has what was last received at or before it.
Steps before each topic has spoken once are left out, and the report says how many; a flag that has not spoken yet is
unknown instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.formats.fields import ARRAYS
from episodes.formats.mapping import FieldMapping
from episodes.formats.ros1.bag import Bag, Message
from episodes.formats.ros1.cameras import frames_of, topics_of
from episodes.formats.ros1.messages import at_path, numbers_of, stamp_ns
from episodes.formats.source import ImportMapping, pack_foreign
from episodes.record import Array, EncodedFrames


class Tracks:
    """The numbers and flags of one bag at its steps."""

    def __init__(self, bag: Bag, asked: Mapping[Any, FieldMapping], flags: set[str], mapping: ImportMapping) -> None:
        self._bag, self._mapping = bag, mapping
        self._cameras = topics_of(bag, mapping)
        self._keys = {key: bag.find(key) for name, said in asked.items() if name in ARRAYS for key in said.source}
        self._flag_keys = {key: bag.find(key) for key in flags}
        self._steps = self._steps_topic()
        self._rows: dict[str, list[Any]] = {key: [] for key in [*self._keys, *self._flag_keys]}
        self._received: dict[str, list[int]] = {}
        self._stamps: list[int | None] = []
        self._frames: dict[str, str] = {}
        self._latest: dict[str, dict[str, float]] = {}
        self.joints: tuple[str, ...] = mapping.joints
        self._hear()
        self.received_ns = np.array(self._received.get(self._steps, []), np.int64)
        first = self._first()
        if first >= len(self.received_ns):
            raise DataRefused(f"no message of {self._steps} comes after each of the other topics has spoken")
        self.notes = [f"{first} steps before each topic has spoken are left out"] if first else []
        self._first_step, self.received_ns = first, self.received_ns[first:]
        stamps = self._stamps[first:]
        self.stamps_ns = None if None in stamps else np.array(stamps, np.int64)

    def __len__(self) -> int:
        return len(self.received_ns)

    @property
    def flags(self) -> dict[str, Array]:
        """One value a step of what may say who acted or how it ended."""
        return {key: self._flag(key, topic) for key, (topic, _) in self._flag_keys.items()}

    def column(self, key: str) -> Array:
        """(T, n) numbers of a place."""
        if key not in self._keys:
            raise DataRefused(f"{key} has no numbers for every step; name another place in the mapping")
        rows = self._rows[key]
        sizes = sorted({len(row) for row in rows})
        if len(sizes) != 1:
            raise DataRefused(
                f"{key} has {', '.join(map(str, sizes))} numbers in different messages; name another place"
            )
        values: Array = np.array(rows, np.float64)[self._held(self._keys[key][0])]
        return values

    def frame(self, key: str) -> str:
        """The frame_id of the header beside a place, "" without one."""
        return self._frames.get(key, "")

    def images(self, name: str) -> dict[str, EncodedFrames]:
        """Frames by camera, one a step."""
        packed: dict[str, EncodedFrames] = {}
        for camera, (topic, place) in self._cameras.items():
            held = self._held(topic)
            frames = frames_of(self._bag, topic, place, set(held.tolist()))
            packed[camera] = pack_foreign((frames[i] for i in held), file=name, episode=name, key=topic)
        return packed

    def _steps_topic(self) -> str:
        used = {topic for topic, _ in [*self._keys.values(), *self._cameras.values()]}
        if self._mapping.steps is not None:
            return self._bag.find(self._mapping.steps)[0]
        if len(used) != 1:
            counts = ", ".join(f"{topic} ({self._bag.counts[topic]})" for topic in sorted(used)) or "none"
            raise DataRefused(
                f"the fields are on several topics or none ({counts}); say with steps whose are the steps"
            )
        return next(iter(used))

    def _hear(self) -> None:
        """Go through the bag once, keeping numbers and times but no pictures."""
        keys: dict[str, list[str]] = {}
        for key, (topic, _) in (self._keys | self._flag_keys).items():
            keys.setdefault(topic, []).append(key)
        for message in self._bag.messages({*keys, self._steps, *(topic for topic, _ in self._cameras.values())}):
            self._received.setdefault(message.topic, []).append(message.received_ns)
            if message.topic == self._steps:
                self._stamps.append(stamp_ns(message.values))
            for key in keys.get(message.topic, ()):
                self._rows[key].append(self._value(key, message))

    def _value(self, key: str, message: Message) -> Any:
        _, place = self._keys.get(key) or self._flag_keys[key]
        try:
            value = at_path(message.values, place.path)
        except (KeyError, TypeError) as error:
            raise DataRefused(f"the messages of {message.topic} have no {place.path!r}; mend the mapping") from error
        if key in self._flag_keys:
            return value
        if place.kind == "joints":
            return self._joint_row(key, value)
        self._frames.setdefault(key, _frame_id(message.values, place.path))
        return numbers_of(value)

    def _joint_row(self, key: str, state: Mapping[str, Any]) -> list[float]:
        """The position of each joint as last heard: one message may speak of some joints and the next of others."""
        names = tuple(state["name"])
        self.joints = self.joints or names
        if not self._mapping.joints and names != self.joints:
            what = f"{key} speaks of {len(self.joints)} joints in one message and of {len(names)} in another"
            wanted = f"joints = {json.dumps(self.joints + names)}"
            raise DataRefused(f"{what}; say in a mapping file (--mapping) which are wanted, of {wanted}")
        latest = self._latest.setdefault(key, {})
        latest.update(zip(names, map(float, state["position"]), strict=False))
        return [latest.get(joint, np.nan) for joint in self.joints]

    def _first(self) -> int:
        """The first step at which every array has a value."""
        first = 0
        for key, (topic, _) in self._keys.items():
            if topic not in self._received:
                raise DataRefused(f"there are no messages on {topic}; name another place for it in the mapping")
            known = [row for row, values in enumerate(self._rows[key]) if not _hole(values)]
            if not known:
                raise DataRefused(
                    f"{key} never has a value for each of {', '.join(self.joints)}; mend joints in the mapping"
                )
            first = max(first, int(np.searchsorted(self.received_ns, self._received[topic][known[0]])))
        for topic, _ in self._cameras.values():
            first = max(first, int(np.searchsorted(self.received_ns, self._received[topic][0])))
        return first

    def _held(self, topic: str) -> Array:
        """(T,) which message of a topic a step has; -1 before the first."""
        if topic == self._steps:
            return np.arange(len(self)) + self._first_step
        held: Array = np.searchsorted(np.array(self._received.get(topic, []), np.int64), self.received_ns, "right") - 1
        return held

    def _flag(self, key: str, topic: str) -> Array:
        rows = self._rows[key]
        missing: Any = "" if rows and isinstance(rows[0], str) else np.nan
        return np.array([rows[i] if i >= 0 else missing for i in self._held(topic)])


def _hole(values: list[float]) -> bool:
    return bool(np.isnan(values).any())


def _frame_id(message: Mapping[str, Any], path: str) -> str:
    """`frame_id` of the header that stands beside a place, or of the message's own."""
    for parent in (path.rpartition(".")[0], ""):
        header = at_path(message, parent).get("header")
        if isinstance(header, Mapping) and header.get("frame_id"):
            return str(header["frame_id"])
    return ""
