"""Curves of other models beside ours: every Parquet file under the workspace's `curves/` is one, by its file name.

Either our columns (`episode_id frame_index value`: a sidecar of an earlier value model, copied there), or LeRobot's
(`episode_index frame_index progress_sparse` or `progress_dense`) in `curves/<folder of the dataset>/`, whose episodes
are found by the dataset and number they were imported from. Pure access; nothing is written.
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


def others_of(store: EpisodeStore, root: Path, episode_id: str, length: int) -> tuple[dict[str, Array], list[str]]:
    """Name -> (T,) curve of each other model that knows this episode, and why files beside them were left out."""
    found, left_out = {}, []
    for path in sorted((root / DIRECTORY).rglob("*.parquet")):
        try:
            curve = _curve(path, store, episode_id, length)
        except DataRefused as error:
            left_out.append(str(error))
            continue
        if curve is not None:
            found[path.stem] = curve
    return found, left_out


def _curve(path: Path, store: EpisodeStore, episode_id: str, length: int) -> Array | None:
    table = _read(path, path.stat().st_mtime_ns)
    rows = table.filter(_of(table, path, store, episode_id)).sort("frame_index")
    if not len(rows):
        return None
    if len(rows) != length:
        raise DataRefused(
            f"{path.name} has {len(rows)} steps of episode {episode_id}, which has {length}; remove the file or make "
            "it anew from the same recordings"
        )
    return rows[next(name for name in VALUES if name in rows.columns)].to_numpy()


def _of(table: pl.DataFrame, path: Path, store: EpisodeStore, episode_id: str) -> pl.Expr:
    if "episode_id" in table.columns:
        return pl.col("episode_id") == episode_id
    if path.parent.name == DIRECTORY:
        raise DataRefused(
            f"{path.name} numbers its episodes and does not say of which dataset; move it into {DIRECTORY}/ and there "
            "into a folder named as the LeRobot dataset it belongs to"
        )
    recorded = store.attributes(episode_id)
    file, _, place = str(recorded["source_uri"]).rpartition("#")
    own = "lerobot" in str(recorded["source_format"]) and file.partition("/")[0] == path.parent.name
    return pl.col("episode_index") == (int(place) if own and place.isdecimal() else -1)


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
