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
    figure, share = go.Figure(), np.linspace(0, 1, POINTS, dtype=np.float32)
    for outcome, stack in by_outcome(curves, outcomes, column).items():
        colour = OUTCOMES[outcome]
        for curve in stack[:LINES_SHOWN]:
            thin = {"color": faded(colour, 0.18), "width": 1}
            figure.add_trace(go.Scatter(x=share, y=np.float32(curve), line=thin, showlegend=False, hoverinfo="skip"))
        low, middle, high = np.percentile(stack, [10, 50, 90], axis=0).astype(np.float32)
        edge = {"line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
        figure.add_trace(go.Scatter(x=share, y=high, **edge))
        figure.add_trace(go.Scatter(x=share, y=low, fill="tonexty", fillcolor=faded(colour, 0.2), **edge))
        name = f"{outcome} ({len(stack)})"
        label = "%{y:.2f}<extra>" + outcome + "</extra>"
        figure.add_trace(
            go.Scatter(x=share, y=middle, name=name, line={"color": colour, "width": 3}, hovertemplate=label)
        )
    figure.update_traces(mode="lines")
    figure.update_layout(
        height=250,
        margin={"l": 58, "r": 12, "t": 34, "b": 42},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal", "font": {"size": 12}},
        hovermode="x",
        dragmode=False,
    )
    figure.update_xaxes(title_text="share of the episode", tickformat=".0%", range=[0, 1], title_standoff=4)
    figure.update_yaxes(range=[-0.05, 1.08], title_standoff=4)
    return figure
