"""Figures of one episode: curves, signals, source bands and label strips over the step index, with the cursor.

Pure: arrays in, a plotly figure out. Steps are the x axis everywhere, so that what is seen is what is stored; edges of
strips are exact indices, never resampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from episodes.record import Episode
from labeling_app.labels import Label
from labeling_app.palette import (
    CURSOR,
    DRAFT,
    OUTCOMES,
    RISK,
    SCORE,
    SOURCES,
    TRIGGER,
    VALUE,
    VERDICTS,
    faded,
)

Array = npt.NDArray[Any]
STRIP_PX, GAP_PX, TOP_PX, BOTTOM_PX = 22, 14, 34, 38


def runs(values: Array) -> list[tuple[int, int, int]]:
    """Maximal runs of equal values as (value, start, stop), in order."""
    edges = np.flatnonzero(np.diff(values)) + 1
    starts, stops = [0, *edges.tolist()], [*edges.tolist(), len(values)]
    return [(int(values[start]), start, stop) for start, stop in zip(starts, stops, strict=True) if stop > start]


def curves_figure(
    curves: pl.DataFrame,
    source: Array | None,
    *,
    cursor: int,
    triggers: pl.DataFrame | None = None,
    labels: Sequence[Label] | None = None,
    selected: str = "",
    draft: tuple[int, int] | None = None,
) -> go.Figure:
    """Value with its spread and success score, risk, and strips of labels and sources, of one episode."""
    rows: list[int] = [190, 90]
    strips = [name for name, there in (("label", labels is not None), ("source", source is not None)) if there]
    figure = _rows(rows, strips)
    _value_traces(figure, curves)
    _risk_traces(figure, curves, triggers)
    if labels is not None:
        _label_strip(figure, len(rows) + 1, labels, selected)
    if source is not None:
        _source_strip(figure, len(rows) + len(strips), source)
    if draft is not None:
        _draft(figure, draft)
    _cursor(figure, cursor, len(curves))
    figure.update_yaxes(title_text="value", range=[-0.05, 1.08], row=1)
    figure.update_yaxes(title_text="risk", row=2)
    return figure


def signals_figure(episode: Episode, *, cursor: int) -> go.Figure:
    """What the robot felt: force and torque, gripper, the rest of proprioception, and who acted."""
    panels = _signal_panels(episode)
    figure = _rows([100] * len(panels), ["source"])
    for row, (title, series) in enumerate(panels.items(), start=1):
        for name, values in series.items():
            figure.add_trace(_line(name, values, width=1.4, showlegend=False), row=row, col=1)
        figure.update_yaxes(title_text=title, row=row)
    _source_strip(figure, len(panels) + 1, episode.action_source)
    _cursor(figure, cursor, len(episode))
    return figure


def pair_figure(query: pl.DataFrame | None, goal: pl.DataFrame | None, query_t: int, goal_t: int) -> go.Figure:
    """The value curves of a stuck episode and of the one its goal was taken from, with the two steps marked."""
    figure = _rows([180], [])
    for name, curve, t, colour in (
        ("stuck episode", query, query_t, OUTCOMES["failure"]),
        ("goal's episode", goal, goal_t, OUTCOMES["success"]),
    ):
        if curve is None or curve.is_empty():
            continue
        values = curve["value"].to_numpy()
        figure.add_trace(_line(name, values, colour=colour), row=1, col=1)
        at = min(t, len(values) - 1)
        point = go.Scatter(x=[at], y=[values[at]], mode="markers", marker={"size": 12, "color": colour}, name="")
        point.update(showlegend=False, hovertemplate=f"{name}, step {at}: %{{y:.3f}}<extra></extra>")
        figure.add_trace(point, row=1, col=1)
    figure.update_yaxes(title_text="value", range=[-0.05, 1.08], row=1)
    figure.update_layout(hovermode="closest", dragmode=False)
    return figure


def _rows(heights_px: Sequence[int], strips: Sequence[str]) -> go.Figure:
    """Rows over one step axis, each of a fixed height in pixels, the named strips below them."""
    heights = [*heights_px, *[STRIP_PX] * len(strips)]
    plot_px = sum(heights) + GAP_PX * (len(heights) - 1)
    figure = make_subplots(
        rows=len(heights), cols=1, shared_xaxes=True, row_heights=heights, vertical_spacing=GAP_PX / plot_px
    )
    figure.update_layout(
        height=plot_px + TOP_PX + BOTTOM_PX,
        margin={"l": 58, "r": 12, "t": TOP_PX, "b": BOTTOM_PX},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal", "font": {"size": 12}},
        hovermode="x",
        hoverlabel={"font": {"size": 12}},
        barmode="overlay",
        bargap=0,
        dragmode="select",
        selectdirection="h",
        clickmode="event+select",
        newselection={"line": {"width": 1, "color": DRAFT}},
    )
    figure.update_xaxes(title_text="step", title_standoff=4, row=len(heights))
    figure.update_yaxes(title_standoff=4, fixedrange=True)
    for place, name in enumerate(strips):
        row = len(heights_px) + place + 1
        figure.update_yaxes(title_text="", tickvals=[0], ticktext=[name], range=[-0.5, 0.5], showgrid=False, row=row)
        figure.update_xaxes(showgrid=False, row=row)
    return figure


def _line(name: str, values: Array, *, colour: str | None = None, width: float = 2, **more: Any) -> go.Scatter:
    """A line that can be clicked: plotly selects markers only, so there are invisible ones."""
    unseen = {"marker": {"opacity": 0}}
    return go.Scatter(
        x=np.arange(len(values)),
        y=np.asarray(values, np.float32),
        name=name,
        mode="lines+markers",
        line={"width": width} | ({"color": colour} if colour else {}),
        marker={"size": 7, "opacity": 0} | ({"color": colour} if colour else {}),
        selected=unseen,
        unselected=unseen,
        hovertemplate="%{y:.3f}<extra>" + name + "</extra>",
        **more,
    )


def _value_traces(figure: go.Figure, curves: pl.DataFrame) -> None:
    if {"value_lo", "value_hi"} <= set(curves.columns):
        steps = np.arange(len(curves))
        low, high = (curves[name].to_numpy().astype(np.float32) for name in ("value_lo", "value_hi"))
        band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        figure.add_trace(go.Scatter(x=steps, y=high, showlegend=False, **band), row=1, col=1)
        fill = {"fill": "tonexty", "fillcolor": faded(VALUE, 0.18), "name": "spread"}
        figure.add_trace(go.Scatter(x=steps, y=low, **fill, **band), row=1, col=1)
    figure.add_trace(_line("value V", curves["value"].to_numpy(), colour=VALUE), row=1, col=1)
    if "success_score" in curves.columns:
        figure.add_trace(_line("success score W", curves["success_score"].to_numpy(), colour=SCORE), row=1, col=1)


def _risk_traces(figure: go.Figure, curves: pl.DataFrame, triggers: pl.DataFrame | None) -> None:
    figure.add_trace(_line("risk R", curves["risk"].to_numpy(), colour=RISK, width=1.6), row=2, col=1)
    if triggers is None or triggers.is_empty():
        return
    fired = [(start, stop) for value, start, stop in runs(triggers["trigger"].to_numpy().astype(np.int8)) if value]
    for start, stop in fired:
        edges = {"x0": start - 0.5, "x1": stop - 0.5, "y0": 0, "y1": 1, "yref": "y2 domain", "xref": "x"}
        figure.add_shape(type="rect", **edges, fillcolor=faded(TRIGGER, 0.18), line_width=0, layer="below")
    block = {"size": 11, "symbol": "square", "color": faded(TRIGGER, 0.4)}
    figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", marker=block, name="trigger"), row=2, col=1)


def _bars(name: str, spans: Sequence[tuple[int, int]], colour: str, **more: Any) -> go.Bar:
    """Spans of steps as blocks of a strip; a block reaches from the middle before its first step to after its last."""
    return go.Bar(
        base=[start - 0.5 for start, _ in spans],
        x=[stop - start for start, stop in spans],
        y=[0] * len(spans),
        width=0.9,
        orientation="h",
        name=name,
        marker={"color": colour, "line": {"width": 0}},
        unselected={"marker": {"opacity": 1}},
        **more,
    )


def _source_strip(figure: go.Figure, row: int, source: Array) -> None:
    spans: dict[int, list[tuple[int, int]]] = {}
    for value, start, stop in runs(source):
        spans.setdefault(value, []).append((start, stop))
    for value, found in sorted(spans.items()):
        name, colour = SOURCES.get(value, SOURCES[255])
        text = [f"{name}, steps {start} to {stop - 1}" for start, stop in found]
        bars = _bars(name, found, colour, hovertext=text, hovertemplate="%{hovertext}<extra></extra>")
        figure.add_trace(bars, row=row, col=1)


def _label_strip(figure: go.Figure, row: int, labels: Sequence[Label], selected: str) -> None:
    for verdict, (name, colour) in VERDICTS.items():
        found = [label for label in labels if label.verdict == verdict]
        if not found:
            continue
        bars = _bars(name, [(label.start, label.stop) for label in found], colour)
        bars.update(
            customdata=[label.label_id for label in found],
            hovertext=[f"{name}, steps {label.start} to {label.stop - 1}" for label in found],
            hovertemplate="%{hovertext}<extra></extra>",
            marker_line={
                "width": [2.5 if label.label_id == selected else 0 for label in found],
                "color": CURSOR,
            },
        )
        figure.add_trace(bars, row=row, col=1)


def _draft(figure: go.Figure, interval: tuple[int, int]) -> None:
    """The interval being judged or moved, over the value and risk rows."""
    x0, x1 = interval[0] - 0.5, interval[1] - 0.5
    line = {"color": DRAFT, "width": 1.5, "dash": "dot"}
    for axis in ("y", "y2"):
        edges = {"x0": x0, "x1": x1, "y0": 0, "y1": 1, "xref": "x", "yref": f"{axis} domain"}
        figure.add_shape(type="rect", **edges, fillcolor=faded(DRAFT, 0.12), line=line, layer="below")


def _cursor(figure: go.Figure, cursor: int, length: int) -> None:
    place = {"x0": cursor, "x1": cursor, "y0": 0, "y1": 1, "xref": "x", "yref": "paper"}
    figure.add_shape(type="line", **place, line={"color": CURSOR, "width": 1.5})
    figure.update_xaxes(range=[-1, length])


def _signal_panels(episode: Episode) -> Mapping[str, Mapping[str, Array]]:
    """Panel title -> series of that panel; only what the episode has."""
    panels: dict[str, dict[str, Array]] = {}
    if episode.wrench is not None:
        panels["|force| N"] = {"|force|": np.linalg.norm(episode.wrench[:, :3], axis=1)}
    if episode.proprio is not None:
        count = episode.proprio.shape[1]
        names = episode.proprio_names or tuple(f"proprio {index}" for index in range(count))
        series = {name: episode.proprio[:, index] for index, name in enumerate(names)}
        gripper = {name: values for name, values in series.items() if "grip" in name.lower()}
        rest = {name: values for name, values in series.items() if name not in gripper}
        panels |= {title: found for title, found in (("gripper", gripper), ("proprio", rest)) if found}
    return panels
