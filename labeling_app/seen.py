"""What the mining rule saw: its terms at the cursor, and over the label."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import streamlit as st

from labeling_app.labels import Label
from labeling_app.plain_table import plain_table


def terms_table(
    terms: pl.DataFrame | None, label: Label | None, episode_id: str, t: int, *, risk: float | None = None
) -> None:
    """Name, value at the cursor, value over the label; one row a term, marks for rules that fired, R_t where given."""
    here = at_step(terms, episode_id, t) | ({} if risk is None else {"risk R": risk})
    over = dict(label.terms) if label else {}
    names = [*here, *[name for name in over if name not in here]]
    if not names:
        st.caption("The rule left no terms for this episode.")
        return
    head = ("what the rule saw", f"at step {t}", "over the label")
    plain_table([(name.replace("_", " "), shown(here.get(name)), shown(over.get(name))) for name in names], head)


def at_step(terms: pl.DataFrame | None, episode_id: str, t: int) -> dict[str, Any]:
    """Term -> value at one step of one episode; empty where the rule did not look."""
    if terms is None:
        return {}
    found = terms.filter((pl.col("episode_id") == episode_id) & (pl.col("frame_index") == t))
    row = found.drop("episode_id", "frame_index").row(0, named=True) if len(found) else {}
    return {name: value for name, value in row.items() if value is not None}


def shown(value: Any) -> str:
    """A term's value as text, bold where a rule fired; a dash where the rule had too little to measure it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "*yes" if value else "no"
    if isinstance(value, float):
        if math.isnan(value):
            return "–"
        return f"{value:.4g}"
    return str(value)
