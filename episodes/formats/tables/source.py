"""Tables of numbers, CSV or Parquet, one row a step, under a mapping that says what the columns are.

A table does not say what its columns mean, so without `fields` in the mapping nothing is imported. A file is an
episode; or `table.episode` names the column that changes from episode to episode; or, with `table.blocks`, empty lines
part the episodes and each begins with a line that has its label. Only the rows of one episode are in memory.
"""

from __future__ import annotations

from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from episodes.errors import DataRefused, EpisodeFormatError
from episodes.formats import endings, fields, meaning
from episodes.formats.source import (
    ImportMapping,
    foreign_episode,
    inside,
    placing,
    sha256_of,
    stamp,
    starts_with,
    tell_once,
    unchanging,
)
from episodes.formats.tables.parquet import ParquetRows, groups_of
from episodes.formats.tables.text import Span, TextRows
from episodes.record import Array, Episode
from episodes.slug import slugify

_SUFFIXES = (".csv", ".tsv", ".parquet")
_PARQUET = b"PAR1"
_LABEL = "label"
"""the name under which a mapping finds the label of a block"""


def detect(path: Path) -> bool:
    """True for a CSV, TSV or Parquet file, or a directory that has one."""
    return any(file.suffix.lower() in _SUFFIXES for file in _files(path, None))


class Columns:
    """The tables of one directory, or one of them."""

    def __init__(self, path: Path, mapping: ImportMapping, fps: float | None) -> None:
        self.root = path if path.is_dir() else path.parent
        self._mapping, self._fps = mapping, fps
        self._rows: dict[str, TextRows | ParquetRows] = {}
        self._read_groups = lru_cache(maxsize=1)(groups_of)
        self._stamps: dict[str, tuple[int, int, int]] = {}
        self._spans: dict[str, tuple[str, Span]] = {}
        self._damaged: dict[str, EpisodeFormatError] = {}
        for file in _files(path, mapping.table.files):
            self._enter(str(file.relative_to(self.root)))
        self.names = [*self._spans, *self._damaged]
        if not self.names:
            what = f"there are no files {mapping.table.files or 'of CSV, TSV or Parquet'} in it"
            raise EpisodeFormatError(what, file=path.name, remedy="say table.files in a mapping file (--mapping)")
        self._check_mapping(path.name)
        pickles = len(list(path.rglob("*.pkl"))) if path.is_dir() else 0
        self.warnings = [f"not read: {pickles} pickles beside the tables, which can run code"] if pickles else []
        self.endings = endings.Endings(mapping.fields.get("success"))
        self._sha256 = lru_cache(maxsize=1)(sha256_of)

    def close(self) -> None:
        """Nothing stays open."""

    def read(self, name: str) -> Episode:
        """One episode, by `<file>` or `<file>#<what parts it from the others>`."""
        if name in self._damaged:
            raise self._damaged[name]
        file, span = self._spans[name]
        with placing(file, name), unchanging(self.root / file, episode=name, since=self._stamps[file]):
            return self._episode(name, file, span, self._rows[file].read(span))

    def _enter(self, file: str) -> None:
        """The episodes of a file; a damaged one stands as one episode, to be refused when read."""
        try:
            with placing(file, file):
                path = inside(self.root, file, episode=file, key="")
                self._stamps[file] = stamp(path)
                rows = self._rows[file] = self._opened(path)
                self._spans |= {f"{file}#{span.name}" if span.name else file: (file, span) for span in rows.spans}
        except EpisodeFormatError as error:
            self._damaged[file] = error

    def _opened(self, path: Path) -> TextRows | ParquetRows:
        if starts_with(path, _PARQUET) or path.suffix == ".parquet":
            return ParquetRows(path, self._mapping.table, self._read_groups)
        return TextRows(path, self._mapping.table)

    def _check_mapping(self, name: str) -> None:
        said = self._mapping.fields
        if not set(said) - {"time", "success", "instruction"}:
            known = next((", ".join(map(repr, rows.columns)) for rows in self._rows.values()), "not readable")
            what = f"a table does not say what its columns mean; they are {known}"
            remedy = "say it in a mapping file (--mapping), as docs/formats.md does under Tables"
            raise EpisodeFormatError(what, file=name, remedy=remedy)
        if self._fps is None and "time" not in said:
            what, remedy = "nothing says when the rows were", "say fields.time in the mapping, or the rate with --fps"
            raise EpisodeFormatError(what, file=name, remedy=remedy)

    def _episode(self, name: str, file: str, span: Span, table: pa.Table) -> Episode:
        said, notes = self._mapping.fields, list[str]()
        step = _Reader(table)
        if not table.num_rows:
            raise DataRefused("there are no rows in it; import without this episode")
        arrays = fields.arrays_of(said, step.numbers, notes)
        flags = step.flags({said[key].source[0] for key in ("intervention", "success") if key in said} - {_LABEL})
        actors = meaning.actors(flags, table.num_rows, said.get("intervention"))
        label = {_LABEL: span.label} if span.label else {}
        ended = self.endings.of(flags, label)
        times, fps = self._times(step, table.num_rows)
        tell_once(self.warnings, [*notes, actors.warning, *self._lost(table)])
        return foreign_episode(
            slugify(self.root.resolve().name),
            actors.source,
            ended,
            {},
            instruction=meaning.instruction(said["instruction"], step.values) if "instruction" in said else "",
            time_s=times,
            time_derivation="recorded" if self._fps is None else "assumed rate",
            fps=fps,
            source_format="columns",
            source_uri=f"{self.root.resolve().name}/{name}",
            source_sha256=self._sha256(self.root / file),
            events=({"t": 0, "kind": "note", "text": span.label},) if span.label else (),
            **arrays,
        )

    def _times(self, step: _Reader, length: int) -> tuple[Array, float]:
        """Times since the first row, and the rate."""
        if self._fps is not None:
            return np.arange(length) / self._fps, self._fps
        times = fields.stamps_of(self._mapping.fields["time"], step.stamps)
        steps = np.diff(times)
        if not (steps > 0).all():
            row = int(np.argmin(steps > 0)) + 1
            raise DataRefused(f"the time stands still, is missing or goes back at row {row}; give the rate with --fps")
        return times, round(float(1 / np.median(steps)), 3) if length > 1 else 0.0

    def _lost(self, table: pa.Table) -> list[str]:
        used = {key for field in self._mapping.fields.values() for key in field.source} | {self._mapping.table.episode}
        used |= {key for key in table.column_names if meaning.says_who_acts(key) or endings.says_how_it_ended(key)}
        lost = [repr(key) for key in table.column_names if key not in used]
        return [f"not kept: columns {', '.join(lost)}"] if lost else []


class _Reader:
    """The columns of one episode as arrays."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def numbers(self, key: str) -> Array:
        """(T,) or (T, n) numbers; empty cells are NaN."""
        values = self.stamps(key)
        if values.dtype.kind in "mM":
            raise DataRefused(f"column {key!r} holds dates or durations where a number is meant; mend the mapping")
        return values

    def stamps(self, key: str) -> Array:
        """Numbers, or dates and durations."""
        values = self.values(key)
        if values.dtype.kind in "OSU":
            row = next((row for row, value in enumerate(values) if value and not _is_number(value)), 0)
            text = values[row].decode(errors="replace") if isinstance(values[row], bytes) else str(values[row])
            what = f"column {key!r} has {text[:40]!r} in row {row} where a number is meant"
            raise DataRefused(f"{what}; mend it, or say decimal, separator and encoding in table of the mapping")
        return values

    def values(self, key: str) -> Array:
        """(T,) or (T, n) numbers or (T,) text of the one column of this name."""
        names = self._table.column_names
        if names.count(key) != 1:
            what = "there is no column" if key not in names else f"there are {names.count(key)} columns"
            raise DataRefused(f"{what} {key!r}, of {', '.join(map(repr, names))}; mend the mapping")
        return _array(key, self._table[key].combine_chunks())

    def flags(self, said: set[str]) -> dict[str, Any]:
        """The columns that may say who acted or how it ended."""
        named = {
            key for key in self._table.column_names if meaning.says_who_acts(key) or endings.says_how_it_ended(key)
        }
        return {key: self.values(key) for key in sorted(named | said)}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_PLAIN = (
    *(pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string),
    *(pa.types.is_binary, pa.types.is_large_binary, pa.types.is_date, pa.types.is_timestamp, pa.types.is_duration),
)


def _array(key: str, column: pa.Array) -> Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_null(kind) or pa.types.is_decimal(kind) or (pa.types.is_boolean(kind) and column.null_count):
        column = column.cast(pa.float64())
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        try:
            return np.array(column.to_pylist(), np.float64).reshape(len(column), -1)
        except (ValueError, TypeError) as error:
            raise DataRefused(f"column {key!r} has lists of several lengths or of no numbers; mend it") from error
    if not any(is_one(kind) for is_one in _PLAIN):
        raise DataRefused(f"column {key!r} holds {kind}, which is neither numbers nor text; write it as such")
    values: Array = column.to_numpy(zero_copy_only=False)
    return np.array(["" if value is None else value for value in values]) if values.dtype.kind == "O" else values


def _files(path: Path, pattern: str | None) -> list[Path]:
    if path.is_file():
        return [path]
    files = (file for file in path.rglob("*") if file.is_file())
    return sorted(f for f in files if (fnmatch(f.name, pattern) if pattern else f.suffix.lower() in _SUFFIXES))
