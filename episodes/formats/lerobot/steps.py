"""The steps of one LeRobot episode as a table, and the Parquet file they come from.

A column is numbers, one or a fixed count a step, or text. What is not is refused with the name of the column. A null
where one number stands is NaN; a null where a list stands is a hole and refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from episodes.errors import EpisodeFormatError
from episodes.formats.mapping import FieldMapping
from episodes.formats.source import MEND, sha256_of, stamp, unchanging
from episodes.record import Array

LARGEST = 1 << 30
"""bytes of row groups that are read at once; LeRobot begins another file long before"""
_INDEX = "episode_index"


@dataclass(frozen=True, slots=True)
class Steps:
    """The rows of one episode in step order, where they are from, and the SHA-256 of that file."""

    table: pa.Table
    episode: str
    file: str
    digest: str

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def numbers(self, key: str, dtype: type = np.float32) -> Array | None:
        """A (T, n) column; None where the dataset has none."""
        if key not in self.table.column_names:
            return None
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and that is refused by name
                return _flat(self.table[key]).astype(dtype).reshape(len(self), -1)
        except (pa.ArrowException, ValueError) as error:
            raise self.refusal(f"holes, no numbers, or rows of several lengths: {error}", key) from error

    def one(self, key: str) -> Array | None:
        """A (T,) column of one number a step."""
        column = self.numbers(key, np.float64)
        if column is not None and column.shape[1] != 1:
            raise self.refusal(f"{column.shape[1]} values a step where one is meant", key)
        return None if column is None else column[:, 0]

    def cells(self, key: str) -> list[object] | None:
        """A column of anything else, such as text or pictures; a null is None."""
        if key not in self.table.column_names:
            return None
        try:
            found: list[object] = self.table[key].to_pylist()
            return found
        except (pa.ArrowException, ValueError) as error:
            raise self.refusal(f"text that is not UTF-8: {error}", key) from error

    def values(self, key: str) -> Array:
        """A column of numbers (T, n) or of text (T,) that has to be there."""
        if key not in self.table.column_names:
            raise self.refusal("there is no such column", key)
        if pa.types.is_string(self.table[key].type) or pa.types.is_large_string(self.table[key].type):
            return np.array([cell or "" for cell in self.cells(key) or ()], object)
        column = self.numbers(key, np.float64)
        assert column is not None
        return column

    def those(self, wanted: Callable[[str], bool], said: FieldMapping | None) -> dict[str, Array]:
        """The columns whose name is wanted, and those that the mapping names."""
        names = dict.fromkeys([*filter(wanted, self.table.column_names), *(said.source if said else ())])
        return {key: self.values(key) for key in names}

    def check(self, length: int) -> None:
        """Refuse an episode without one row for each of its `length` steps."""
        frames = self.one("frame_index")
        if frames is None or length == 0 or not np.array_equal(frames, np.arange(length)):
            raise self.refusal(f"{len(self)} rows for {length} steps, or rows that are not numbered by step", "length")

    def refusal(self, what: str, key: str) -> EpisodeFormatError:
        return EpisodeFormatError(what, file=self.file, episode=self.episode, key=key, remedy=MEND)


class EpisodeTable:
    """One data file, which may hold many episodes. Reads only the row groups that can hold the one asked for."""

    def __init__(self, path: Path, file: str, episode: str) -> None:
        self.path, self._file = path, file
        self._stamp = stamp(path)
        with reading(file, episode):
            self._digest = sha256_of(path)
            self._parquet = pq.ParquetFile(path)
            self._ranges = [_range(self._parquet.metadata.row_group(g)) for g in range(self._parquet.num_row_groups)]
        self._kept: tuple[list[int], pa.Table] | None = None

    @property
    def count(self) -> int:
        """Rows of all episodes in it."""
        return int(self._parquet.metadata.num_rows)

    def close(self) -> None:
        """Let go of the file."""
        self._parquet.close()

    def episode(self, index: int) -> Steps:
        """The rows of one episode."""
        groups = [g for g, (first, last) in enumerate(self._ranges) if first <= index <= last]
        with reading(self._file, str(index)), unchanging(self.path, episode=str(index), since=self._stamp):
            if self._kept is None or self._kept[0] != groups:
                self._check_size(groups, str(index))
                self._kept = (groups, self._parquet.read_row_groups(groups))
            table = self._kept[1]
            table = table.filter(pc.equal(table[_INDEX], index)).sort_by("frame_index")
        return Steps(table, str(index), self._file, self._digest)

    def _check_size(self, groups: list[int], episode: str) -> None:
        told = [self._parquet.metadata.row_group(g) for g in groups]
        size = sum(max(group.total_byte_size, 8 * group.num_rows) for group in told)
        if size > LARGEST:
            what, remedy = f"{size} bytes in its row groups", "write it again with one row group an episode"
            raise EpisodeFormatError(what, file=self._file, episode=episode, remedy=remedy)


@contextmanager
def reading(file: str, episode: str = "") -> Iterator[None]:
    """Arrow's ways of failing turned into one sentence."""
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        first = (str(error) or repr(error)).splitlines()[0]
        what, remedy = f"no Parquet file, or not the columns of one: {first}", "copy the file again, whole"
        raise EpisodeFormatError(what, file=file, episode=episode, remedy=remedy) from error


def _range(group: pq.RowGroupMetaData) -> tuple[float, float]:
    """First and last episode of a row group, everything where the file does not say."""
    for c in range(group.num_columns):
        column = group.column(c)
        told = column.statistics if column.path_in_schema == _INDEX else None
        if told is not None and isinstance(told.min, int) and isinstance(told.max, int):
            return told.min, told.max
    return -np.inf, np.inf


def _flat(column: pa.ChunkedArray) -> Array:
    """All numbers of a column, one after the other; the lists in it are of one length."""
    values = column.combine_chunks()
    while isinstance(values, (pa.ListArray, pa.LargeListArray, pa.FixedSizeListArray)):
        if values.null_count or len(pc.unique(pc.list_value_length(values))) > 1:
            raise ValueError("a step is empty or longer than another")
        values = values.flatten()
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type)):
        raise ValueError(f"{values.type} is no number")
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
