"""HDF5 files that other programs wrote: what is in them is read from this very file, and not before its size is known.

A link could lead to any other file of the machine and a dataset can lie in others, so neither is followed. A few bytes
can claim an array of terabytes, so what claims too much is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
import pydantic_core

from episodes.errors import DataRefused, EpisodeFormatError
from episodes.formats.mapping import FieldMapping
from episodes.formats.source import MEND, pack_foreign, starts_with
from episodes.images import MAX_PIXELS, encode_png
from episodes.record import Array, EncodedFrames

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SUFFIXES = (".hdf5", ".h5")
LARGEST = 512 << 20
"""bytes of one array other than pictures: an hour at 500 Hz with 30 values a step stays below"""
LONGEST_TEXT = 1 << 20
"""bytes of one attribute"""
_DEEPEST = 4
_AT_ONCE = 32 << 20
"""bytes of pictures that are read at a time: a chunk of the file often holds many"""

Item: TypeAlias = h5py.Group | h5py.Dataset | None


def files_of(path: Path) -> list[Path]:
    """The HDF5 files of a directory by their names, damaged ones too; a single file is one by its first bytes."""
    if not path.is_dir():
        return [path] if starts_with(path, SIGNATURE) else []
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and not file.is_dir())
    return found if any(starts_with(file, SIGNATURE) for file in found) else []


def first_has(path: Path, wanted: Callable[[h5py.File], bool]) -> bool:
    """True where the first file of `path` that can be opened is of the wanted layout."""
    for file in files_of(path):
        try:
            with opened(file) as opened_file:
                return wanted(opened_file)
        except EpisodeFormatError:
            continue  # the reader says what is wrong with it
    return False


@contextmanager
def opened(path: Path, episode: str = "") -> Iterator[h5py.File]:
    """The open file, with HDF5's ways of failing turned into one sentence."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, MemoryError) as error:
        what = f"this HDF5 file cannot be read: {error}"
        raise EpisodeFormatError(what, file=path.name, episode=episode, remedy="copy the file again, whole") from error


def member(item: Item, path: str) -> Item:
    """What lies at `path` below a group, in this very file; None where there is no such thing."""
    for name in path.split("/"):
        if not isinstance(item, h5py.Group) or not isinstance(item.get(name, getlink=True), h5py.HardLink):
            return None
        item = item[name]
    return item


def attribute(item: Item, key: str) -> Any:
    """An attribute, text as str; None where there is none. `DataRefused` for an absurdly large one and broken text."""
    if item is None or key not in item.attrs:
        return None
    told = item.attrs.get_id(key)
    value = item.attrs[key] if told.dtype.itemsize * math.prod(told.shape or ()) <= LONGEST_TEXT else None
    if value is None or (isinstance(value, (str, bytes)) and len(value) > LONGEST_TEXT):
        raise DataRefused(f"the attribute {key} is larger than {LONGEST_TEXT} bytes; shorten it")
    if not isinstance(value, (str, bytes)):
        return None if isinstance(value, h5py.Empty) else value
    try:
        return (value if isinstance(value, bytes) else value.encode()).decode()
    except UnicodeError as error:
        raise DataRefused(f"the attribute {key} is not UTF-8 ({error}); write it again") from error


def json_attribute(item: Item, key: str) -> dict[str, Any]:
    """The JSON object in an attribute; {} where there is none."""
    text = attribute(item, key)
    if text is None:
        return {}
    try:
        found = pydantic_core.from_json(str(text))
    except ValueError as error:
        raise DataRefused(f"the attribute {key} is not JSON ({error}); write it again") from error
    return found if isinstance(found, dict) else {}


class Datasets:
    """The datasets of one episode that are of this very file, by their paths below its group."""

    def __init__(self, group: Item, file: str, episode: str) -> None:
        self.group, self.file, self.episode = group, file, episode
        self._own = dict(_below(group, "")) if isinstance(group, h5py.Group) else {}

    def names(self) -> list[str]:
        """All of them, sorted."""
        return sorted(self._own)

    def has(self, key: str) -> bool:
        return key in self._own

    def at(self, key: str) -> h5py.Dataset:
        """The dataset at `key`, which has to be there."""
        if key not in self._own:
            raise self.refusal(self.absence(key), key)
        return self._own[key]

    def absence(self, key: str) -> str:
        """Why there is no dataset at `key`: nothing is there, or what is there is of another file."""
        above, _, name = key.rpartition("/")
        parent = member(self.group, above) if above else self.group
        there = isinstance(parent, h5py.Group) and name and parent.id.links.exists(name.encode())
        if there and not isinstance(member(parent, name), h5py.Group):
            return f"{key} is a link or lies in another file, which is not followed"
        return f"there is no dataset {key} in it"

    def numbers(self, key: str) -> Array:
        """A (T, n) array of numbers with at least one row and column; (T,) is one column."""
        found = self.at(key)
        if found.ndim not in (1, 2) or 0 in found.shape or found.dtype.kind not in "fiub":
            raise self.refusal(f"{key} is {found.dtype} of shape {found.shape}, not (steps, values)", key)
        values: Array = self._read(key, found)
        return values.reshape(len(values), -1)

    def values(self, key: str, length: int | None = None) -> Array:
        """Numbers (T, n), or text (T,); of `length` steps."""
        found = self.at(key)
        if length is not None and found.shape[:1] != (length,):
            raise self.refusal(f"{key} is of shape {found.shape} and the episode has {length} steps", key)
        if found.dtype.kind in "SO" and found.ndim == 1 and found.size:
            return np.asarray(self._read(key, found))
        return self.numbers(key)

    def those(self, wanted: Callable[[str], bool], said: FieldMapping | None) -> dict[str, Array]:
        """The datasets whose name is wanted, and those that the mapping names."""
        names = dict.fromkeys([*filter(wanted, self.names()), *(said.source if said else ())])
        return {key: self.values(key) for key in names}

    def attributes(self, wanted: Callable[[str], bool]) -> dict[str, Any]:
        """The attributes of the episode whose name is wanted."""
        return {
            key: attribute(self.group, key) for key in map(str, self.group.attrs if self.group else ()) if wanted(key)
        }

    def frames(self, key: str, length: int) -> EncodedFrames:
        """One picture a step: pixels (T, H, W, 3), or JPEG or PNG bytes, each cut to length or filled up with zeros."""
        found = self.at(key)
        if found.shape[:1] != (length,):
            raise self.refusal(f"{key} is of shape {found.shape} and the episode has {length} steps", key)
        cells = (cell for block in _blocks(found) for cell in block)
        if _are_pixels(found):
            return EncodedFrames.pack([encode_png(picture) for picture in cells], "png", *found.shape[1:3])
        if found.dtype.kind in "SO" if found.ndim == 1 else found.dtype == np.uint8 and found.ndim == 2:
            return pack_foreign(map(_bytes, cells), file=self.file, episode=self.episode, key=key)
        what = f"{key} is {found.dtype} of shape {found.shape}, not pictures of (steps, height, width, 3)"
        raise self.refusal(what, key)

    def refusal(self, what: str, key: str, remedy: str = MEND) -> EpisodeFormatError:
        return EpisodeFormatError(what, file=self.file, episode=self.episode, key=key, remedy=remedy)

    def array(self, key: str) -> Array | None:
        """The dataset as it is; None where there is none."""
        return self._read(key, self.at(key)) if self.has(key) else None

    def _read(self, key: str, found: h5py.Dataset) -> Array:
        size = 8 * math.prod(found.shape)
        if max(size, found.nbytes) > LARGEST:
            raise self.refusal(f"{key} claims {size} bytes", key)
        values: Array = found[()]
        return values


def _blocks(found: h5py.Dataset) -> Iterator[Array]:
    """The dataset some rows at a time."""
    rows = max(1, _AT_ONCE * len(found) // max(found.nbytes, 1))
    for start in range(0, len(found), rows):
        yield found[start : start + rows]


def _are_pixels(found: h5py.Dataset) -> bool:
    if found.dtype != np.uint8 or found.ndim != 4 or found.shape[3] != 3:
        return False
    return bool(0 < found.shape[1] * found.shape[2] <= MAX_PIXELS)


def _below(group: h5py.Group, path: str, depth: int = 0) -> Iterator[tuple[str, h5py.Dataset]]:
    """The datasets below a group with their paths; groups in groups up to `_DEEPEST`, for a hard link can go round."""
    for name in map(str, group):
        item = member(group, name)
        if isinstance(item, h5py.Group) and depth < _DEEPEST:
            yield from _below(item, f"{path}{name}/", depth + 1)
        elif isinstance(item, h5py.Dataset) and not item.is_virtual and not item.external and item.shape is not None:
            yield f"{path}{name}", item


def _bytes(cell: Any) -> bytes:
    """The bytes of one picture; neither JPEG nor PNG ends with a zero, so what stands behind is padding."""
    return (cell if isinstance(cell, bytes) else np.asarray(cell, np.uint8).tobytes()).rstrip(b"\0")
