"""Figures of one episode: curves, signals, source bands and label strips over the step index, with the cursor.

Pure: arrays in, a plotly figure out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from episodes.record import ActionSource, Episode
from labeling_app.labels import Label
from labeling_app.palette import (
    CURSOR,
    DRAFT,
    OTHERS,
    OUTCOMES,
    RISK,
    SCORE,
    SOURCES,
    TRIGGER,
    VALUE,
    VERDICTS,
    faded,
)
from labeling_app.rows import STRIP_PX, Array, Row, Trace, bars, line, points, runs, source_bars, span, stacked


def curves_figure(
    curves: pl.DataFrame,
    source: Array | None,
    *,
    cursor: int,
    triggers: pl.DataFrame | None = None,
    labels: Sequence[Label] | None = None,
    selected: str = "",
    draft: tuple[int, int] | None = None,
    others: Mapping[str, Array] | None = None,
    strips: Sequence[tuple[str, Sequence[Trace]]] = (),
) -> go.Figure:
    """Value with its spread and success score, risk, and strips of labels and sources, of one episode.

    `others`: name -> (T,) curves of other models, drawn with V; `strips`: name and bars of further strips.
    """
    rows = [
        Row("value", 190, [*_value_traces(curves), *_other_traces(others or {})], range=(-0.05, 1.08)),
        Row("risk", 90, _risk_traces(curves, triggers)),
    ]
    if labels is not None:
        rows.append(Row("label", STRIP_PX, _label_bars(labels, selected), range=(-0.5, 0.5)))
    rows += [Row(name, STRIP_PX, bars, range=(-0.5, 0.5)) for name, bars in strips]
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


ALARMS = {"early_trigger": 0.18, "trigger": 0.26}
"""how deep the risk row is shaded where each alarm is on; the early one is what starts a recovery"""


def _value_traces(curves: pl.DataFrame) -> list[Trace]:
    traces: list[Trace] = []
    if {"value_lo", "value_hi"} <= set(curves.columns):
        edge: Trace = {
            "type": "scatter",
            "mode": "lines",
            "line": {"width": 0},
            "hoverinfo": "skip",
        }
        low, high = (points(curves[name].to_numpy()) for name in ("value_lo", "value_hi"))
        fill = {"fill": "tonexty", "fillcolor": faded(VALUE, 0.18), "name": "spread"}
        traces += [{**edge, **high, "showlegend": False}, {**edge, **low, **fill}]
    traces.append(line("value V", curves["value"].to_numpy(), colour=VALUE))
    if "success_score" in curves.columns:
        traces.append(line("score W", curves["success_score"].to_numpy(), colour=SCORE))
    return traces


def _other_traces(others: Mapping[str, Array]) -> list[Trace]:
    """Curves of other models, dashed."""
    colours = zip(others.items(), OTHERS * len(others), strict=False)
    return [line(name, values, colour=colour, width=1.6, dash="dot") for (name, values), colour in colours]


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


def _label_bars(labels: Sequence[Label], selected: str) -> list[Trace]:
    traces = []
    for verdict, (name, colour) in VERDICTS.items():
        found = [label for label in labels if label.verdict == verdict]
        if found:
            width = [2.5 if label.label_id == selected else 0 for label in found]
            marker = {"color": colour, "line": {"width": width, "color": CURSOR}}
            ids = [label.label_id for label in found]
            spans = [(label.start, label.stop) for label in found]
            traces.append(bars(name, spans, colour, customdata=ids, marker=marker))
    return traces


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
