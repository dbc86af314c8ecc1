"""How the networks of a task learned: loss over the steps, as each asset left it. Pure: tables to figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go
import polars as pl

from labeling_app.palette import OTHERS

FILE = "learning.parquet"
STAGES = {
    "values/model": "value",
    "models/intervention": "intervention",
    "models/recovery": "recovery",
    "models/policy": "base policy",
}


def learning_of(derived: Path, task: str) -> dict[str, pl.DataFrame]:
    """Model -> columns net, step, loss, validation (NaN where none was taken); models without are absent."""
    places = {name: derived / key / task / FILE for key, name in STAGES.items()}
    return {name: pl.read_parquet(place) for name, place in places.items() if place.is_file()}


def learning_figure(tables: Mapping[str, pl.DataFrame]) -> go.Figure:
    """One colour a model, one line a net, validation dotted; the loss on a logarithmic scale."""
    traces = []
    for number, (name, table) in enumerate(tables.items()):
        colour = OTHERS[number % len(OTHERS)]
        for place, ((net,), points) in enumerate(table.group_by(["net"], maintain_order=True)):
            line = {"color": colour, "width": 1.4}
            group = {"type": "scatter", "mode": "lines", "x": points["step"], "legendgroup": name}
            traces.append({**group, "y": points["loss"], "name": name, "line": line, "showlegend": place == 0,
                           "hovertemplate": f"{net}: %{{y:.4f}}<extra></extra>"})  # fmt: skip
            if points["validation"].is_not_nan().any():
                traces.append({**group, "y": points["validation"], "line": {**line, "dash": "dot"}, "showlegend": False,
                               "hovertemplate": f"{net}, validation: %{{y:.4f}}<extra></extra>"})  # fmt: skip
    figure = go.Figure(data=traces)
    return figure.update_layout(
        height=260,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis={"title": "steps of training"},
        yaxis={"title": "loss", "type": "log"},
        legend={"orientation": "h", "y": 1.15},
    )
