"""The episodes of a task as one table: what was recorded, and what people decided laid over it.

A session's recordings are listed by the stage `episodes/raw`; its table stands for every file that is no newer than it,
so that 100,000 episodes need not be opened. What it does not know yet is read from the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from audits.state import Decisions
from episodes.errors import EpisodeFormatError
from episodes.store import EpisodeStore

LISTED = "episodes/raw"
SCHEMA = {
    "episode_id": pl.String,
    "session": pl.String,
    "collection": pl.String,
    "success": pl.String,
    "recorded": pl.String,
    "success_derivation": pl.String,
    "failure_mode": pl.String,
    "end_reason": pl.String,
    "length": pl.Int64,
    "duration_s": pl.Float64,
    "excluded": pl.Boolean,
    "complete": pl.Boolean,
    "weight": pl.Float64,
    "note": pl.String,
    "damaged": pl.Boolean,
}
_DECIDED = ("success", "failure_mode", "excluded", "weight", "note")
_RECORDED = ("collection", "success", "success_derivation", "end_reason", "length", "duration_s", "complete")
_UNDECIDED: dict[str, Any] = {"failure_mode": "", "excluded": False, "weight": 1.0, "note": ""}


def overlaid(table: pl.DataFrame, decisions: Decisions) -> pl.DataFrame:
    """The table with the decisions in it."""
    schema = {name: SCHEMA[name] for name in ("episode_id", *_DECIDED)}
    told = [{"episode_id": episode_id, **_decided(said)} for episode_id, said in decisions.items()]
    both = table.join(pl.DataFrame(told, schema=schema), on="episode_id", how="left", suffix="_told")
    return both.with_columns(pl.coalesce(f"{name}_told", name).alias(name) for name in _DECIDED).select(*SCHEMA)


def _decided(said: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: said[name] for name in _DECIDED if name in said}
    return found | ({"weight": float(found["weight"])} if "weight" in found else {})


def recorded(store: EpisodeStore, session: str, listed: pl.DataFrame | None, table: Path) -> pl.DataFrame:
    """One row an episode of the session, before any decision; `listed` is what `episodes/raw` left at `table`."""
    ids = [path.stem for path in (store.workspace.episodes / session).glob("[0-9a-f]*.h5")]  # not of other sessions
    known = _known(store, session, ids, listed, table)
    rows = [_read(store, session, episode_id) for episode_id in sorted(set(ids) - set(known["episode_id"]))]
    return pl.concat([known, pl.DataFrame(rows, schema=SCHEMA)])


def _known(store: EpisodeStore, session: str, ids: list[str], listed: pl.DataFrame | None, table: Path) -> pl.DataFrame:
    """The listed episodes whose files are no newer than the list."""
    if listed is None or not {"episode_id", *_RECORDED} <= set(listed.columns):
        return pl.DataFrame(schema=SCHEMA)
    directory, made = store.workspace.episodes / session, table.stat().st_mtime_ns
    kept = set(ids)
    if directory.stat().st_mtime_ns > made:  # something came or went since
        kept = {each for each in ids if (directory / f"{each}.h5").stat().st_mtime_ns <= made}
    found = listed.select("episode_id", *_RECORDED).filter(pl.col("episode_id").is_in(kept))
    empty = {name: pl.lit(value) for name, value in _UNDECIDED.items()}
    found = found.with_columns(session=pl.lit(session), recorded=pl.col("success"), damaged=pl.lit(False), **empty)
    return found.select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())


def _read(store: EpisodeStore, session: str, episode_id: str) -> dict[str, Any]:
    """One row from the file itself; of a damaged one where it is, and the sentence as its note."""
    try:
        found = store.attributes(episode_id)
    except EpisodeFormatError as error:
        row = {"episode_id": episode_id, "session": session, "complete": False, "collection": "unknown"}
        unknown = {"success": "unknown", "recorded": "unknown", "damaged": True}
        return {**_UNDECIDED, **row, **unknown, "note": f"damaged: {error}"}
    row = {name: found[name] for name in ("episode_id", *_RECORDED)}
    told = {"session": session, "recorded": found["success"], "note": found.get("note", ""), "damaged": False}
    return {**_UNDECIDED, **row, **told}
