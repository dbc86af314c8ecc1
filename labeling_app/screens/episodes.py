"""Episodes: what happened, and how it ended. Outcome, failure mode, exclusion, weight and note, each by one key.

A filter says which are listed, and a decision may be about all of them at once.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from audits.kinds import FAILURE_MODES
from labeling_app import bulk, deciding, desk, figures, filtering, listing
from labeling_app.cursor import chart, cursor_bar, frames
from labeling_app.data import Library
from labeling_app.freezing import counts, freeze_box
from labeling_app.palette import OUTCOMES

KINDS = ("episode.outcome", "episode.failure_mode", "episode.exclude", "episode.weight", "episode.note")
_TABLE_COLUMNS = {
    "episode_id": st.column_config.TextColumn("episode", width=130),
    "session": st.column_config.TextColumn("session", width=118),
    "success": st.column_config.TextColumn("outcome", width=64),
    "failure_mode": st.column_config.TextColumn("mode", width=60),
    "excluded": st.column_config.CheckboxColumn("out", width=32, help="excluded from training"),
    "duration_s": st.column_config.NumberColumn("s", width=40, format="%.1f"),
    "note": st.column_config.TextColumn("note"),
}


def page() -> None:
    """Draw the page."""
    desk.of_task("Episodes", _workbench)


@desk.fragment
def _workbench(task: str) -> None:
    library = desk.library()
    everything = library.episodes(task, desk.state().episodes)
    table = filtering.chosen(everything)
    if table.is_empty():
        st.info("No episode fits this filter; clear it to see all of them.", icon=":material/filter_alt_off:")
        return
    ids = table["episode_id"].to_list()
    episode_id = desk.chosen(ids)
    desk.looking_at(episode_id)
    row = table.row(ids.index(episode_id), named=True)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        _choose(table, ids, episode_id)
        _decide(row)
        deciding.trouble()
        bulk.box(table, everything)
    with right:
        desk.explained(_recording)(library, episode_id)
    freeze_box("episodes", _effect(everything))
    desk.publish_link(**st.session_state.filter.asked())


def _recording(library: Library, episode_id: str) -> None:
    """What was recorded at the cursor; of a damaged file the sentence, beside a list that goes on."""
    episode = library.episode(episode_id)
    t = cursor_bar(episode_id, episode)
    frames(library, episode_id, t)
    chart(figures.signals_figure(episode, cursor=t), f"signals-{episode_id}")


def _choose(table: pl.DataFrame, ids: list[str], episode_id: str) -> None:
    known = int((table["success"] != "unknown").sum())
    st.caption(f"{len(table)} episodes · outcome known for {known}")
    place = ids.index(episode_id)
    columns = {k: c for k, c in _TABLE_COLUMNS.items() if k != "failure_mode" or (table[k] != "").any()}

    def go(at: int) -> None:
        desk.select(ids[at], 0)

    listing.table("episode-table", table, columns, place, go)
    before, after, undo = st.columns(3, gap="xsmall")
    listing.walk(before, after, place, len(ids), go)
    with undo:
        desk.key("Undo mine", "z", _undo)


def _decide(row: dict[str, Any]) -> None:
    episode_id, failed = row["episode_id"], row["success"] == "failure"
    recorded = f"recorded as {row['recorded']}" + (
        f" ({row['success_derivation']})" if row["success_derivation"] else ""
    )
    st.markdown(f"**{episode_id}** is **{row['success']}** · {desk.plain(recorded)} · {row['collection']}")
    for column, outcome, shortcut in zip(st.columns(3, gap="xsmall"), OUTCOMES, ("s", "f", "n"), strict=True):
        with column:
            style = "primary" if row["success"] == outcome else "secondary"
            desk.key(outcome.capitalize(), shortcut, _say, row, "episode.outcome", {"success": outcome}, type=style)
    columns = [*st.columns(3, gap="xsmall"), *st.columns(3, gap="xsmall")]
    for number, (column, mode) in enumerate(zip(columns, FAILURE_MODES, strict=True), start=1):
        with column:
            style = "primary" if failed and row["failure_mode"] == mode else "secondary"
            name = mode.replace("_", " ").capitalize()
            act = (row, "episode.failure_mode", {"mode": mode})
            desk.key(name, str(number), _say, *act, type=style, disabled=not failed)
    out, weight, note = st.columns([3, 2, 5], gap="xsmall", vertical_alignment="bottom")
    with out:
        word = "Include again" if row["excluded"] else "Exclude"
        desk.key(word, "e", _say, row, "episode.exclude", {"excluded": not row["excluded"]})
    pull = f"weight-{episode_id}-{len(desk.events())}"
    st.session_state[pull] = float(row["weight"])
    how = "how often training draws it beside others; 0 never"
    told = {"min_value": 0.0, "max_value": 100.0, "step": 0.5, "disabled": not desk.who(), "help": how}
    weight.number_input("Weight", key=pull, on_change=_weigh, args=(row, pull), **told)
    box = f"note-{episode_id}-{len(desk.events())}"  # a new box after each decision: keys are shortcuts again
    st.session_state[box] = row["note"]
    note.text_input("Note", key=box, on_change=_note, args=(row, box), disabled=not desk.who(), max_chars=500)


def _effect(table: pl.DataFrame) -> dict[str, int]:
    words = {outcome: f"{outcome}" for outcome in OUTCOMES}
    return counts(table["success"].to_list(), words) | {"excluded": int(table["excluded"].sum())}


def _say(row: dict[str, Any], kind: str, value: dict[str, Any]) -> None:
    shown = {"page": "episodes", "frame": st.session_state.t, "frame_range": [0, row["length"]]}
    shown |= {"recorded": row["recorded"], "outcome": row["success"], "why": "chosen from the list"}
    deciding.decide(kind, row["episode_id"], value, shown)


def _note(row: dict[str, Any], box: str) -> None:
    _fill(row, "note", st.session_state[box], "text")


def _weigh(row: dict[str, Any], box: str) -> None:
    _fill(row, "weight", st.session_state[box], "weight")


def _fill(row: dict[str, Any], name: str, value: object, key: str) -> None:
    """What a box holds now. Where keys come faster than pages, a box that nobody touched reports what it was given."""
    if value != row[name]:
        _say(row, f"episode.{name}", {key: value})


def _undo() -> None:
    event = deciding.undo_mine(*KINDS)
    if event is not None:
        desk.select(event.item, 0)
