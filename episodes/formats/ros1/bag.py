"""An opened ROS 1 bag: its topics, what is in their messages, and the messages in the order they were received.

Reading is `rosbags`'; what it lets through of a damaged file becomes `DataRefused` here.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from episodes.errors import DataRefused, MissingExtra
from episodes.formats.ros1.messages import Place, Types, decode, places

_DAMAGE = (
    ValueError,
    KeyError,
    IndexError,
    OSError,
    EOFError,
    RuntimeError,
    AssertionError,
    OverflowError,
    MemoryError,
    struct.error,
)
"""beside its own errors"""
LARGEST_CHUNK = 1 << 28
"""bytes; recorders write chunks of 768 kilobytes unless told otherwise"""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, read by its definition."""

    topic: str
    received_ns: int
    """when the recorder received it, nanoseconds of the epoch"""
    values: dict[str, Any]


class Bag:
    """A bag under the hands of `rosbags`."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.name: str = reader.path.name
        self._types: dict[str, tuple[Types, str]] = {}
        self.counts: dict[str, int] = {}
        for connection in reader.connections:
            self._types[connection.topic] = (_types(connection), connection.msgtype)
            self.counts[connection.topic] = self.counts.get(connection.topic, 0) + connection.msgcount
        self.places = {
            place_key(topic, place.path): (topic, place)
            for topic, (types, name) in self._types.items()
            if self.counts[topic]
            for place in places(types, name)
        }
        """what can be a field of the record, by the name that a mapping gives it"""

    def messages(self, topics: set[str]) -> Iterator[Message]:
        """The messages of some topics; `DataRefused` where the bag is damaged."""
        connections = [connection for connection in self._reader.connections if connection.topic in topics]
        found = self._reader.messages(connections=connections) if connections else iter(())
        while True:
            with _refusing():
                following = next(found, None)
            if following is None:
                return
            connection, received_ns, data = following
            types, name = self._types[connection.topic]
            yield Message(connection.topic, received_ns, decode(types, name, bytes(data)))

    def find(self, key: str) -> tuple[str, Place]:
        """(topic, place) of a key of a mapping: one of `places`, or `/topic:path` of anything else with numbers."""
        if key in self.places:
            return self.places[key]
        topic, _, path = key.partition(":")
        if topic not in self.counts:
            known = ", ".join(sorted(self.counts))
            raise DataRefused(f"there is no topic {topic!r}; the topics are {known}")
        return topic, Place(path, "number")


def place_key(topic: str, path: str) -> str:
    """`/topic`, or `/topic:path`; the one value of a standard message, `data`, goes by its topic."""
    return topic if path in ("", "data") else f"{topic}:{path}"


@contextmanager
def opened(path: Path) -> Iterator[Bag]:
    """The bag at `path`. Raises `MissingExtra` without `rosbags`, `DataRefused` for a damaged or unindexed file."""
    rosbag1 = require_rosbags()
    with _refusing():
        reader = rosbag1.Reader(path)
        reader.open()
        reader.chunks = {at: chunk._replace(decompressor=_bounded(chunk)) for at, chunk in reader.chunks.items()}
    with closing(reader):
        yield Bag(reader)


def _bounded(chunk: Any) -> Callable[[bytes], bytes]:
    """Decompression that stops at `LARGEST_CHUNK`: a few kilobytes can unfold to more than the memory there is."""
    import lz4.frame
    from rosbags.rosbag1.reader import decompressors

    unfold: Callable[[bytes], bytes] = chunk.decompressor
    begin = {"bz2": bz2.BZ2Decompressor, "lz4": lz4.frame.LZ4FrameDecompressor}
    made = next((begin[name] for name, usual in decompressors.items() if usual is unfold and name in begin), None)

    def decompress(data: bytes) -> bytes:
        decompressor = made() if made else None
        unfolded: bytes = decompressor.decompress(data, max_length=LARGEST_CHUNK) if decompressor else data
        if decompressor and not decompressor.eof:
            raise ValueError(f"a chunk of {len(data)} bytes is cut off, or unfolds to more than {LARGEST_CHUNK} bytes")
        return unfolded

    return decompress


def require_rosbags() -> Any:
    """The package's module, or `MissingExtra`."""
    try:
        from rosbags import rosbag1
    except ImportError as error:
        raise MissingExtra("ROS bags need the package rosbags; run `pip install 'regrasp[rosbag]'`") from error
    return rosbag1


@contextmanager
def _refusing() -> Iterator[None]:
    from rosbags.rosbag1 import ReaderError
    from rosbags.typesys import TypesysError

    try:
        yield
    except (ReaderError, TypesysError, *_DAMAGE) as error:
        what = str(error) or type(error).__name__
        raise DataRefused(f"the bag cannot be read: {what}; mend it with `rosbag reindex`, or copy it again") from error


def _types(connection: Any) -> Types:
    from rosbags.typesys import get_types_from_msg

    with _refusing():
        types: Types = get_types_from_msg(connection.msgdef.data, connection.msgtype)
    return types
