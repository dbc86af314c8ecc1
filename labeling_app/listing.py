"""A list to choose from: its table, in which the chosen row is always in sight, and the two keys that walk along it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from labeling_app import desk

Go = Callable[[int], None]
"""told the place in the list that was chosen"""
_SHOWN = 6
"""rows of the table that are seen without scrolling"""
_SENT = 500
"""rows of the table that are sent to the browser; the page of the chosen one is always among them"""
_HERE = st.column_config.TextColumn("", width=44, help="place in the list; ▶ is what you look at")


def table(name: str, rows: pl.DataFrame, columns: Mapping[str, Any], place: int, go: Go) -> None:
    """These columns of the rows; a click on one chooses it."""
    order = turned(len(rows), place)[:_SENT]
    here = [f"▶{at + 1}" if at == place else f"{at + 1}" for at in order]
    key = f"{name}-{order[0]}"  # Streamlit cannot scroll a table: another first row is a new one, at its top
    st.dataframe(
        rows[order].with_columns(here=pl.Series(here)).select("here", *columns),
        column_config={"here": _HERE, **columns},
        hide_index=True,
        height=248,
        key=key,
        on_select=lambda: _picked(key, order, go),
        selection_mode="single-row",
    )


def turned(count: int, place: int) -> list[int]:
    """All rows of a list, beginning with the page of the selected one and going round: it is always in sight."""
    first = place - place % _SHOWN
    return [*range(first, count), *range(first)]


def walk(before: DeltaGenerator, after: DeltaGenerator, place: int, count: int, go: Go) -> None:
    """The buttons to the neighbours of `place` in a list of `count`, one a column."""
    with before:
        desk.key("Previous", "k", go, place - 1, deciding=False, disabled=place <= 0)
    with after:
        desk.key("Next", "j", go, place + 1, deciding=False, disabled=place + 1 >= count)


def _picked(key: str, order: Sequence[int], go: Go) -> None:
    rows = st.session_state[key].selection.rows
    if rows and rows[0] < len(order):
        go(order[rows[0]])
