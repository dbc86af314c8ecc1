"""What figures of one episode are stacked of: plots and strips over one step axis, lines, bars, spans and a cursor.

Steps are the x axis everywhere, so that what is seen is what is stored; edges of strips are exact indices, never
resampled. A line longer than `WHOLE` is drawn by the extremes of equal stretches, each at its own step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd  # noqa: F401  whole at once: plotly takes one that another thread has half imported
import plotly.graph_objects as go

from labeling_app.palette import CURSOR, DRAFT, LINES, SOURCES

Array = npt.NDArray[Any]
Trace = dict[str, Any]
STRIP_PX, GAP_PX, TOP_PX, BOTTOM_PX = 22, 14, 34, 46
WHOLE, EXTREMES = 2000, 1000
"""steps that a line is sent with one by one, and points of a longer one, which need their steps as well: 8 kB each"""


def runs(values: Array) -> list[tuple[int, int, int]]:
    """Maximal runs of equal values as (value, start, stop), in order."""
    edges = np.flatnonzero(np.diff(values)) + 1
    starts, stops = [0, *edges.tolist()], [*edges.tolist(), len(values)]
    return [(int(values[start]), start, stop) for start, stop in zip(starts, stops, strict=True) if stop > start]


def points(values: Array) -> Trace:
    """`y`, and of a thinned curve `x`, of a curve (T,)."""
    if len(values) <= WHOLE:
        return {"y": np.asarray(values, np.float32)}
    steps = thinned(values)
    return {"x": steps, "y": np.asarray(values, np.float32)[steps]}


def thinned(values: Array) -> npt.NDArray[np.int64]:
    """`EXTREMES` steps of a longer curve (T,): first and last and each stretch's smallest and largest value.

    What is drawn through them touches every extreme that the whole curve would; NaN counts as 0.
    """
    count = (EXTREMES - 2) // 2
    width = len(values) // count
    inner = np.nan_to_num(np.asarray(values[: width * count], np.float32)).reshape(count, width)
    starts = np.arange(count) * width
    rest = np.nan_to_num(np.asarray(values[width * count :], np.float32))
    found = [starts + inner.argmin(axis=1), starts + inner.argmax(axis=1), np.array([0, len(values) - 1])]
    if len(rest):
        found.append(width * count + np.array([rest.argmin(), rest.argmax()]))
    return np.unique(np.concatenate(found))


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
        over = {"x0": cursor, "x1": cursor, "y0": 0, "y1": 1, "xref": "x", "yref": "paper"}
        marks.append({"type": "line", **over, "line": {"color": CURSOR, "width": 1.5}})
    height = {"height": plot_px + TOP_PX + BOTTOM_PX}
    # Ours is right by test; plotly would check it property by property, which takes longer than all the rest.
    return go.Figure(data=traces, layout={**layout, **height, "xaxis": step, "shapes": marks}, _validate=False)


def _axis(row: Row, domain: tuple[float, float]) -> Trace:
    axis: Trace = {"domain": [max(domain[0], 0.0), min(domain[1], 1.0)], "fixedrange": True, "zeroline": False}
    if row.range:
        axis["range"] = list(row.range)
    if row.height_px == STRIP_PX:
        return axis | {"tickvals": [0], "ticktext": [row.title], "showgrid": False}
    return axis | {"title": {"text": row.title, "standoff": 4}, "nticks": 5}


_LAYOUT: Trace = {
    "colorway": LINES,
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


def line(
    name: str, values: Array, *, colour: str | None = None, width: float = 2, dash: str = "solid", **more: Any
) -> Trace:
    """A line that can be clicked: plotly selects markers only, so there are invisible ones."""
    unseen, paint = {"marker": {"opacity": 0}}, {"color": colour} if colour else {}
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        **points(values),
        "line": {"width": width, "dash": dash, **paint},
        "marker": {"size": 7, "opacity": 0, **paint},
        "selected": unseen,
        "unselected": unseen,
        "hovertemplate": "%{y:.3f}<extra>" + name + "</extra>",
        **more,
    }


def span(axis: str, start: int, stop: int, colour: str, **more: Any) -> Trace:
    """Steps [start, stop) as a rectangle over the whole height of a row."""
    place = {"x0": start - 0.5, "x1": stop - 0.5, "y0": 0, "y1": 1, "xref": "x", "yref": f"{axis} domain"}
    return {"type": "rect", **place, "fillcolor": colour, "line": {"width": 0}, "layer": "below", **more}


def bars(name: str, spans: Sequence[tuple[int, int]], colour: str, **more: Any) -> Trace:
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
    """Who acted, as blocks of a strip."""
    spans: dict[int, list[tuple[int, int]]] = {}
    for value, start, stop in runs(source):
        spans.setdefault(value, []).append((start, stop))
    styled = [(SOURCES.get(value, SOURCES[255]), found) for value, found in sorted(spans.items())]
    return [bars(name, found, colour) for (name, colour), found in styled]
