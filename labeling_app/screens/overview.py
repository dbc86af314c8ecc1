"""Overview: what this workspace holds, what waits for a person, what was decided last."""

from __future__ import annotations

import polars as pl
import streamlit as st

from audits.freeze import FREEZE_KINDS, latest, standing
from audits.state import AuditState
from labeling_app import desk, words
from labeling_app.labels import labels_of

RECENT = 12


def page() -> None:
    """Draw the page."""
    st.subheader("Overview")
    library = desk.library()
    if not library.tasks():
        desk.empty("This workspace has no episodes yet. Collect some in simulation, or import yours:", "regrasp demo")
        return
    task, state = st.session_state.task, desk.state()
    table = library.episodes(task, state.episodes)
    _numbers(task, table, state)
    _freezes(state)
    _recent()
    desk.publish_link()


def _numbers(task: str, table: pl.DataFrame, state: AuditState) -> None:
    mined, pairs = desk.library().labels(task), desk.library().pairs(task)
    labels = labels_of(mined, state.labels, table["episode_id"].to_list())
    pair_ids = [] if pairs is None else pairs["pair_id"].to_list()
    successes, failures = (int((table["success"] == outcome).sum()) for outcome in ("success", "failure"))
    columns = st.columns(4)
    columns[0].metric("Episodes", len(table), border=True)
    columns[0].caption(f"{successes} successes, {failures} failures")
    for column, name, waiting, total in (
        (columns[1], "Outcomes unknown", len(table) - successes - failures, len(table)),
        (columns[2], "Labels undecided", sum(not label.verdict for label in labels), len(labels)),
        (columns[3], "Pairs undecided", sum(pair not in state.pairs for pair in pair_ids), len(pair_ids)),
    ):
        column.metric(name, waiting, border=True)
        column.caption(f"of {total}" if total else "none computed yet: regrasp materialize")


def _freezes(state: AuditState) -> None:
    st.markdown("**Freezes that training reads**")
    rows = []
    for kind in FREEZE_KINDS:
        made, now = latest(desk.log(), kind), standing(state, kind)
        changed = (
            len(now)
            if made is None
            else sum(now.get(item) != made.decisions.get(item) for item in {*now, *made.decisions})
        )
        rows.append(
            {
                "kind": kind,
                "newest freeze": made.name if made else "none yet",
                "decisions in it": made.count if made else 0,
                "decided now": len(now),
                "changed since": changed,
            }
        )
    st.dataframe(pl.DataFrame(rows), hide_index=True)


def _recent() -> None:
    events = desk.events()
    st.markdown(f"**Last decisions** · {len(events)} events in the log")
    if not events:
        desk.empty("Nobody decided anything yet. The pages at the left are where to begin.")
        return
    rows = [
        {
            "#": event.seq,
            "when": event.at[:19].replace("T", " "),
            "by": event.by,
            "kind": event.kind,
            "item": event.item,
        }
        | {"decision": words.told(event)}
        for event in reversed(events[-RECENT:])
    ]
    st.dataframe(pl.DataFrame(rows), hide_index=True)
