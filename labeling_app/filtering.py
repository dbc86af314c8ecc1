"""The filter box of the page Episodes: what is asked for stands in the address, and is kept under a name."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import streamlit as st

from audits.kinds import OUTCOMES
from episodes.errors import RegraspError
from labeling_app import desk
from labeling_app.filters import Filter, from_address, save, saved

_YES_NO = ("", "yes", "no")
_WORDS = {"decided": "Outcome by a person", "out": "Excluded", "damaged": "Cannot be read"}


def chosen(table: pl.DataFrame) -> pl.DataFrame:
    """The episodes that fit what is asked for; the box to ask stands above them."""
    if "filter" not in st.session_state:
        st.session_state.filter = from_address(st.query_params.to_dict())
    wanted: Filter = st.session_state.filter
    told = ", ".join(f"{name} {value}" for name, value in wanted.asked().items()) or "all episodes"
    with st.expander(f"Filter: {desk.plain(told)}", icon=":material/filter_alt:"):
        _ask(table, wanted)
        _keep(wanted)
    given = frozenset(each for each, said in desk.state().episodes.items() if "success" in said)
    return wanted.of(table, given)


def _ask(table: pl.DataFrame, wanted: Filter) -> None:
    choices = {
        "outcome": ("", *OUTCOMES),
        "session": ("", *sorted(set(table["session"]))),
        "collection": ("", *sorted(set(table["collection"].drop_nulls()))),
        "decided": _YES_NO,
        "out": _YES_NO,
        "damaged": _YES_NO,
    }
    for column, (name, offered) in zip(st.columns(len(choices), gap="xsmall"), choices.items(), strict=True):
        box, value = f"filter-{name}", getattr(wanted, name)
        st.session_state[box] = value if value in offered else ""
        title = _WORDS.get(name, name.capitalize())
        column.selectbox(title, offered, key=box, format_func=lambda each: each or "any", on_change=_set, args=(name,))
    st.session_state["filter-words"] = wanted.words
    st.text_input("Words in note, id, mode or end", key="filter-words", on_change=_set, args=("words",), max_chars=100)


def _keep(wanted: Filter) -> None:
    kept = saved(desk.root())
    name, keep, clear = st.columns([4, 2, 2], gap="xsmall", vertical_alignment="bottom")
    name.selectbox(
        "Saved filters",
        list(kept),
        index=None,
        key="filter-saved",
        placeholder="choose one, or type a name to save this one",
        accept_new_options=True,
        on_change=_recall,
    )
    keep.button("Save", on_click=_save, args=(wanted,), disabled=not wanted.asked(), width="stretch")
    with clear:
        desk.key("Clear", "w", _ask_for, Filter(), deciding=False)


def _ask_for(wanted: Filter) -> None:
    """List something else, from its beginning where the selected episode is not in it."""
    st.session_state.filter = wanted
    st.session_state.pop("listed", None)


def _set(name: str) -> None:
    _ask_for(replace(st.session_state.filter, **{name: st.session_state[f"filter-{name}"]}))


def _recall() -> None:
    found = saved(desk.root()).get(st.session_state["filter-saved"] or "")
    if found is not None:
        _ask_for(found)


def _save(wanted: Filter) -> None:
    name = (st.session_state["filter-saved"] or "").strip()[:60]
    if not name:
        st.session_state.trouble = "a filter is saved under a name; type one into the box of saved filters"
        return
    try:
        save(desk.root(), name, wanted)
    except RegraspError as error:
        st.session_state.trouble = str(error)
