"""Which episodes of a task are listed: by outcome, session, what was left out or is damaged, words; kept by name.

A filter is the address of the page Episodes (`?outcome=failure&words=slip`), so that a link leads to the same list, and
what the workspace keeps of it (`filters.json`, beside the decisions, which it is none of).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import polars as pl

from episodes.errors import DataRefused
from episodes.workspace import atomic_write

FILE = "filters.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is listed; an empty text asks for nothing."""

    outcome: str = ""
    """success, failure or unknown"""
    session: str = ""
    collection: str = ""
    """demo, rollout, takeover or unknown"""
    decided: str = ""
    """yes: a person gave the outcome; no: nobody did"""
    out: str = ""
    """yes: excluded from training; no: not"""
    damaged: str = ""
    """yes: the recording cannot be read; no: it can"""
    words: str = ""
    """in the note, id, mode or end reason, in any case"""

    def of(self, table: pl.DataFrame, given: frozenset[str]) -> pl.DataFrame:
        """The rows that fit; `given` are the episodes whose outcome a person gave."""
        for column, wanted in (("success", self.outcome), ("session", self.session), ("collection", self.collection)):
            if wanted:
                table = table.filter(pl.col(column) == wanted)
        if self.decided:
            by_person = pl.col("episode_id").is_in(sorted(given))
            table = table.filter(by_person if self.decided == "yes" else ~by_person)
        if self.out:
            table = table.filter(pl.col("excluded") == (self.out == "yes"))
        if self.damaged:
            table = table.filter(pl.col("damaged") == (self.damaged == "yes"))
        if self.words:
            said = pl.concat_str("episode_id", "note", "failure_mode", "end_reason", separator=" ", ignore_nulls=True)
            table = table.filter(said.str.to_lowercase().str.contains(self.words.lower(), literal=True))
        return table

    def asked(self) -> dict[str, str]:
        """What it asks for, as it stands in an address."""
        return {name: value for name, value in asdict(self).items() if value}


def from_address(given: Mapping[str, str]) -> Filter:
    """The filter in an address; what is no part of one is passed over."""
    known = {field.name for field in fields(Filter)}
    return replace(Filter(), **{name: value for name, value in given.items() if name in known})


def saved(root: Path) -> dict[str, Filter]:
    """Name -> filter, of those that are kept."""
    try:
        found: Any = json.loads((root / FILE).read_text())
        return {str(name): from_address(dict(asked)) for name, asked in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataRefused(f"{root / FILE} holds no filters ({error}); remove it and save them again") from error


def save(root: Path, name: str, wanted: Filter) -> None:
    """Keep a filter under a name; one that asks for nothing takes the name away."""
    kept = {each: one.asked() for each, one in saved(root).items() if each != name}
    kept |= {name: wanted.asked()} if wanted.asked() else {}
    atomic_write(root / FILE, json.dumps(kept, indent=1, sort_keys=True).encode())
