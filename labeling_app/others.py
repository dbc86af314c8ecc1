"""Curves of other models beside ours: every Parquet file under the workspace's `curves/` is one, by its file name.

`regrasp import` puts them there (`episodes/other_curves.py`). Pure access; nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from episodes.errors import DataRefused
from episodes.other_curves import DIRECTORY, read_curves
from episodes.record import Array
from models.evaluation import final_score
from models.metrics import success_auroc, value_order_correlation


def others_of(root: Path, episode_id: str, length: int) -> tuple[dict[str, Array], list[str]]:
    """Name -> (T,) curve of each other model that knows this episode, and why files beside them were left out."""
    found, left_out = {}, []
    for path in _files(root):
        try:
            rows = _read(path, path.stat().st_mtime_ns).filter(pl.col("episode_id") == episode_id)
            if len(rows) not in (0, length):
                raise DataRefused(
                    f"{path.name} has {len(rows)} steps of episode {episode_id}, which has {length}; remove the file "
                    "or make it anew from the same recordings"
                )
        except DataRefused as error:
            left_out.append(str(error))
            continue
        if len(rows):
            found[path.stem] = rows.sort("frame_index")["value"].to_numpy()
    return found, left_out


@dataclass(frozen=True, slots=True)
class Beside:
    """One other model and V on the episodes that both know, each as (its figure, V's)."""

    name: str
    episodes: int
    successes: int
    order: tuple[float, float]
    """VOC, mean over the successes; NaN without any"""
    separation: tuple[float, float]
    """AUROC of the last fifth; NaN without both outcomes"""


def beside(root: Path, curves: pl.DataFrame, outcomes: Mapping[str, str]) -> list[Beside]:
    """Each other model against V (`curves`) on episodes of known outcome; files that cannot be read are passed over."""
    judged = [name for name, outcome in outcomes.items() if outcome in ("success", "failure")]
    ours = _by_episode(curves.filter(pl.col("episode_id").is_in(judged)))
    found: dict[str, dict[str, Array]] = {}
    for path in _files(root):
        try:
            table = _read(path, path.stat().st_mtime_ns)
        except DataRefused:
            continue
        both = _by_episode(table.filter(pl.col("episode_id").is_in(list(ours))))
        found.setdefault(path.stem, {}).update({k: v for k, v in both.items() if np.isfinite(v).any()})
    return [_beside(name, theirs, ours, outcomes) for name, theirs in found.items() if theirs]


def _beside(name: str, theirs: Mapping[str, Array], ours: Mapping[str, Array], outcomes: Mapping[str, str]) -> Beside:
    good = [episode_id for episode_id in theirs if outcomes[episode_id] == "success"]
    success = [outcomes[episode_id] == "success" for episode_id in theirs]
    order, separation = [], []
    for curves in (theirs, ours):
        each = [value_order_correlation(_known(curves[episode_id])) for episode_id in good]
        order.append(float(np.mean(each)) if each else float("nan"))
        separation.append(success_auroc([final_score(_known(curves[episode_id])) for episode_id in theirs], success))
    return Beside(name, len(theirs), len(good), (order[0], order[1]), (separation[0], separation[1]))


def _known(curve: Array) -> Array:
    """Without the steps at which the other model failed."""
    return curve[np.isfinite(curve)]


def _by_episode(table: pl.DataFrame) -> dict[str, Array]:
    rows = table.sort("episode_id", "frame_index").group_by("episode_id", maintain_order=True)
    return {str(episode_id): own["value"].to_numpy() for (episode_id,), own in rows}


def _files(root: Path) -> Iterator[Path]:
    return iter(sorted((root / DIRECTORY).rglob("*.parquet")))


@lru_cache(maxsize=16)
def _read(path: Path, changed_ns: int) -> pl.DataFrame:
    return read_curves(path)
