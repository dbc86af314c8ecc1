"""Pictures of a ROS 1 bag: `sensor_msgs/CompressedImage` is passed through, `sensor_msgs/Image` becomes PNG."""

from __future__ import annotations

from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.formats.ros1_bag import Bag
from episodes.formats.ros1_messages import Place, at_path
from episodes.formats.source import ImportMapping
from episodes.images import encode_png
from episodes.record import Array
from episodes.slug import slugify

_NO_NAMES = {"compressed", "image_raw", "image", "image_color", "image_rect", "image_rect_color", "color", "rgb"}
"""last parts of a topic that do not say which camera it is"""
_CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "mono8": (0, 0, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0)}
_PIXEL_BYTES = {"rgb8": 3, "bgr8": 3, "mono8": 1, "rgba8": 4, "bgra8": 4}


def topics_of(bag: Bag, mapping: ImportMapping) -> dict[str, tuple[str, Place]]:
    """Camera -> where its pictures are; `DataRefused` where two topics would be one camera."""
    cameras: dict[str, tuple[str, Place]] = {}
    for key, (topic, place) in bag.places.items():
        if place.kind not in ("compressed", "image") or "depth" in topic.lower():
            continue
        parts = [part for part in topic.split("/") if part]
        plain = next((part for part in reversed(parts) if part not in _NO_NAMES), "camera")
        camera = mapping.cameras.get(key) or mapping.cameras.get(plain) or slugify(plain)
        if camera in cameras:
            what = f"{cameras[camera][0]} and {topic} would both be camera {camera}"
            raise DataRefused(f"{what}; name them by topic with cameras in the mapping")
        cameras[camera] = (topic, place)
    return cameras


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
