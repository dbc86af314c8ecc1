"""What the recovery memory answers to a stuck state: the k nearest goals, and where stuck states lie among its keys.

The memory and its encoder are loaded once for each build of it; the encoder's module brings torch, hence inside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from labeling_app import desk
from labeling_app.data import MEMORY, Library
from labeling_app.known import AUDITED, SPLIT, TABLE
from labeling_app.pairs import Pair
from labeling_app.palette import CURSOR, OUTCOMES, VERDICTS, faded
from models.sealed import read_sealed

K = 5
Features = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """A memory that can be asked."""

    memory: Any
    encoder: Any

    def nearest(self, library: Library, task: str, pair: Pair) -> list[Pair]:
        """The k goals the memory would give at the pair's stuck step, best first; the first is the one it gives."""
        proprio = library.episode(pair.query_episode).proprio
        if proprio is None or not len(self.memory):
            return []
        better = None if math.isnan(pair.query_value) else pair.query_value + self.encoder.margin
        found = self.memory.retrieve(
            self.encoder.encode(proprio[pair.query_t][None])[0],
            K,
            task,
            exclude_episode=pair.query_episode,
            min_value=better,
            min_similarity=self.encoder.floor,
        )
        return [
            Pair(
                pair_id=f"{pair.query_episode}:{pair.query_t}>{each.item.episode_id}:{each.item.goal_t}",
                query_episode=pair.query_episode,
                query_t=pair.query_t,
                goal_episode=each.item.episode_id,
                goal_t=each.item.goal_t,
                key_t=each.item.t,
                similarity=each.similarity,
                query_value=pair.query_value,
                goal_value=each.item.goal_value,
                rank=rank,
            )
            for rank, each in enumerate(found, start=1)
        ]


def answers(library: Library, task: str) -> Answers:
    """The task's memory; `IntegrityError` where its files are not what was written."""
    place = library.workspace.derived / MEMORY / task
    stamps = [path.stat().st_mtime_ns for path in (place / "memory.json", place / "encoder.json") if path.exists()]
    return _answers(str(place), tuple(stamps))


@st.cache_resource(show_spinner="Loading the recovery memory", max_entries=2)
def _answers(place: str, stamps: tuple[int, ...]) -> Answers:
    from pathlib import Path

    from models.memory import RecoveryMemory
    from models.recall import SituationEncoder

    encoder = SituationEncoder.load(Path(place))
    return Answers(RecoveryMemory.load(place, encoder.encoder_id), encoder)


def removed(library: Library, task: str) -> list[str]:
    """Ids of the items that people took out of the task's memory."""
    path = library.workspace.derived / MEMORY / task / "memory.json"
    return list(read_sealed(path)["removed"]) if path.exists() else []


def gap_mm(library: Library, first: tuple[str, int], second: tuple[str, int]) -> float:
    """How far the tool is from one step of an episode to a step of another, mm; NaN where poses are missing."""
    places = []
    for episode_id, t in (first, second):
        pose = library.episode(episode_id).ee_pose
        if pose is None or not 0 <= t < len(pose):
            return math.nan
        places.append(pose[t, :3])
    return float(1000 * np.linalg.norm(places[0] - places[1]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coverage:
    """Stuck states and keys in the two directions in which the keys differ most."""

    keys_N2: Features
    removed: npt.NDArray[np.bool_]
    queries_M2: Features
    pairs: Sequence[str]
    """pair id of each query, empty where the memory knows nothing like it"""
    clusters: npt.NDArray[np.int64]
    """(M,) which kind of stuck state it is: those more similar than the memory's floor are one"""


@st.cache_resource(show_spinner="Mapping stuck states", max_entries=2)
def coverage(path: str, task: str, built: tuple[int, ...]) -> Coverage:
    """The map of a task; `built` names the build of the memory and its pairs."""
    library = desk.library()
    asked = answers(library, task)
    queries, ids = _queries(library, task, asked.encoder)
    keys = np.stack([item.key for item in asked.memory.items])
    centre = keys.mean(axis=0)
    _, _, axes = np.linalg.svd(keys - centre, full_matrices=False)
    flat = (axes[:2] if len(axes) > 1 else np.vstack([axes, np.zeros_like(axes)])).T
    return Coverage(
        keys_N2=(keys - centre) @ flat,
        removed=np.array([item.item_id in asked.memory.removed for item in asked.memory.items]),
        queries_M2=(queries - centre) @ flat,
        pairs=ids,
        clusters=clusters(queries, asked.encoder.floor),
    )


def _queries(library: Library, task: str, encoder: Any) -> tuple[Features, list[str]]:
    """Features of each stall that is asked about, with the pair it got."""
    table = library.pairs(task)
    assert table is not None
    given = {(row["query_episode"], row["query_t"]): row["pair_id"] for row in table.iter_rows(named=True)}
    places = dict.fromkeys(given)
    audited = library.workspace.derived / AUDITED / task / "labels.parquet"
    split = library.workspace.derived / SPLIT / task / TABLE
    if audited.exists() and split.exists():
        held = pl.read_parquet(split).filter(pl.col("split") == "test")["episode_id"].to_list()
        stalls = pl.read_parquet(audited).filter(pl.col("verdict") != "reject", ~pl.col("episode_id").is_in(held))
        places |= dict.fromkeys(zip(stalls["episode_id"], stalls["stop"] - 1, strict=True))
    rows, ids = [], []
    for episode_id, t in places:
        proprio = library.episode(episode_id).proprio if episode_id in set(library.store.ids()) else None
        if proprio is not None:
            rows.append(encoder.encode(proprio[min(t, len(proprio) - 1)][None])[0])
            ids.append(given.get((episode_id, t), ""))
    return np.stack(rows), ids


def clusters(queries: Features, floor: float) -> npt.NDArray[np.int64]:
    """(M,) number of the first query that each one is at least as similar to as `floor`."""
    unit = queries / np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-12)
    leaders: list[int] = []
    out = np.zeros(len(unit), np.int64)
    for at, row in enumerate(unit):
        near = [leader for leader in leaders if float(unit[leader] @ row) >= floor]
        if not near:
            leaders.append(at)
            near = [at]
        out[at] = leaders.index(near[0])
    return out


COLOURS = {
    "no answer": OUTCOMES["unknown"],
    "undecided": VERDICTS[""][1],
    "valid": OUTCOMES["success"],
    "rejected": OUTCOMES["failure"],
}


def state_of(pair_id: str, decisions: Mapping[str, Mapping[str, Any]]) -> str:
    """What is known of the answer to a stuck state."""
    verdict = decisions.get(pair_id, {}).get("verdict", "")
    return "no answer" if not pair_id else "undecided" if not verdict else "valid" if verdict == "valid" else "rejected"


def map_figure(found: Coverage, states: Sequence[str], selected: str) -> go.Figure:
    """Keys grey, those taken out crossed; stuck states by what is known of their answer, the selected one ringed."""
    grey = {"color": faded(OUTCOMES["unknown"], 0.55), "size": 5}
    traces = [
        _dots("key", found.keys_N2[~found.removed], grey),
        _dots("key taken out", found.keys_N2[found.removed], {**grey, "symbol": "x", "size": 8}),
    ]
    for name, colour in COLOURS.items():
        own = np.flatnonzero([state == name for state in states]).tolist()
        ids = [found.pairs[at] for at in own]
        ring = {"width": [3 if each == selected else 0 for each in ids], "color": CURSOR}
        dots = _dots(f"stuck: {name}", found.queries_M2[own], {"color": colour, "size": 9, "line": ring})
        traces.append({**dots, "customdata": ids})
    return go.Figure(data=[trace for trace in traces if len(trace["x"])], layout=_LAYOUT)


def _dots(name: str, places: Features, marker: Mapping[str, Any]) -> dict[str, Any]:
    dots = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "hoverinfo": "name",
        "unselected": {"marker": {"opacity": 1}},
    }
    return {**dots, "x": places[:, 0], "y": places[:, 1], "marker": dict(marker)}


_LAYOUT: dict[str, Any] = {
    "height": 330,
    "margin": {"l": 20, "r": 12, "t": 34, "b": 20},
    "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 12}},
    "dragmode": False,
    "clickmode": "event+select",
    "xaxis": {"showticklabels": False, "zeroline": False},
    "yaxis": {"showticklabels": False, "zeroline": False, "showgrid": False},
}
