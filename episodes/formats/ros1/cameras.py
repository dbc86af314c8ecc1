"""Pictures of a ROS 1 bag: `sensor_msgs/CompressedImage` is passed through, `sensor_msgs/Image` becomes PNG."""

from __future__ import annotations

from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.formats.ros1.bag import Bag
from episodes.formats.ros1.messages import Place, at_path
from episodes.formats.source import ImportMapping, camera_names
from episodes.images import encode_png
from episodes.record import Array

_NO_NAMES = {"compressed", "image_raw", "image", "image_color", "image_rect", "image_rect_color", "color", "rgb"}
"""last parts of a topic that do not say which camera it is"""
_CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "mono8": (0, 0, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0)}
_PIXEL_BYTES = {"rgb8": 3, "bgr8": 3, "mono8": 1, "rgba8": 4, "bgra8": 4}


def topics_of(bag: Bag, mapping: ImportMapping) -> dict[str, tuple[str, Place]]:
    """Camera -> where its pictures are; `EpisodeFormatError` where two topics would be one camera."""
    found = {topic: place for topic, place in bag.places.values() if place.kind in ("compressed", "image")}
    named = camera_names({topic: _short(topic) for topic in found if not _is_depth(topic)}, mapping, bag.name)
    return {camera: (topic, found[topic]) for topic, camera in named.items()}


def _short(topic: str) -> str:
    return next((part for part in reversed(topic.split("/")) if part and part not in _NO_NAMES), "camera")


def _is_depth(topic: str) -> bool:
    return "depth" in topic.lower()


def frames_of(bag: Bag, topic: str, place: Place, wanted: set[int]) -> dict[int, bytes]:
    """The encoded pictures of some messages of a topic, by their number."""
    messages = enumerate(bag.messages({topic}))
    return {
        i: _encoded(at_path(message.values, place.path), place.kind, topic) for i, message in messages if i in wanted
    }


def _encoded(picture: Any, kind: str, topic: str) -> bytes:
    if kind == "compressed":
        return np.asarray(picture["data"]).tobytes()
    encoding, height, width = str(picture["encoding"]), int(picture["height"]), int(picture["width"])
    if encoding not in _CHANNELS:
        raise DataRefused(f"the pictures of {topic} are {encoding!r}; convert them to one of {', '.join(_CHANNELS)}")
    return encode_png(_pixels(np.asarray(picture["data"], np.uint8), encoding, height, width, topic))


def _pixels(data: Array, encoding: str, height: int, width: int, topic: str) -> Array:
    """uint8 (H, W, 3) RGB; rows may be longer than their pixels."""
    size = _PIXEL_BYTES[encoding]
    if height * width == 0 or len(data) % height or len(data) // height < width * size:
        raise DataRefused(f"a picture of {topic} has {len(data)} bytes for {width} x {height} pixels; record again")
    rows = data.reshape(height, -1)[:, : width * size].reshape(height, width, size)
    return np.ascontiguousarray(rows[:, :, _CHANNELS[encoding]])
