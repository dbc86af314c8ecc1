"""Small tables of text and numbers: names at the left, figures at the right, no grid to click in."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

_CELL = "padding:1px 10px 1px 0;border:0;text-align:"


def plain_table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> None:
    """Rows of as many texts as `head` has; every text is escaped. A cell that begins with `*` is bold."""
    body = "".join(f"<tr>{''.join(_cell(text, place) for place, text in enumerate(row))}</tr>" for row in rows)
    names = "".join(
        f'<th style="{_CELL}{_side(place)};font-weight:500;opacity:.75">{escape(name)}</th>'
        for place, name in enumerate(head)
    )
    style = "width:100%;border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums"
    st.html(f'<table style="{style}"><tr>{names}</tr>{body}</table>')


def _cell(text: str, place: int) -> str:
    faint = ";opacity:.75;white-space:nowrap" if place == 0 else ""
    shown = f"<b>{escape(text[1:])}</b>" if text.startswith("*") else escape(text)
    return f'<td style="{_CELL}{_side(place)}{faint}">{shown}</td>'


def _side(place: int) -> str:
    return "right" if place else "left"
