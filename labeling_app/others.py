"""Curves of other models beside ours: every Parquet file in the workspace's `curves/` is one, by its file name.

Either our columns (`episode_id frame_index value`: a sidecar of an earlier value model, copied there), or LeRobot's
(`episode_index frame_index progress_sparse` or `progress_dense`), whose episodes are found by where they were
imported from. Pure access; nothing is written.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from episodes.errors import DataRefused
from episodes.record import Array
from episodes.store import EpisodeStore

DIRECTORY = "curves"
VALUES = ("value", "progress_sparse", "progress_dense")
"""columns that may hold the curve, the first there is"""


def others_of(store: EpisodeStore, root: Path, episode_id: str, length: int) -> dict[str, Array]:
    """Name -> (T,) curve of each other model that knows this episode; `DataRefused` naming a file that is none."""
    found = {}
    for path in sorted((root / DIRECTORY).glob("*.parquet")):
        table = _read(path, path.stat().st_mtime_ns)
        rows = table.filter(_of(table, store, episode_id)).sort("frame_index")
        if len(rows):
            if len(rows) != length:
                raise DataRefused(
                    f"{path.name} has {len(rows)} steps of episode {episode_id}, which has {length}; remove the file "
                    "or make it anew from the same recordings"
                )
            column = next(name for name in VALUES if name in rows.columns)
            found[path.stem] = rows[column].to_numpy()
    return found


def _of(table: pl.DataFrame, store: EpisodeStore, episode_id: str) -> pl.Expr:
    if "episode_id" in table.columns:
        return pl.col("episode_id") == episode_id
    recorded = store.attributes(episode_id)
    place = str(recorded["source_uri"]).rpartition("#")[2]
    index = int(place) if place.isdecimal() and "lerobot" in str(recorded["source_format"]) else -1
    return pl.col("episode_index") == index


@lru_cache(maxsize=16)
def _read(path: Path, changed_ns: int) -> pl.DataFrame:
    try:
        table = pl.read_parquet(path)
    except (PolarsError, OSError) as error:
        raise DataRefused(f"{path} cannot be read as Parquet ({error}); remove it") from error
    known = {"episode_id", "episode_index"} & set(table.columns) and set(VALUES) & set(table.columns)
    if not known or "frame_index" not in table.columns:
        raise DataRefused(
            f"{path} holds no curves: it needs episode_id or episode_index, frame_index, and one of {', '.join(VALUES)}"
        )
    return table
