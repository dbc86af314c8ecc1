"""Figures of one episode: curves, signals, source bands and label strips over the step index, with the cursor.

Pure: arrays in, a plotly figure out. Steps are the x axis everywhere, so that what is seen is what is stored; edges of
strips are exact indices, never resampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import polars as pl

from episodes.record import ActionSource, Episode
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
Trace = dict[str, Any]
STRIP_PX, GAP_PX, TOP_PX, BOTTOM_PX = 22, 14, 34, 46


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
    rows = [
        Row("value", 190, _value_traces(curves), range=(-0.05, 1.08)),
        Row("risk", 90, _risk_traces(curves, triggers)),
    ]
    if labels is not None:
        rows.append(Row("label", STRIP_PX, _label_bars(labels, selected), range=(-0.5, 0.5)))
    if source is not None:
        rows.append(Row("source", STRIP_PX, source_bars(source), range=(-0.5, 0.5)))
    shapes = _alarm_spans(triggers)
    if draft is not None:
        dotted = {"color": DRAFT, "width": 1.5, "dash": "dot"}
        shapes += [span(axis, *draft, faded(DRAFT, 0.12), line=dotted) for axis in ("y", "y2")]
    figure = stacked(rows, len(curves), cursor=cursor, shapes=shapes)
    return figure if labels is None else figure.update_layout(dragmode="select")


def signals_figure(episode: Episode, *, cursor: int) -> go.Figure:
    """What the robot felt: force, gripper, the rest of proprioception, and who acted."""
    rows = [
        Row(title, 100, [line(name, values, width=1.4, showlegend=False) for name, values in series.items()])
        for title, series in _signal_panels(episode).items()
    ]
    rows.append(Row("source", STRIP_PX, source_bars(episode.action_source), range=(-0.5, 0.5)))
    return stacked(rows, len(episode), cursor=cursor)


def watch_figure(
    episode: Episode, *, cursor: int, curve: pl.DataFrame | None = None, potential: pl.DataFrame | None = None
) -> go.Figure:
    """One episode of a run without images: V and the simulator's potential where they are known, triggers and
    retrieved goals at their step and value, force, the way still to go, and who acted, also as bands behind V."""
    shown = [] if curve is None else _value_traces(curve)
    rows = [Row("value", 170, [*shown, *_rescue_marks(episode.events)], range=(-0.05, 1.08))]
    if potential is not None:
        rows.append(Row("potential", 80, [line("potential φ", potential["phi"].to_numpy(), colour=SCORE, width=1.6)]))
    panels = dict(_signal_panels(episode))
    panels["to go"] = {name: v for name, v in panels.pop("proprio", {}).items() if name.startswith("priv/")}
    for title, series in panels.items():
        if series:
            rows.append(Row(title, 80, [line(name, v, width=1.4, showlegend=False) for name, v in series.items()]))
    rows.append(Row("source", STRIP_PX, source_bars(episode.action_source), range=(-0.5, 0.5)))
    helped = (ActionSource.HUMAN, ActionSource.RECOVERY)
    bands = [
        span("y", start, stop, faded(SOURCES[source][1], 0.2))
        for source, start, stop in runs(episode.action_source)
        if source in helped
    ]
    return stacked(rows, len(episode), cursor=cursor, shapes=bands)


def _rescue_marks(events: Sequence[Mapping[str, Any]]) -> list[Trace]:
    """Triggers at the value they fired at, and retrieved goals at the value they promise."""
    marks = []
    for kind, field, name, symbol, colour in (
        ("trigger", "value", "trigger", "triangle-down", TRIGGER),
        ("recovery", "goal_value", "retrieved goal", "star", OUTCOMES["success"]),
    ):
        found = [event for event in events if event["kind"] == kind and (kind == "trigger" or event["item"])]
        if found:
            place = {"x": [event["t"] for event in found], "y": [event[field] for event in found]}
            marker = {"size": 10, "symbol": symbol, "color": colour}
            marks.append({"type": "scatter", "mode": "markers", "name": name, **place, "marker": marker})
    return marks


def pair_figure(query: pl.DataFrame | None, goal: pl.DataFrame | None, query_t: int, goal_t: int) -> go.Figure:
    """The value curves of a stuck episode and of the one its goal was taken from, with the two steps marked."""
    traces: list[Trace] = []
    for name, curve, t, colour in (
        ("stuck episode", query, query_t, OUTCOMES["failure"]),
        ("goal's episode", goal, goal_t, OUTCOMES["success"]),
    ):
        if curve is not None and not curve.is_empty():
            values = curve["value"].to_numpy()
            at = min(t, len(values) - 1)
            dot = {"type": "scatter", "mode": "markers", "marker": {"size": 12, "color": colour}, "showlegend": False}
            traces += [line(name, values, colour=colour), {**dot, "x": [at], "y": [values[at]], "hoverinfo": "skip"}]
    length = max((len(curve) for curve in (query, goal) if curve is not None), default=1)
    return stacked([Row("value", 180, traces, range=(-0.05, 1.08))], length)


ALARMS = {"early_trigger": 0.12, "trigger": 0.18}
"""how deep the risk row is shaded where each alarm is on; the early one is what starts a recovery"""


@dataclass(frozen=True, slots=True)
class Row:
    """One band of a figure: a plot, or a strip where it is `STRIP_PX` high."""

    title: str
    height_px: int
    traces: Sequence[Trace]
    range: tuple[float, float] | None = None


def stacked(rows: Sequence[Row], length: int, *, cursor: int | None = None, shapes: Sequence[Trace] = ()) -> go.Figure:
    """Rows over one step axis. Built as one dictionary: setting properties one by one costs ten times as much."""
    plot_px = sum(row.height_px for row in rows) + GAP_PX * (len(rows) - 1)
    traces, layout, top = [], dict(_LAYOUT), plot_px
    for place, row in enumerate(rows, start=1):
        axis = "y" if place == 1 else f"y{place}"
        traces += [{**trace, "yaxis": axis} for trace in row.traces]
        layout[axis.replace("y", "yaxis")] = _axis(row, ((top - row.height_px) / plot_px, top / plot_px))
        top -= row.height_px + GAP_PX
    step = {"title": {"text": "step", "standoff": 12}, "range": [-1, length], "anchor": axis, "zeroline": False}
    marks = [*shapes]
    if cursor is not None:
        place = {"x0": cursor, "x1": cursor, "y0": 0, "y1": 1, "xref": "x", "yref": "paper"}
        marks.append({"type": "line", **place, "line": {"color": CURSOR, "width": 1.5}})
    height = {"height": plot_px + TOP_PX + BOTTOM_PX}
    return go.Figure(data=traces, layout={**layout, **height, "xaxis": step, "shapes": marks})


def _axis(row: Row, domain: tuple[float, float]) -> Trace:
    axis: Trace = {"domain": [max(domain[0], 0.0), min(domain[1], 1.0)], "fixedrange": True, "zeroline": False}
    if row.range:
        axis["range"] = list(row.range)
    if row.height_px == STRIP_PX:
        return axis | {"tickvals": [0], "ticktext": [row.title], "showgrid": False}
    return axis | {"title": {"text": row.title, "standoff": 4}, "nticks": 5}


_LAYOUT: Trace = {
    "margin": {"l": 58, "r": 12, "t": TOP_PX, "b": BOTTOM_PX},
    "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal", "font": {"size": 12}},
    "hovermode": "x",
    "hoverlabel": {"font": {"size": 12}},
    "barmode": "overlay",
    "bargap": 0,
    "dragmode": False,
    "selectdirection": "h",
    "clickmode": "event+select",
    "newselection": {"line": {"width": 1, "color": DRAFT}},
}


def line(name: str, values: Array, *, colour: str | None = None, width: float = 2, **more: Any) -> Trace:
    """A line that can be clicked: plotly selects markers only, so there are invisible ones."""
    unseen, paint = {"marker": {"opacity": 0}}, {"color": colour} if colour else {}
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "y": np.asarray(values, np.float32),
        "line": {"width": width, **paint},
        "marker": {"size": 7, "opacity": 0, **paint},
        "selected": unseen,
        "unselected": unseen,
        "hovertemplate": "%{y:.3f}<extra>" + name + "</extra>",
        **more,
    }


def _value_traces(curves: pl.DataFrame) -> list[Trace]:
    traces: list[Trace] = []
    if {"value_lo", "value_hi"} <= set(curves.columns):
        edge = {
            "type": "scatter",
            "mode": "lines",
            "line": {"width": 0},
            "hoverinfo": "skip",
        }
        low, high = (curves[name].to_numpy().astype(np.float32) for name in ("value_lo", "value_hi"))
        fill = {"fill": "tonexty", "fillcolor": faded(VALUE, 0.18), "name": "spread"}
        traces += [{**edge, "y": high, "showlegend": False}, {**edge, "y": low, **fill}]
    traces.append(line("value V", curves["value"].to_numpy(), colour=VALUE))
    if "success_score" in curves.columns:
        traces.append(line("score W", curves["success_score"].to_numpy(), colour=SCORE))
    return traces


def _risk_traces(curves: pl.DataFrame, triggers: pl.DataFrame | None) -> list[Trace]:
    risk = line("risk R", curves["risk"].to_numpy(), colour=RISK, width=1.6)
    if triggers is None or triggers.is_empty():
        return [risk]
    blocks = {
        name: {"size": 11, "symbol": "square", "color": faded(TRIGGER, 0.2 + shade)} for name, shade in ALARMS.items()
    }
    empty = {"type": "scatter", "mode": "markers", "x": [None], "y": [None]}
    return [risk, *({**empty, "marker": block, "name": name.replace("_", " ")} for name, block in blocks.items())]


def _alarm_spans(triggers: pl.DataFrame | None) -> list[Trace]:
    if triggers is None or triggers.is_empty():
        return []
    return [
        span("y2", start, stop, faded(TRIGGER, shade))
        for name, shade in ALARMS.items()
        for fired, start, stop in runs(triggers[name].to_numpy().astype(np.int8))
        if fired
    ]


def span(axis: str, start: int, stop: int, colour: str, **more: Any) -> Trace:
    """Steps [start, stop) as a rectangle over the whole height of a row."""
    place = {"x0": start - 0.5, "x1": stop - 0.5, "y0": 0, "y1": 1, "xref": "x", "yref": f"{axis} domain"}
    return {"type": "rect", **place, "fillcolor": colour, "line": {"width": 0}, "layer": "below", **more}


def _bars(name: str, spans: Sequence[tuple[int, int]], colour: str, **more: Any) -> Trace:
    """Spans of steps as blocks of a strip; a block reaches from the middle before its first step to after its last."""
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "base": [start - 0.5 for start, _ in spans],
        "x": [stop - start for start, stop in spans],
        "y": [0] * len(spans),
        "width": 0.9,
        "marker": {"color": colour, "line": {"width": 0}},
        "unselected": {"marker": {"opacity": 1}},
        "hovertext": [f"{name}, steps {start} to {stop - 1}" for start, stop in spans],
        "hovertemplate": "%{hovertext}<extra></extra>",
        **more,
    }


def source_bars(source: Array) -> list[Trace]:
    spans: dict[int, list[tuple[int, int]]] = {}
    for value, start, stop in runs(source):
        spans.setdefault(value, []).append((start, stop))
    styled = [(SOURCES.get(value, SOURCES[255]), found) for value, found in sorted(spans.items())]
    return [_bars(name, found, colour) for (name, colour), found in styled]


def _label_bars(labels: Sequence[Label], selected: str) -> list[Trace]:
    bars = []
    for verdict, (name, colour) in VERDICTS.items():
        found = [label for label in labels if label.verdict == verdict]
        if found:
            width = [2.5 if label.label_id == selected else 0 for label in found]
            marker = {"color": colour, "line": {"width": width, "color": CURSOR}}
            ids = [label.label_id for label in found]
            spans = [(label.start, label.stop) for label in found]
            bars.append(_bars(name, spans, colour, customdata=ids, marker=marker))
    return bars


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
