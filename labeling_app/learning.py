"""Figures of the benchmark: how runs went over their steps. Pure: tables in, a plotly figure out."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import polars as pl

from labeling_app.palette import LINES


def learning_figure(curve: pl.DataFrame, column: str, title: str, colours: dict[str, str]) -> go.Figure:
    """`column` over `step`: a line a run, a colour a method; a click on a name hides the method."""
    traces = []
    named: set[str] = set()
    for (method, seed), rows in curve.group_by("method", "seed", maintain_order=True):
        name = str(method)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "legendgroup": name,
                "showlegend": name not in named,
                "x": rows["step"].to_list(),
                "y": rows[column].to_list(),
                "line": {"width": 1.6, "color": colours[name]},
                "marker": {"size": 5},
                "hovertemplate": f"{name}, seed {seed}: %{{y:.2f}}<extra></extra>",
            }
        )
        named.add(name)
    return go.Figure(data=traces, layout={**_LAYOUT, "yaxis": {**_RANGE, "title": {"text": title, "standoff": 4}}})


def colours_of(methods: list[str]) -> dict[str, str]:
    """A colour for each method, in the order of their names."""
    return {name: LINES[place % len(LINES)] for place, name in enumerate(sorted(set(methods)))}


_RANGE: dict[str, Any] = {"range": [-0.03, 1.03]}
_LAYOUT: dict[str, Any] = {
    "height": 270,
    "margin": {"l": 58, "r": 12, "t": 34, "b": 42},
    "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal", "font": {"size": 12}},
    "dragmode": False,
    "xaxis": {"title": {"text": "steps of training", "standoff": 4}, "rangemode": "tozero"},
}
