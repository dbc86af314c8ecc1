"""Live: the robot that runs in this workspace now: its cameras, its value and risk, who acts, and what went wrong."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import polars as pl
import streamlit as st

from labeling_app import desk
from labeling_app.cursor import pictures
from labeling_app.live import LiveView, live_figure, read_live

EVERY_S = 1.0
RECENT = 8
"""events shown, the newest first"""
STEADY = "<style>[data-stale=true] {opacity: 1 !important}</style>"
"""what is about to be drawn anew does not fade meanwhile"""
_COLUMNS = {"step": st.column_config.NumberColumn(width=50), "what": st.column_config.TextColumn(width=100)}


def page() -> None:
    """Draw the page."""
    st.subheader("Live")
    st.html(STEADY)
    st.fragment(desk.explained(_now), run_every=EVERY_S)()


def _now() -> None:
    view = read_live(desk.root())
    if view is None:
        desk.empty(
            "No robot has run in this workspace yet. Record demonstrations, or run a release:", "regrasp collect"
        )
        return
    top = st.container()
    left, right = st.columns([5, 8], gap="medium")
    with right:  # first: where a machine is too slow for the pace, the next drawing cuts off the end of this one
        if len(view.source):
            st.plotly_chart(live_figure(view), key="live", config={"displayModeBar": False})
    with top:
        _headline(view)
    with left:
        pictures({f"{name} camera": frame for name, frame in view.frames.items()})
        _events(view.status["events"])


def _headline(view: LiveView) -> None:
    """One line: what runs, or how it ended, and what is wrong."""
    status, session = view.status, desk.plain(view.status["session"])
    if silent_s := view.silent_s(time.time()):
        st.warning(f"Session {session} has said nothing for {silent_s:.0f} s: its program ended, or hangs.")
    elif view.running:
        st.success(f"Session {session} · step {status['t']} · {status['time_s']:.1f} s · **{status['source']}** acts")
    elif status["fault"]:
        st.error(f"Session {session} was stopped: {desk.plain(status['fault'])}")
    else:
        kept = f"kept as {status['episode_id']}" if status["episode_id"] else "not stored"
        st.info(
            f"Session {session} · the last episode ended after {status['steps']} steps: {status['success']}, {kept}"
        )


def _events(events: list[Mapping[str, Any]]) -> None:
    if not events:
        st.caption("Nothing happened yet but the episode.")
        return
    rows = [
        {"step": event["t"], "what": event["kind"].replace("_", " "), "how": _how(event)} for event in events[-RECENT:]
    ]
    st.dataframe(pl.DataFrame(rows[::-1]), column_config=_COLUMNS, hide_index=True)


def _how(event: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.3g}" if isinstance(value, float) else str(value)
        for name, value in event.items()
        if name not in ("t", "kind", "item", "attempt") and value not in ("", None)
    )
