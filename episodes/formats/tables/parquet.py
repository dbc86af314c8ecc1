"""The rows of a Parquet table, episode by episode, a row group at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from episodes.errors import DataRefused
from episodes.formats.mapping import TableMapping
from episodes.formats.tables.text import Span, column_of, runs

ReadGroups = Callable[[Path, range], pa.Table]


class ParquetRows:
    """One file. Raises `DataRefused` where it is damaged."""

    def __init__(self, path: Path, said: TableMapping, read_groups: ReadGroups | None = None) -> None:
        """`read_groups` may keep what it read last: the episodes of a file follow each other in its row groups."""
        self._path, self._said, self._read_groups = path, said, read_groups or groups_of
        with _opened(path) as file:
            self.columns: list[str] = list(file.schema_arrow.names)
            self._sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
            self.spans = list(self._by_column(file)) if said.episode is not None else [Span("", 0, sum(self._sizes))]

    def read(self, span: Span) -> pa.Table:
        """The rows of one episode."""
        if span.start == span.stop:
            raise DataRefused("there are no rows in it; import without this episode")
        ends = np.cumsum(self._sizes)
        groups = range(
            int(np.searchsorted(ends, span.start, "right")), int(np.searchsorted(ends, span.stop - 1, "right")) + 1
        )
        before = int(ends[groups.start] - self._sizes[groups.start])
        return self._read_groups(self._path, groups).slice(span.start - before, span.stop - span.start)

    def _by_column(self, file: pq.ParquetFile) -> Iterator[Span]:
        column = self.columns[column_of(self._said, self.columns)]
        groups = (_table(file, range(group, group + 1), [column])[0] for group in range(file.num_row_groups))
        values = (str(value) for group in groups for value in group.to_pylist())
        return runs(column, ((value, row) for row, value in enumerate(values, 1)))


def groups_of(path: Path, groups: range) -> pa.Table:
    """The rows of some row groups of a file."""
    with _opened(path) as file:
        return _table(file, groups, None)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataRefused(f"it is no Parquet file: {str(error).splitlines()[0]}; copy it again, whole") from error


def _table(file: pq.ParquetFile, groups: range, columns: list[str] | None) -> pa.Table:
    try:
        return file.read_row_groups(list(groups), columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataRefused(f"its rows cannot be read: {str(error).splitlines()[0]}; copy it again, whole") from error
