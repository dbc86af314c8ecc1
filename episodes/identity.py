"""What an episode *is*: its content id, and the id of the trajectory in it.

episode_id = hex(blake2b(schema version, task, instruction, and every array in name order))[:16], each array as name,
dtype, shape and little-endian bytes, images as stored. Not in it: when it was recorded, its session, its outcome and
the file it came from, so that the same recording imported twice is one episode.
group_id = the same over executed actions and proprio alone: it finds one trajectory in two formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

import numpy as np

from episodes.layout import stored_arrays
from episodes.record import SCHEMA_VERSION, Array, Episode

_GROUP_PATHS = ("action/executed", "observation/proprio")


def episode_id(episode: Episode) -> str:
    """16 hex digits over everything recorded. Raises `DataRefused` for an episode that cannot be stored."""
    return episode_id_of(episode, stored_arrays(episode))


def group_id(episode: Episode) -> str:
    """16 hex digits over executed actions and proprio; the episode's own id where it has neither."""
    arrays = stored_arrays(episode)
    return group_id_of(arrays, episode_id_of(episode, arrays))


def episode_id_of(episode: Episode, arrays: Mapping[str, Array]) -> str:
    """`episode_id` where `stored_arrays(episode)` is at hand already."""
    texts = (str(SCHEMA_VERSION), episode.task, episode.instruction)
    return _digest((*(text.encode() for text in texts), *_parts(arrays)))


def group_id_of(arrays: Mapping[str, Array], own_id: str) -> str:
    """`group_id` where `stored_arrays(episode)` is at hand already."""
    trajectory = {path: arrays[path] for path in _GROUP_PATHS if path in arrays}
    return _digest((str(SCHEMA_VERSION).encode(), *_parts(trajectory))) if trajectory else own_id


def _parts(arrays: Mapping[str, Array]) -> Iterable[bytes | memoryview]:
    for path in sorted(arrays):
        array = arrays[path]
        yield path.encode()
        yield array.dtype.str.encode()
        yield repr(array.shape).encode()
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _digest(parts: Iterable[bytes | memoryview]) -> str:
    digest = blake2b()
    for part in parts:
        # the length goes first, so that no two different lists of parts run together to the same bytes
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:16]
