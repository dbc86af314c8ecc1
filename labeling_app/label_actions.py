"""What a person does with a trigger label: judge, move its ends, cut, join, add, take back. Each is one decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from labeling_app import deciding, desk
from labeling_app.data import LABELS
from labeling_app.drafts import current, drop, hold, next_undecided
from labeling_app.labels import Label
from models.labelling import label_id

NEW_LABEL_STEPS = 10
KINDS = ("label.verdict", "label.edit", "label.create", "label.split", "label.merge")


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows at this moment; every decision records it."""

    task: str
    episode_id: str
    length: int
    labels: list[Label]
    """of all episodes of the task"""
    label: Label | None
    """the one being judged"""
    model_hash: str

    @property
    def place(self) -> int:
        """Index of the label being judged; -1 where there is none."""
        return next((at for at, label in enumerate(self.labels) if label == self.label), -1)

    @property
    def neighbour(self) -> Label | None:
        """The label that this one can be joined with: the next of the episode, or the last where it is the last."""
        own = [label for label in self.labels if label.episode_id == self.episode_id and label.verdict != "reject"]
        if self.label not in own or len(own) < 2:
            return None
        at = own.index(self.label)
        return own[at + 1] if at + 1 < len(own) else own[at - 1]

    @property
    def cuttable(self) -> bool:
        """Whether the cursor stands inside the label as its ends are drawn, behind its first step."""
        drawn = current(self.label)
        return self.label is not None and drawn is not None and drawn[0] < st.session_state.t < drawn[1]


def go(view: View, place: int) -> None:
    """Look at another label of the list."""
    label = view.labels[place]
    st.session_state.label = label.label_id
    desk.select(label.episode_id, label.start)
    drop()


def go_undecided(view: View) -> None:
    """Look at the next label nobody decided about."""
    place = next_undecided(view.labels, view.place)
    if place is not None:
        go(view, place)


def save(view: View) -> bool:
    """Write the moved ends, where there are any; False where that was refused."""
    draft = st.session_state.get("draft")
    if draft is None or view.label is None:
        return True
    value = {"start": draft[0], "stop": draft[1]}
    saved = deciding.decide("label.edit", view.label.label_id, value, _shown(view, "ends moved"))
    if saved:
        drop()
    return saved


def judge(view: View, verdict: str) -> None:
    """Give a verdict, after the ends were saved, and go on to the next undecided label."""
    assert view.label is not None
    value = {"verdict": verdict}
    if save(view) and deciding.decide(
        "label.verdict", view.label.label_id, value, _shown(view, "in the order of the list")
    ):
        go_undecided(view)


def add(view: View) -> None:
    """A new label where a box was drawn, else from the cursor on."""
    start, stop = st.session_state.get("draft") or (st.session_state.t, st.session_state.t + NEW_LABEL_STEPS)
    start, stop = hold(start, stop, view.length)
    item = _free(view, start, stop)
    value = {"episode_id": view.episode_id, "start": start, "stop": stop}
    if item and deciding.decide("label.create", item, value, _shown(view, "added by hand")):
        st.session_state.label = item
        drop()


def split(view: View) -> None:
    """Cut the label at the cursor, after its ends were saved: the step under it is the first of the second part."""
    assert view.label is not None
    at, (start, stop) = st.session_state.t, _drawn(view.label)
    value = {"episode_id": view.episode_id, "start": start, "at": at, "stop": stop}
    if _free(view, at, stop) and save(view):
        deciding.decide("label.split", view.label.label_id, value, _shown(view, "cut at the cursor"))
        drop()


def merge(view: View) -> None:
    """Join the label, after its ends were saved, with its neighbour; a mined one keeps its name."""
    label, other = view.label, view.neighbour
    assert label is not None
    assert other is not None
    start, stop = _drawn(label)
    value = {"start": min(start, other.start), "stop": max(stop, other.stop)}
    if label.origin == "human" and other.origin != "human":
        label, other = other, label
    joined = value | {"other": other.label_id}
    if save(view) and deciding.decide("label.merge", label.label_id, joined, _shown(view, "joined with its neighbour")):
        st.session_state.label = label.label_id
        drop()


def undo() -> None:
    """Take back the last decision of this page, and look at the label it was about."""
    event = deciding.undo_mine(*KINDS)
    if event is not None:
        episode_id, _, interval = event.item.partition(":")
        st.session_state.label = event.item
        desk.select(episode_id, int(interval.split("-")[0]))
        drop()


def _drawn(label: Label) -> tuple[int, int]:
    """The ends as they are drawn: moved ones before they are saved."""
    return current(label) or (label.start, label.stop)


def _free(view: View, start: int, stop: int) -> str:
    """The id of a label at these steps; empty, with the reason on the page, where there is one already."""
    item = label_id(view.episode_id, start, stop)
    if item in desk.state().labels or any(label.label_id == item for label in view.labels):
        st.session_state.trouble = f"there is a label at steps {start} to {stop - 1} already; change that one"
        return ""
    return item


def _shown(view: View, why: str) -> dict[str, Any]:
    """What was on the screen, for the log."""
    manifest = desk.library().manifest(LABELS, view.task)
    label = view.label
    return {
        "page": "trigger_labels",
        "value_model": view.model_hash,
        "labels": manifest.get("data_version", ""),
        "miner": desk.library().miner(view.task),
        "frame": st.session_state.t,
        "frame_range": [0, view.length],
        "interval": [label.start, label.stop] if label else None,
        "terms": dict(label.terms) if label else {},
        "why": why,
    }
