"""The rows of a text table, episode by episode: where each begins and ends, and its columns.

The file is walked through once, line by line, to find the episodes; each is then read by its bytes alone. A value in
quotes may not go over the end of a line.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from episodes.errors import DataRefused
from episodes.formats.mapping import TableMapping

LONGEST_LINE = 1 << 24
"""bytes; a table of numbers has no line of 16 megabytes"""

_FIRST_LINES = 20
"""of a table without a header, to see how many columns it has"""


@dataclass(frozen=True, slots=True)
class Span:
    """One episode of a table."""

    name: str
    """what parts it from the others of its file, "" where it is alone"""
    start: int
    stop: int
    label: str = ""


def column_of(said: TableMapping, columns: list[str]) -> int:
    """The number of the column that parts the episodes."""
    if said.episode not in columns:
        raise DataRefused(f"there is no column {said.episode!r}; the columns are {', '.join(columns)}")
    return columns.index(said.episode)


def runs(column: str, values: Iterable[tuple[str | None, int]], start: int = 0) -> Iterator[Span]:
    """The episodes of (value, where its row ends): rows with one value, which may not come back later."""
    seen = set[str]()
    for value, rows in groupby(values, key=itemgetter(0)):
        ((_, stop),) = deque(rows, maxlen=1)
        if value in seen:
            raise DataRefused(f"the rows of {column} {value} are not together; sort the table by it")
        if value is not None:
            seen.add(value)
            yield Span(value, start, stop)
        start = stop


class TextRows:
    """One file. Raises `DataRefused` where it is no table as the mapping says it is."""

    def __init__(self, path: Path, said: TableMapping) -> None:
        self._path, self._said = path, said
        self._separator = said.separator or ("\t" if path.suffix == ".tsv" else ",")
        with path.open("rb") as file:
            self.columns = self._header(file)
            start = file.tell()
            cut = self._blocks if said.blocks else self._by_column if said.episode is not None else self._whole
            self.spans = list(cut(file, start))

    def read(self, span: Span) -> pa.Table:
        """The rows of one episode."""
        with self._path.open("rb") as file:
            file.seek(span.start)
            data = file.read(span.stop - span.start)
        if not data.strip():
            raise DataRefused("there are no rows in it; import without this episode")
        try:
            return pa_csv.read_csv(
                io.BytesIO(data + b"\n"),
                pa_csv.ReadOptions(column_names=self.columns, encoding=self._said.encoding, use_threads=False),
                pa_csv.ParseOptions(delimiter=self._separator),
                pa_csv.ConvertOptions(decimal_point=self._said.decimal, strings_can_be_null=True),
            )
        except (pa.ArrowException, UnicodeError) as error:
            raise DataRefused(
                f"the rows cannot be read: {error}; mend them, or say separator in the mapping"
            ) from error

    def _header(self, file: io.BufferedReader) -> list[str]:
        for _ in range(self._said.skip):
            file.readline(LONGEST_LINE)
        if self._said.header:
            return self._values(file.readline(LONGEST_LINE).removeprefix(b"\xef\xbb\xbf"))
        start = file.tell()
        widths = [len(self._values(line)) for line in islice(file, _FIRST_LINES)]
        file.seek(start)
        return [str(number) for number in range(max(widths, default=0))]

    def _values(self, line: bytes) -> list[str]:
        try:
            text = line.decode(self._said.encoding).rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataRefused(f"the text is not {self._said.encoding}; say encoding in table of the mapping") from error
        return next(csv.reader([text], delimiter=self._separator), [])

    def _whole(self, file: io.BufferedReader, start: int) -> Iterator[Span]:
        yield Span("", start, file.seek(0, io.SEEK_END))

    def _by_column(self, file: io.BufferedReader, start: int) -> Iterator[Span]:
        column = column_of(self._said, self.columns)
        return runs(self.columns[column], self._values_of(column, file, start), start)

    def _values_of(self, column: int, file: io.BufferedReader, at: int) -> Iterator[tuple[str | None, int]]:
        """The value of a column in each line, in a shorter line that of the one before; and where the line ends."""
        value = None
        for line in _lines(file):
            values, at = self._values(line), at + len(line)
            value = values[column] if len(values) > column else value
            yield value, at

    def _blocks(self, file: io.BufferedReader, start: int) -> Iterator[Span]:
        """Lines between empty ones: the first is the label, the others are rows."""
        label, at, number = "", start, 0
        for line in _lines(file):
            if line.strip() and not label:
                label, start = " ".join(self._values(line)).strip(), at + len(line)
            elif not line.strip() and label:
                yield Span(f"{number:06d}", start, at, label)
                label, number = "", number + 1
            at += len(line)
        if label:
            yield Span(f"{number:06d}", start, at, label)


def _lines(file: io.BufferedReader) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise DataRefused(f"a line has more than {LONGEST_LINE} bytes, so this is no table; choose another file")
        yield line
