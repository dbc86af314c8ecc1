"""Parts of an episode left where they are in its file: one frame, or a few rows of an array, for one `pread`.

Arrays are contiguous and unfiltered and a file never changes, so where a row stands is arithmetic: a chunk of actions
is read without HDF5 and without a picture.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.record import Array, Codec


@dataclass(frozen=True, slots=True)
class FrameTable:
    """The compressed frames of one camera."""

    path: Path
    start: int
    """byte in the file at which the blob starts"""
    offsets: Array
    """(T + 1,) int64 within the blob"""
    codec: Codec

    def frame(self, t: int) -> bytes:
        """The compressed bytes of frame `t`. `DataRefused` where the file is gone."""
        begin, end = int(self.offsets[t]), int(self.offsets[t + 1])
        return _bytes_of(self.path, self.start + begin, end - begin)


@dataclass(frozen=True, slots=True)
class RowTable:
    """One array with a row per step."""

    path: Path
    start: int
    """byte in the file at which row 0 starts"""
    dtype: np.dtype[Any]
    row: tuple[int, ...]
    """shape of one row"""
    length: int

    def rows(self, begin: int, end: int) -> Array:
        """Rows `begin` to `end` (exclusive), shape (end - begin, ...). `DataRefused` for steps that there are not."""
        if not 0 <= begin < end <= self.length:
            raise DataRefused(f"{self.path.stem} has no steps {begin} to {end}; its {self.length} steps begin at 0")
        size = self.dtype.itemsize * int(np.prod(self.row, dtype=int))
        data = _bytes_of(self.path, self.start + begin * size, (end - begin) * size)
        if len(data) < (end - begin) * size:
            raise DataRefused(f"{self.path.name} is cut off; restore it from a copy")
        return np.frombuffer(data, self.dtype).reshape(end - begin, *self.row)


@dataclass(frozen=True, slots=True)
class Tables:
    """Where the parts of one episode stand."""

    frames: dict[str, FrameTable]
    """by camera"""
    rows: dict[str, RowTable]
    """by the array's name in `Episode`"""


def _bytes_of(path: Path, start: int, size: int) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise DataRefused(f"there is no episode {path.stem} any more; `regrasp inspect` lists them") from None
    try:
        return os.pread(handle, size, start)
    finally:
        os.close(handle)
