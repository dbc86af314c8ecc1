"""One decision about all episodes that are listed: shown with their number, written together or not at all."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from audits.kinds import FAILURE_MODES, OUTCOMES
from labeling_app import deciding, desk

MOST = 10_000
_CHOICES: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"Outcome {outcome}": ("episode.outcome", {"success": outcome}) for outcome in OUTCOMES},
    **{f"Mode {mode.replace('_', ' ')}": ("episode.failure_mode", {"mode": mode}) for mode in FAILURE_MODES},
    "Exclude": ("episode.exclude", {"excluded": True}),
    "Include again": ("episode.exclude", {"excluded": False}),
    **{f"Weight {weight:g}": ("episode.weight", {"weight": weight}) for weight in (0.5, 1.0, 2.0)},
}


def box(listed: pl.DataFrame, everything: pl.DataFrame) -> None:
    """Choose a decision and make it about every listed episode; offered once a filter says which those are."""
    if len(listed) == len(everything) or len(listed) > MOST:
        return
    choice, button = st.columns([3, 2], gap="xsmall", vertical_alignment="bottom")
    name = choice.selectbox("For all that are listed", list(_CHOICES), key="bulk-choice")
    kind, value = _CHOICES[name]
    rows = listed if kind != "episode.failure_mode" else listed.filter(pl.col("success") == "failure")
    label = f"{name}: {len(rows)} episode{'s' * (len(rows) != 1)}"
    off = not desk.who() or rows.is_empty()
    button.button(label, key="bulk", on_click=_decide, args=(rows, kind, value), disabled=off, width="stretch")


def _decide(rows: pl.DataFrame, kind: str, value: dict[str, Any]) -> None:
    """Each is a decision of its own, which is taken back by itself."""
    asked = st.session_state.filter.asked()
    shown = {"page": "episodes", "why": "all that a filter lists", "filter": asked, "listed": len(rows)}
    told = [(kind, row["episode_id"], value, {**shown, "outcome": row["success"]}) for row in rows.to_dicts()]
    deciding.decide_all(told)
