"""Rows of numbers between two processes: one writes, any number read, nobody waits and nobody locks.

Shared memory holds a count and the last `rows` rows. The writer fills a row and then raises the count; a reader copies
and looks at the count again, so that what was overwritten meanwhile is never handed out. Times in rows are monotonic
seconds, which processes of one machine share.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from episodes.record import Array

COUNT_BYTES = 8


@dataclass(slots=True)
class Ring:
    """One direction. Made by `Ring.create` on one side and `Ring.attach` on the other."""

    memory: SharedMemory
    rows: int
    columns: int
    _count: Array = field(init=False)
    _data: Array = field(init=False)

    def __post_init__(self) -> None:
        self._count = np.ndarray(1, np.uint64, self.memory.buf)
        self._data = np.ndarray((self.rows, self.columns), np.float64, self.memory.buf, COUNT_BYTES)

    @classmethod
    def create(cls, rows: int, columns: int) -> Ring:
        """New memory, empty; whoever creates it unlinks it."""
        return cls(SharedMemory(create=True, size=COUNT_BYTES + 8 * rows * columns), rows, columns)

    @classmethod
    def attach(cls, name: str, rows: int, columns: int) -> Ring:
        """The ring of that name, made by the other process."""
        return cls(SharedMemory(name), rows, columns)

    @property
    def name(self) -> str:
        """For `attach`."""
        return self.memory.name

    @property
    def count(self) -> int:
        """How many rows were ever written."""
        return int(self._count[0])

    def write(self, row: Array) -> None:
        """Add a row (columns,)."""
        count = self.count
        self._data[count % self.rows] = row
        self._count[0] = count + 1

    def last(self) -> Array | None:
        """(columns,) the newest row; None while there is none."""
        rows = self.since(self.count - 1)
        return rows[-1] if len(rows) else None

    def since(self, count: int) -> Array:
        """(n, columns) the rows from number `count` on; those that are overwritten already are missing."""
        end = self.count
        start = max(count, end - self.rows, 0)
        copied = self._data[np.arange(start, end) % self.rows]
        kept = max(start, self.count - self.rows + 1)
        return np.asarray(copied[kept - start :] if self.count > end else copied)

    def close(self, *, unlink: bool) -> None:
        """Let go of the memory; its creator unlinks it."""
        del self._count, self._data
        self.memory.close()
        if unlink:
            self.memory.unlink()
