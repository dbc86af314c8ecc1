"""Marks of progress: what a person saw the robot do, brushed over the curve or spanned by the cursor, and what agrees.

The brush is one for each tab. Its marks are decisions about the episode; a later one lies over the earlier, and "none"
takes marks away. They train nothing: they are what curves, labels and triggers are held against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from episodes.record import Array
from labeling_app import deciding, desk
from labeling_app.drafts import Interval, boxed, hold
from labeling_app.known import painted
from labeling_app.plain_table import plain_table

WORDS = {"progress": "Progress", "stagnant": "Stagnant", "regress": "Regress", "none": "Clear"}


def brush(length: int) -> Interval | None:
    """The steps that the next mark is about: the drawn box, or all from where B was pressed to the cursor."""
    if "brush_from" in st.session_state:
        ends = st.session_state.brush_from, st.session_state.t
        return hold(min(ends), max(ends) + 1, length)
    drawn: Interval | None = st.session_state.get("brush")
    return None if drawn is None else hold(*drawn, length)


def begin() -> None:
    """Span from the cursor on; the same again lets go."""
    started = "brush_from" in st.session_state
    release()
    if not started:
        st.session_state.brush_from = st.session_state.t


def release() -> None:
    """Forget the brush, and the box drawn in the figure with it."""
    st.session_state.pop("brush_from", None)
    if st.session_state.pop("brush", None) is not None:
        st.session_state.boxes = st.session_state.get("boxes", 0) + 1


def after_box(chart: str, length: int) -> None:
    """A box drawn in the figure is the brush."""
    if found := st.session_state[chart].selection.box:
        st.session_state.pop("brush_from", None)
        st.session_state.brush = boxed(found[0]["x"], length)


def pulled(length: int, end: int, x: float) -> None:
    """An edge of the brush pulled to a place on the axis."""
    interval = brush(length)
    if interval is not None:
        at = round(x + 0.5)
        start, stop = (at, interval[1]) if end == 0 else (interval[0], at)
        st.session_state.pop("brush_from", None)
        st.session_state.brush = hold(min(start, stop), max(start, stop), length)


def mark(episode_id: str, length: int, what: str, model_hash: str) -> None:
    """Write what was seen over the brushed steps."""
    interval = brush(length)
    if interval is None:
        st.session_state.trouble = "nothing is brushed: drag over the curve, or press B and move the cursor"
        return
    shown = {"page": "value_curves", "value_model": model_hash, "why": "seen in the frames"}
    value = {"start": interval[0], "stop": interval[1], "mark": what}
    if deciding.decide("episode.progress", episode_id, value, shown):
        release()


def undo() -> None:
    """Take back the last mark, and look at its episode."""
    event = deciding.undo_mine("episode.progress")
    if event is not None:
        desk.select(event.item, int(event.value["start"]))


@dataclass(frozen=True, slots=True)
class Seen:
    """The steps of one kind of mark against what was computed."""

    mark: str
    steps: int
    labelled: float
    """share under a mined label"""
    alarmed: float
    """share at which the early trigger is on"""
    slope_per_s: float
    """mean change of V over the marked stretches, by the second"""


def compared(
    marks: Mapping[str, Sequence[tuple[int, int, str]]],
    values: Mapping[str, Array],
    labelled: Mapping[str, Array],
    alarmed: Mapping[str, Array],
    time_s: Mapping[str, Array],
) -> list[Seen]:
    """What was seen against V, labels and early trigger; `marks` as given, the others (T,) by episode id.

    A last step has no slope, as none is after it.
    """
    runs = [(name, *run) for name, given in marks.items() if name in values for run in painted(given)]
    out = []
    for kind in WORDS:
        own = [(name, start, stop) for name, start, stop, mark in runs if mark == kind]
        if own:
            steps = sum(stop - start for _, start, stop in own)
            slope = _slopes(own, values, time_s)
            out.append(Seen(kind, steps, _share(own, labelled), _share(own, alarmed), slope))
    return out


def _slopes(runs: Sequence[tuple[str, int, int]], values: Mapping[str, Array], time_s: Mapping[str, Array]) -> float:
    ends = [(name, start, min(stop, len(values[name]) - 1)) for name, start, stop in runs]
    slopes = [
        (values[name][last] - values[name][start]) / (time_s[name][last] - time_s[name][start])
        for name, start, last in ends
        if last > start
    ]
    return float(np.mean(slopes)) if slopes else float("nan")


def _share(runs: Sequence[tuple[str, int, int]], flags: Mapping[str, Array]) -> float:
    known = [flags[name][start:stop] for name, start, stop in runs if name in flags]
    return float(np.concatenate(known).mean()) if known else float("nan")


def table(rows: Sequence[Seen]) -> None:
    """What people saw, one row a kind of mark."""
    head = ("seen", "steps", "labelled as stuck", "early trigger on", "V per second")
    plain_table([(row.mark, *_cells(row)) for row in rows], head)


def _cells(row: Seen) -> tuple[str, ...]:
    shares = ("–" if np.isnan(share) else f"{share:.0%}" for share in (row.labelled, row.alarmed))
    return str(row.steps), *shares, "–" if np.isnan(row.slope_per_s) else f"{row.slope_per_s:+.3f}"
