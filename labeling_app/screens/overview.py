"""Overview: what this workspace holds, what waits for a person, what was decided last."""

from __future__ import annotations

import polars as pl
import streamlit as st

from audits.freeze import FREEZE_KINDS, difference, latest, standing
from audits.state import AuditState
from labeling_app import desk, words
from labeling_app.labels import labels_of
from labeling_app.opened import log
from labeling_app.screens import queue

RECENT = 12


def page() -> None:
    """Draw the page."""
    desk.of_task("Overview", _page)


def _page(task: str) -> None:
    state = desk.state()
    table = desk.library().episodes(task, state.episodes)
    _numbers(task, table, state)
    _attention(task, table, state)
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


def _attention(task: str, table: pl.DataFrame, state: AuditState) -> None:
    """What a person should look at, the gravest first; each names the page."""
    told = [*_damage(table), *_waiting(task, table, state), *_company()]
    st.markdown("**What needs attention**" if told else "**Nothing needs attention.**")
    st.markdown("\n".join(f"- {sentence}" for sentence in told))


def _damage(table: pl.DataFrame) -> list[str]:
    damaged = int(table["damaged"].sum())
    cut = int((~table["complete"].fill_null(False)).sum()) - damaged
    told = [f"{damaged} recordings cannot be read: page Episodes, filter Cannot be read: yes."] if damaged else []
    return told + ([f"{cut} episodes were cut short by a crash and are left out of training: Episodes."] if cut else [])


def _waiting(task: str, table: pl.DataFrame, state: AuditState) -> list[str]:
    told = []
    unknown = int((table["success"] == "unknown").sum())
    if unknown:
        told.append(f"{unknown} episodes have no outcome, so nothing learns from them: Episodes, `S` `F`.")
    if desk.library().curves(task) is None:
        told.append("Values are not computed yet, so the queue knows little: `regrasp materialize`.")
    else:
        places = queue.waiting(task)
        grave = sum(place.candidate.disagreement > 0.5 for place in places)
        told.append(f"{len(places)} things wait in the queue; in {grave} rules, model and people disagree: Queue.")
    for kind in FREEZE_KINDS:
        made = latest(log(), kind)
        changed = len(difference(made.decisions if made else {}, standing(state, kind)))
        if changed:
            told.append(f"{changed} decisions on {kind} are in no freeze, so training does not read them: freeze them.")
    return told


def _company() -> list[str]:
    return [f"{desk.plain(by)} looks at {desk.plain(item)} now." for item, by in sorted(desk.held().items())]


def _freezes(state: AuditState) -> None:
    st.markdown("**Freezes that training reads**")
    rows = []
    for kind in FREEZE_KINDS:
        made, now = latest(log(), kind), standing(state, kind)
        changed = len(difference(made.decisions if made else {}, now))
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
