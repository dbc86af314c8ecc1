"""Decisions: who decided what, when, on what evidence; any of them is taken back here, whoever made it and whenever."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import streamlit as st

from audits.events import Event
from labeling_app import deciding, desk, listing, words

SHOWN = 500
"""the newest ones in the table; a filter reaches the older"""
_TABLE_COLUMNS = {
    "#": st.column_config.NumberColumn("#", width=52),
    "when": st.column_config.TextColumn("when (UTC)", width=140),
    "by": st.column_config.TextColumn("by", width=90),
    "item": st.column_config.TextColumn("item", width=230),
    "decision": st.column_config.TextColumn("decision", width=230),
    "stands": st.column_config.TextColumn("", width=90),
}


def page() -> None:
    """Draw the page."""
    st.subheader("Decisions")
    if not desk.events():
        desk.empty("Nobody decided anything yet. The queue is where to begin; this page keeps all of it.")
        return
    _workbench()


@desk.fragment
def _workbench() -> None:
    found = _asked(desk.events())
    if not found:
        st.info("No decision fits.", icon=":material/info:")
        return
    places = {event.seq: at for at, event in enumerate(found)}
    place = places.get(st.session_state.get("event", 0), 0)
    event = found[place]

    def go(at: int) -> None:
        st.session_state.event = found[at].seq

    listing.table("event-table", _rows(found), _TABLE_COLUMNS, place, go)
    before, after, back = st.columns([1, 1, 2], gap="xsmall")
    listing.walk(before, after, place, len(found), go)
    with back:
        _take_back(event)
    deciding.trouble()
    _evidence(event)


def _asked(events: tuple[Event, ...]) -> list[Event]:
    """The newest first, of one person and with these words where asked."""
    person, text = st.columns([1, 2], gap="xsmall")
    names = sorted({event.by for event in events})
    by = person.selectbox("By", ["", *names], format_func=lambda name: name or f"everybody ({len(names)})")
    asked = text.text_input("Words in item or decision", max_chars=100).strip().lower()
    found = [event for event in reversed(events) if by in ("", event.by)]
    fits = (event for event in found if not asked or asked in f"{event.item} {words.told(event)}".lower())
    return [event for _, event in zip(range(SHOWN), fits, strict=False)]


def _rows(found: list[Event]) -> pl.DataFrame:
    out = desk.moment().out
    return pl.DataFrame(
        [
            {
                "#": event.seq,
                "when": event.at[:19].replace("T", " "),
                "by": event.by,
                "item": event.item,
                "decision": words.told(event),
                "stands": "taken back" if event.seq in out else "",
            }
            for event in found
        ]
    )


def _take_back(event: Event) -> None:
    """The button that turns the selected decision round: out of force, or in force again."""
    undos = {int(each.value["seq"]): each.seq for each in desk.events() if each.kind == "undo"}
    if event.kind == "freeze":
        st.caption("A freeze never changes; make a new one.")
    elif event.seq in desk.moment().out:
        desk.key(f"Bring {event.seq} back", "b", deciding.undo, undos[event.seq])
    else:
        desk.key(f"Take {event.seq} back", "z", deciding.undo, event.seq)


def _evidence(event: Event) -> None:
    """What was on the screen when it was decided."""
    st.markdown(f"**{event.seq}** · {desk.plain(event.by)} looked for {event.seconds:g} s and saw:")
    if not event.shown:
        st.caption("Nothing was noted: it was decided outside of the app.")
        return
    st.dataframe(
        pl.DataFrame([{"": name, "shown": _short(value)} for name, value in event.shown.items()]), hide_index=True
    )


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return str(value)
