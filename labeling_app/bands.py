"""All episodes of a task in one figure: value over the share of the episode done, success against failure.

Episodes differ in length, so every curve is put on the same 101 points of t/(T-1) first. A band reaches from the
10th to the 90th percentile at each point, around the median.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import polars as pl

from labeling_app.palette import OUTCOMES, faded

POINTS = 101
LINES_SHOWN = 40


def on_common_axis(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """A curve of any length at `POINTS` equal shares of its episode."""
    share = np.linspace(0, 1, len(values)) if len(values) > 1 else np.zeros(1)
    return np.interp(np.linspace(0, 1, POINTS), share, np.asarray(values, np.float64))


def by_outcome(curves: pl.DataFrame, outcomes: Mapping[str, str], column: str) -> dict[str, npt.NDArray[np.float64]]:
    """Outcome -> (episodes, POINTS) curves; outcomes without an episode are absent."""
    groups: dict[str, list[npt.NDArray[np.float64]]] = {}
    for (episode_id,), frame in curves.group_by("episode_id", maintain_order=True):
        curve = frame.sort("frame_index")[column].to_numpy()
        groups.setdefault(outcomes.get(str(episode_id), "unknown"), []).append(on_common_axis(curve))
    return {outcome: np.stack(groups[outcome]) for outcome in OUTCOMES if outcome in groups}


def bands_figure(curves: pl.DataFrame, outcomes: Mapping[str, str], *, column: str = "value") -> go.Figure:
    """Median and 10 to 90 % band for each outcome, single episodes as thin lines behind."""
    traces: list[dict[str, Any]] = []
    for outcome, stack in by_outcome(curves, outcomes, column).items():
        traces += _outcome_traces(f"{outcome} ({len(stack)})", stack, OUTCOMES[outcome])
    return go.Figure(data=traces, layout=_LAYOUT)


def _outcome_traces(name: str, stack: npt.NDArray[np.float64], colour: str) -> list[dict[str, Any]]:
    share = np.linspace(0, 1, POINTS, dtype=np.float32)
    low, middle, high = np.percentile(stack, [10, 50, 90], axis=0).astype(np.float32)
    line = {"type": "scatter", "mode": "lines", "x": share}
    silent = {**line, "showlegend": False, "hoverinfo": "skip"}
    fill = {"fill": "tonexty", "fillcolor": faded(colour, 0.2)}
    return [
        {**silent, **_one_by_one(stack[:LINES_SHOWN], share), "line": {"color": faded(colour, 0.2), "width": 1}},
        {**silent, "y": high, "line": {"width": 0}},
        {**silent, "y": low, "line": {"width": 0}, **fill},
        {**line, "y": middle, "line": {"color": colour, "width": 3}, "name": name, "hovertemplate": "%{y:.2f}"},
    ]


def _one_by_one(stack: npt.NDArray[np.float64], share: npt.NDArray[np.float32]) -> dict[str, Any]:
    """Many curves as one trace, NaN between them: a trace each would cost more than all the rest."""
    gap = np.full((len(stack), 1), np.nan)
    x = np.hstack([np.tile(share, (len(stack), 1)), gap])
    return {"x": x.ravel().astype(np.float32), "y": np.hstack([stack, gap]).ravel().astype(np.float32)}


_LAYOUT: dict[str, Any] = {
    "height": 250,
    "margin": {"l": 58, "r": 22, "t": 34, "b": 42},
    "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal", "font": {"size": 12}},
    "hovermode": "x",
    "dragmode": False,
    "xaxis": {"title": {"text": "share of the episode", "standoff": 4}, "tickformat": ".0%", "range": [0, 1]},
    "yaxis": {"range": [-0.05, 1.08]},
}
