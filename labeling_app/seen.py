"""What the mining rule saw: its terms at the cursor, and over the label."""

from __future__ import annotations

import math
from html import escape
from typing import Any

import polars as pl
import streamlit as st

from labeling_app.labels import Label


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
    cell = "padding:1px 10px 1px 0;border:0"
    rows = "".join(
        f'<tr><td style="{cell};opacity:.75">{escape(name.replace("_", " "))}</td>'
        f'<td style="{cell};text-align:right">{shown(here.get(name))}</td>'
        f'<td style="{cell};text-align:right">{shown(over.get(name))}</td></tr>'
        for name in names
    )
    head = "".join(
        f'<th style="{cell};font-weight:500;opacity:.75;text-align:{side}">{title}</th>'
        for title, side in (("what the rule saw", "left"), (f"at step {t}", "right"), ("over the label", "right"))
    )
    style = "width:100%;border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums"
    st.html(f'<table style="{style}"><tr>{head}</tr>{rows}</table>')


def at_step(terms: pl.DataFrame | None, episode_id: str, t: int) -> dict[str, Any]:
    """Term -> value at one step of one episode; empty where the rule did not look."""
    if terms is None:
        return {}
    found = terms.filter((pl.col("episode_id") == episode_id) & (pl.col("frame_index") == t))
    row = found.drop("episode_id", "frame_index").row(0, named=True) if len(found) else {}
    return {name: value for name, value in row.items() if value is not None}


def shown(value: Any) -> str:
    """A term's value as text that is safe in a page; a dash where the rule had too little to measure it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "<b>yes</b>" if value else "no"
    if isinstance(value, float):
        if math.isnan(value):
            return "–"
        return f"{value:.4g}"
    return escape(str(value))
