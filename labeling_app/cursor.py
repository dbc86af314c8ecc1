"""The step under the cursor: moved by slider and keys, shown as the stored frames of every camera.

Frames are addressed by index and sent as they are stored, inside the page itself, at a fixed size: no second request,
no decoding, and nothing jumps while it loads.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from episodes.record import Episode
from labeling_app import desk
from labeling_app.data import Library
from labeling_app.palette import SOURCES


def cursor_bar(episode_id: str, episode: Episode) -> int:
    """Slider and keys; returns the step the cursor is at."""
    last = len(episode) - 1
    t = st.session_state.t = min(st.session_state.t, last)
    back_far, back, middle, on, on_far = st.columns([3, 3, 10, 3, 3], gap="xsmall", vertical_alignment="bottom")
    for column, label, shortcut, by in (
        (back_far, "−10", "g", -10),
        (back, "−1", "Left", -1),
        (on, "+1", "Right", 1),
        (on_far, "+10", "h", 10),
    ):
        with column:
            desk.key(label, shortcut, _move, by, last, deciding=False, help="move the cursor")
    with middle:
        if last > 0:
            slider = f"slider-{episode_id}"
            st.session_state[slider] = t
            st.slider(moment(episode, t), 0, last, key=slider, on_change=_slide, args=(slider,))
    return int(t)


def moment(episode: Episode, t: int) -> str:
    """Where the cursor is, in words."""
    source = SOURCES.get(int(episode.action_source[t]), SOURCES[255])[0]
    return f"step {t} of {len(episode) - 1} · {episode.time_s[t]:.2f} s · {source}"


def frames(library: Library, episode_id: str, t: int, *, title: str = "") -> None:
    """The frame of every camera at step `t`, side by side."""
    cameras = library.cameras(episode_id)
    if not cameras:
        st.caption("This episode has no images.")
        return
    pictures({f"{title}{camera}": library.frame(episode_id, camera, t) for camera in cameras})


def pictures(frames: Mapping[str, bytes]) -> None:
    """Frames under their captions, side by side."""
    shown = "".join(_picture(data, caption) for caption, data in frames.items())
    st.html(f'<div style="display:flex;gap:8px">{shown}</div>')


def filmstrip(library: Library, episode_id: str, camera: str, steps: Sequence[int]) -> None:
    """Frames of one camera at several steps, side by side."""
    pictures({f"{camera} {t}": library.frame(episode_id, camera, t) for t in steps})


def _picture(data: bytes, caption: str) -> str:
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return (
        '<figure style="margin:0;flex:1;min-width:0">'
        f'<img src="{source}" alt="{escape(caption)}" style="width:100%;aspect-ratio:1;object-fit:contain;'
        'border-radius:6px;background:rgba(128,128,128,.15)">'
        f'<figcaption style="font-size:.8rem;opacity:.7">{escape(caption)}</figcaption></figure>'
    )


def reading(curve: pl.DataFrame, t: int) -> str:
    """The curve's values at step `t`, in words."""
    row = curve.row(min(t, len(curve) - 1), named=True)
    spread = f" ({row['value_lo']:.2f} to {row['value_hi']:.2f})" if "value_lo" in row else ""
    score = f" · W {row['success_score']:.2f}" if "success_score" in row else ""
    return f"V {row['value']:.2f}{spread}{score} · R {row['risk']:.3f}"


def chart(figure: go.Figure, key: str) -> None:
    """A figure over steps; a click in it moves the cursor there."""
    still = {"displayModeBar": False}
    st.plotly_chart(figure, key=key, on_select=lambda: _clicked(key), selection_mode="points", config=still)


def _clicked(chart: str) -> None:
    step = clicked_step(st.session_state[chart].selection.points)
    if step is not None:
        st.session_state.t = step


def clicked_step(points: Sequence[Mapping[str, Any]]) -> int | None:
    """The step of a click, which selects one point of every curve there; None for anything else."""
    steps = {round(point["x"]) for point in points}
    return max(0, steps.pop()) if len(steps) == 1 else None


def _move(by: int, last: int) -> None:
    st.session_state.t = min(max(st.session_state.t + by, 0), last)


def _slide(slider: str) -> None:
    st.session_state.t = st.session_state[slider]
