"""Decisions on many episodes at once, from a table: one row an episode, one column a kind of decision.

CSV in UTF-8 with a header: `episode_id`, and any of `success`, `failure_mode`, `excluded`, `weight`, `note`. An empty
cell decides nothing. Comma, semicolon or tab separate, whichever the header has. Everything that is wrong is found,
with its line, before anything is written.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audits.events import Event, draft_of
from audits.kinds import FAILURE_MODES, OUTCOMES, check
from audits.state import Decisions
from episodes.errors import DataRefused, UsageError

_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_MAX_BYTES = 100_000_000
"""a table of 100,000 episodes with notes is a tenth of it"""


@dataclass(frozen=True, slots=True)
class _Column:
    """What the cells of a column decide."""

    kind: str
    key: str
    parse: Callable[[str], Any]
    may_be: str


def _outcome(text: str) -> str:
    known = {True: "success", False: "failure"}
    return text if text in OUTCOMES else known[_YES_NO[text]]


_COLUMNS: Mapping[str, _Column] = {
    "success": _Column("episode.outcome", "success", lambda text: _outcome(text.lower()), ", ".join(OUTCOMES)),
    "failure_mode": _Column("episode.failure_mode", "mode", str.lower, ", ".join(FAILURE_MODES)),
    "excluded": _Column("episode.exclude", "excluded", lambda text: _YES_NO[text.lower()], "true or false"),
    "weight": _Column("episode.weight", "weight", float, "a finite number, zero or more"),
    "note": _Column("episode.note", "text", str, "text"),
}
"""the names are those of the standing decisions (`AuditState.episodes`)"""
KEY = "episode_id"


@dataclass(frozen=True, slots=True)
class Bulk:
    """What a table says."""

    drafts: tuple[Event, ...]
    """the decisions, in the order of the table"""
    problems: tuple[str, ...]
    """a sentence for each row that cannot be taken, with its line"""

    def new(self, standing: Decisions) -> list[Event]:
        """The decisions that do not stand already, as `AuditState.episodes` has them."""
        names = {column.kind: (name, column.key) for name, column in _COLUMNS.items()}
        told = [(draft, *names[draft.kind]) for draft in self.drafts]
        return [draft for draft, name, key in told if standing.get(draft.item, {}).get(name) != draft.value[key]]


def read_table(path: Path, *, by: str, episodes: Container[str]) -> Bulk:
    """The decisions of `by` in the table at `path` about `episodes`, the ids there are.

    Raises `UsageError` where there is no such file or its header cannot be right, `DataRefused` where it is no text.
    """
    data = _bytes(path)
    rows = _rows(path, data)
    header = _header(path, next(rows, (1, []))[1])
    shown = {"table": path.name, "sha256": hashlib.sha256(data).hexdigest()}
    first: dict[str, int] = {}
    drafts: list[Event] = []
    problems: list[str] = []
    for line, cells in rows:
        try:
            row = _row(cells, header)
            if row[KEY] not in episodes:
                raise ValueError(f"there is no episode {row[KEY]!r} in this workspace")
            if first.setdefault(row[KEY], line) != line:
                raise ValueError(f"episode {row[KEY]} has a row already, in line {first[row[KEY]]}")
            drafts += _drafts(row, by=by, shown={**shown, "line": line})
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    return Bulk(tuple(drafts), tuple(problems))


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataRefused(f"{path} is larger than {_MAX_BYTES // 1_000_000} MB; give it in parts")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); check the path of the table") from error


def _rows(path: Path, data: bytes) -> Iterator[tuple[int, list[str]]]:
    """(line it begins in, cells) of each row that is not empty."""
    try:
        text = data.decode("utf-8-sig")  # spreadsheets put a byte order mark first
        separator = next((mark for mark in ",;\t" if mark in text.partition("\n")[0]), ",")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        line = 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataRefused(f"{path} is no CSV text ({error}); save the table as CSV in UTF-8") from error


def _header(path: Path, cells: Sequence[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    known = (KEY, *_COLUMNS)
    strange = [name for name in names if name not in known]
    if strange or KEY not in names or len(names) < 2 or len(set(names)) < len(names):
        said = f"has the column {strange[0]!r}" if strange else f"begins with {','.join(names)!r}"
        raise UsageError(f"{path} {said}; its first line names {KEY} and some of {', '.join(_COLUMNS)}, each once")
    return names


def _row(cells: Sequence[str], header: Sequence[str]) -> dict[str, str]:
    if len(cells) != len(header):
        raise ValueError(f"it has {len(cells)} cells where the first line has {len(header)}")
    return {name: cell.strip() for name, cell in zip(header, cells, strict=True)}


def _drafts(row: Mapping[str, str], *, by: str, shown: Mapping[str, Any]) -> list[Event]:
    drafts = [
        _draft(row[KEY], name, text, by=by, shown=shown) for name, text in row.items() if name in _COLUMNS and text
    ]
    outcomes = [draft.value["success"] for draft in drafts if draft.kind == "episode.outcome"]
    if row.get("failure_mode") and outcomes not in ([], ["failure"]):
        raise ValueError(f"a failure_mode is given to {outcomes[0]}; only a failure has one")
    return drafts


def _draft(item: str, name: str, text: str, *, by: str, shown: Mapping[str, Any]) -> Event:
    """The decision of one cell; `ValueError` where it is none."""
    column = _COLUMNS[name]
    try:
        value = {column.key: column.parse(text)}
        check(column.kind, item, value)
    except (ValueError, KeyError, UsageError):
        raise ValueError(f"{name} is {text!r}; it may be {column.may_be}") from None
    return draft_of(column.kind, item, by=by, value=value, shown=shown)
