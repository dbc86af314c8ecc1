"""Is V what it says: progress held against V, in tenths. Pure: curves in, figure and shares out.

Over successes, whose progress is known at each step, and by nets that did not train on the episode: steps with V in a
tenth of [0, 1] against the mean of their progress. A model that is right lies on the diagonal.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import polars as pl

from labeling_app.palette import OUTCOMES, SCORE, VALUE

BINS, LEAST = 10, 10
"""tenths of V; a tenth with fewer steps is left out"""
SPLITS = {"out of fold": ("train", "calibration"), "held out": ("validation", "test")}


@dataclass(frozen=True, slots=True)
class Reliability:
    """One group of episodes."""

    name: str
    predicted: npt.NDArray[Any]
    """mean V of each tenth"""
    observed: npt.NDArray[Any]
    """mean progress of each tenth"""
    steps: int
    error: float
    """mean |predicted - observed| over steps: the expected calibration error"""
    covered: float
    """share of the steps whose progress lies in the spread of V; NaN without one"""


def reliabilities(curves: pl.DataFrame, splits: pl.DataFrame, successes: Collection[str]) -> list[Reliability]:
    """By split; `curves` with columns value, progress and, where there is one, value_lo and value_hi."""
    known = curves.filter(pl.col("episode_id").is_in(list(successes)) & pl.col("progress").is_not_nan())
    known = known.join(splits.select("episode_id", "split"), on="episode_id")
    groups = {name: known.filter(pl.col("split").is_in(list(of))) for name, of in SPLITS.items()}
    return [_reliability(name, rows) for name, rows in groups.items() if len(rows)]


def _reliability(name: str, rows: pl.DataFrame) -> Reliability:
    value, progress = (rows[column].to_numpy() for column in ("value", "progress"))
    tenth = np.clip((value * BINS).astype(int), 0, BINS - 1)
    kept = [tenth == n for n in range(BINS) if (tenth == n).sum() >= LEAST]
    predicted, observed = (np.array([column[own].mean() for own in kept]) for column in (value, progress))
    weight = np.array([own.sum() for own in kept])
    error = float(np.abs(predicted - observed) @ weight / weight.sum()) if len(kept) else float("nan")
    covered = float("nan")
    if {"value_lo", "value_hi"} <= set(rows.columns):
        low, high = (rows[column].to_numpy() for column in ("value_lo", "value_hi"))
        covered = float(((low <= progress) & (progress <= high)).mean())
    return Reliability(name, predicted, observed, len(rows), error, covered)


def reliability_figure(groups: list[Reliability]) -> go.Figure:
    """Mean progress over mean V, the diagonal behind."""
    grey = {"color": OUTCOMES["unknown"], "dash": "dot", "width": 1}
    traces: list[dict[str, Any]] = [{"x": [0, 1], "y": [0, 1], "mode": "lines", "line": grey, "showlegend": False}]
    for group, colour in zip(groups, (VALUE, SCORE), strict=False):
        place = {"x": group.predicted, "y": group.observed, "name": f"{group.name} ({group.steps} steps)"}
        traces.append({**place, "mode": "lines+markers", "line": {"color": colour}, "marker": {"size": 6}})
    return go.Figure(data=[{"type": "scatter", "hoverinfo": "x+y", **trace} for trace in traces], layout=_LAYOUT)


_LAYOUT: dict[str, Any] = {
    "height": 270,
    "margin": {"l": 58, "r": 22, "t": 34, "b": 42},
    "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 12}},
    "dragmode": False,
    "xaxis": {"title": {"text": "V", "standoff": 4}, "range": [0, 1.02]},
    "yaxis": {"title": {"text": "progress", "standoff": 4}, "range": [-0.02, 1.04]},
}
