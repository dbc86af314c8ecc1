"""Who trains on what: each episode gets its split once, when it is first seen, and keeps it for ever.

A new episode goes to the split most short of its quota for that task and outcome: the largest
`quota_s * n - count_s`, with n the episodes of that task and outcome including this one; ties go by hash.
Episodes of one `group_id` are the same trajectory and share a split. `split.parquet` is only ever appended to.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import polars as pl

from episodes.errors import DataRefused, EpisodeFormatError
from episodes.store import EpisodeStore
from episodes.workspace import Workspace, atomic_write, writer_lock

QUOTA_TENTHS = {"train": 7, "validation": 1, "calibration": 1, "test": 1}
"""whole tenths, so that ties are exact"""

SCHEMA = dict.fromkeys(("episode_id", "group_id", "task", "split", "outcome"), pl.String)
"""`outcome` is the one at assignment, which the quota counts; it is not updated when people decide otherwise"""


def assign(store: EpisodeStore, task: str, *, outcomes: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Give every episode of `task` its split, append the new ones to `split.parquet`, and return the task's rows.

    `outcomes` (episode_id -> success, failure or unknown) overrides what the files say, for the quota only.
    Returns episode_id, group_id, task, split, outcome of the episodes in the store, sorted by episode_id.
    """
    root = store.workspace.root
    ids = store.ids(task=task)
    with writer_lock(root / ".split.lock"):
        table = read_split(root)
        known = set(table["episode_id"])
        new = [_row(store, episode_id, task, outcomes or {}) for episode_id in ids if episode_id not in known]
        if new:
            table = pl.concat([table, pl.DataFrame(assign_rows(table.to_dicts(), new), schema=SCHEMA)])
            _write(store.workspace, table)
    return table.filter(pl.col("episode_id").is_in(ids)).sort("episode_id")


def read_split(root: str | os.PathLike[str]) -> pl.DataFrame:
    """All assignments so far, in the order they were made; no rows where there are none."""
    path = Workspace(Path(root)).split
    if not path.is_file():
        return pl.DataFrame(schema=SCHEMA)
    try:
        return pl.read_parquet(path).select(list(SCHEMA))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataRefused(f"{path} is damaged ({error}); restore it from a copy, a new split would leak") from error


def group_index(store: EpisodeStore) -> dict[str, str]:
    """group_id -> its first episode by id, of all readable episodes of the store."""
    assigned = dict(read_split(store.workspace.root).select("episode_id", "group_id").iter_rows())
    groups: dict[str, str] = {}
    for episode_id in store.ids():
        try:
            group_id = assigned.get(episode_id) or store.attributes(episode_id)["group_id"]
        except EpisodeFormatError:  # damaged: what is read of it elsewhere says so
            continue
        groups.setdefault(group_id, episode_id)
    return groups


def assign_rows(assigned: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`new` rows with their `split`, in order, given the rows assigned before. The pure rule of this module."""
    group_split: dict[str, str] = {}
    counts: Counter[tuple[str, str, str]] = Counter()
    rows: list[dict[str, Any]] = []
    for row in assigned:
        group_split.setdefault(row["group_id"], row["split"])
        counts[row["task"], row["outcome"], row["split"]] += 1
    for row in new:
        split = group_split.get(row["group_id"]) or _most_short(counts, row)
        group_split[row["group_id"]] = split
        counts[row["task"], row["outcome"], split] += 1
        rows.append({**row, "split": split})
    return rows


def _most_short(counts: Counter[tuple[str, str, str]], row: Mapping[str, Any]) -> str:
    have = {split: counts[row["task"], row["outcome"], split] for split in QUOTA_TENTHS}
    size = sum(have.values()) + 1
    return max(QUOTA_TENTHS, key=lambda split: (QUOTA_TENTHS[split] * size - 10 * have[split], _tie(row, split)))


def _tie(row: Mapping[str, Any], split: str) -> str:
    return blake2b(f"{row['group_id']} {split}".encode()).hexdigest()


def _row(store: EpisodeStore, episode_id: str, task: str, outcomes: Mapping[str, str]) -> dict[str, Any]:
    attributes = store.attributes(episode_id)
    outcome = outcomes.get(episode_id, attributes["success"])
    return {"episode_id": episode_id, "group_id": attributes["group_id"], "task": task, "outcome": outcome}


def _write(workspace: Workspace, table: pl.DataFrame) -> None:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    atomic_write(workspace.split, buffer.getvalue())
