"""The draft interval: an end moved by key or a box drawn with the mouse, not yet saved. One in each tab."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from labeling_app.labels import Label

Interval = tuple[int, int]


def current(label: Label | None) -> Interval | None:
    """The interval to draw: the draft, else the label's own, else none."""
    own = (label.start, label.stop) if label else None
    draft: Interval | None = st.session_state.get("draft", own)
    return draft


def hold(start: int, stop: int, length: int) -> Interval:
    """The nearest interval of at least one step inside an episode of `length` steps."""
    start = min(max(start, 0), length - 1)
    return start, min(max(stop, start + 1), length)


def edge(label: Label | None, length: int, end: str, by: int) -> None:
    """Move one end of the interval by `by` steps, and the cursor with it."""
    start, stop = current(label) or (0, length)
    start, stop = (start + by, stop) if end == "start" else (start, stop + by)
    if start >= stop:
        return
    st.session_state.draft = hold(start, stop, length)
    st.session_state.t = st.session_state.draft[0] if end == "start" else st.session_state.draft[1] - 1


def pulled(label: Label | None, length: int, end: int, x: float) -> None:
    """An edge (0 start, 1 stop) pulled to a place on the axis, where a step reaches half a step to either side."""
    interval = current(label)
    if interval is not None:
        at = round(x + 0.5)
        start, stop = (at, interval[1]) if end == 0 else (interval[0], at)
        st.session_state.draft = hold(min(start, stop), max(start, stop), length)


def drop() -> None:
    """Forget the draft, and the box drawn in the figure with it."""
    if st.session_state.pop("draft", None) is not None:
        st.session_state.boxes = st.session_state.get("boxes", 0) + 1


def after_box(chart: str, length: int) -> None:
    """A box drawn in the figure makes a draft."""
    boxes = st.session_state[chart].selection.box
    if boxes:
        st.session_state.draft = boxed(boxes[0]["x"], length)


def after_click(label_ids: Sequence[str], x: float, label_id: str) -> None:
    """A click on a label of the strip chooses it, a click on a curve moves the cursor."""
    if label_id in label_ids:
        st.session_state.label = label_id
        drop()
    elif not label_id:
        st.session_state.t = max(0, round(x))


def boxed(ends: Sequence[float], length: int) -> Interval:
    """The steps inside a drawn box: those whose place on the axis it covers."""
    low, high = sorted(float(end) for end in ends)
    return hold(math.ceil(low), math.floor(high) + 1, length)


def next_undecided(labels: Sequence[Label], place: int) -> int | None:
    """The first label without a verdict after `place`, from the beginning again if need be; None if all are decided."""
    order = [*range(place + 1, len(labels)), *range(place + 1)]
    return next((at for at in order if not labels[at].verdict), None)
