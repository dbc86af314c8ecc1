"""Trigger labels: was the robot stuck here? Accept, reject, move the ends by mouse or key, add what the rule missed.

Moving an end makes a draft, drawn dotted; Enter saves it, Escape drops it, and a verdict saves it first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl
import streamlit as st

from labeling_app import desk, figures, listing
from labeling_app.clicks import on_click
from labeling_app.cursor import cursor_bar, frames, reading
from labeling_app.data import LABELS
from labeling_app.drafts import after_box, after_click, current, drop, edge, hold, next_undecided
from labeling_app.freezing import counts, freeze_box
from labeling_app.labels import Label, labels_of, positives
from labeling_app.palette import VERDICTS
from labeling_app.seen import terms_table
from models.labelling import label_id

NEW_LABEL_STEPS = 10
_ORIGINS = {"mined": "mined", "human": "added by hand", "earlier mining": "mined earlier, no longer found"}


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


def page() -> None:
    """Draw the page."""
    st.subheader("Trigger labels")
    library = desk.library()
    if not library.tasks():
        desk.empty("This workspace has no episodes yet. Collect some in simulation, or import yours:", "regrasp demo")
        return
    curves = library.curves(st.session_state.task)
    if curves is None:
        what = f"There are no value curves for {st.session_state.task} yet, and labels are mined from them:"
        desk.empty(what, "regrasp materialize")
        return
    _workbench(st.session_state.task, curves)


@desk.fragment
def _workbench(task: str, curves: pl.DataFrame) -> None:
    library = desk.library()
    table = library.episodes(task, desk.state().episodes)
    mined = library.labels(task)
    labels = labels_of(mined, desk.state().labels, table["episode_id"].to_list())
    view = _view(task, table, labels, curves)
    curve = curves.filter(pl.col("episode_id") == view.episode_id).sort("frame_index")
    desk.looking_at(view.label.label_id if view.label else view.episode_id)

    _choose(view, table)
    left, right = st.columns([13, 7], gap="medium")
    with left:
        t = cursor_bar(view.episode_id, library.episode(view.episode_id))
        _timeline(view, curve, t)
        _judge(view)
        desk.trouble()
    with right:
        frames(library, view.episode_id, t)
        st.markdown(f"At step {t}: {reading(curve, t)}" if len(curve) else "This episode has no curve yet.")
        terms_table(library.label_terms(task), view.label, view.episode_id, t)
    freeze_box("labels", _effect(labels, mined, table))
    desk.publish_link()


def _view(task: str, table: pl.DataFrame, labels: list[Label], curves: pl.DataFrame) -> View:
    """The label that is selected: the one last chosen, else the first of the episode in the address, else the first."""
    by_id = {label.label_id: label for label in labels}
    label = by_id.get(st.session_state.get("label", ""))
    if label is None or label.episode_id != st.session_state.episode:
        of_episode = [each for each in labels if each.episode_id == st.session_state.episode]
        label = next(iter(of_episode), None)
    if label is None and labels and not st.session_state.episode:
        label = labels[0]
        desk.select(label.episode_id, label.start)
    episode_id = desk.chosen(table["episode_id"].to_list())
    st.session_state.label = label.label_id if label else ""
    length = dict(zip(table["episode_id"], table["length"], strict=True))[episode_id]
    return View(task, episode_id, length, labels, label, curves["model_hash"][0])


def _choose(view: View, table: pl.DataFrame) -> None:
    done = sum(bool(label.verdict) for label in view.labels)
    rows = {row["episode_id"]: row for row in table.to_dicts()}
    before, after, undecided, middle = st.columns([2, 2, 3, 8], gap="xsmall", vertical_alignment="bottom")
    count = len(view.labels)
    listing.walk(before, after, view.place, count, lambda place: _go(view, place))
    with undecided:
        desk.key("Next undecided", "l", _go_undecided, view, deciding=False, disabled=done == count)
    with middle:
        st.session_state["label-episode"] = view.episode_id
        st.selectbox(
            f"Label {view.place + 1} of {count} · {done} decided" if view.label else "Episode",
            list(rows),
            key="label-episode",
            format_func=lambda each: f"{each} · {rows[each]['session']} · {rows[each]['success']}",
            on_change=lambda: desk.select(st.session_state["label-episode"], 0),
        )


def _timeline(view: View, curve: pl.DataFrame, t: int) -> None:
    if curve.is_empty():
        desk.empty("The curves do not hold this episode. Compute them again:", "regrasp materialize")
        return
    triggers = desk.library().triggers(view.task)
    figure = figures.curves_figure(
        curve,
        desk.library().episode(view.episode_id).action_source,
        cursor=t,
        triggers=None if triggers is None else triggers.filter(pl.col("episode_id") == view.episode_id),
        labels=[label for label in view.labels if label.episode_id == view.episode_id],
        selected=view.label.label_id if view.label else "",
        draft=current(view.label),
    )
    chart = f"labels-{view.episode_id}-{st.session_state.get('boxes', 0)}"
    st.plotly_chart(
        figure,
        key=chart,
        on_select=lambda: after_box(chart, view.length),
        selection_mode="box",
        config={"displayModeBar": False},
    )
    on_click("label-clicks", partial(after_click, [label.label_id for label in view.labels]))


def _judge(view: View) -> None:
    st.markdown(_sentence(view))
    none, drafted = view.label is None, "draft" in st.session_state
    for column, (verdict, word, shortcut) in zip(
        st.columns(5, gap="xsmall"),
        (
            ("accept", "Accept", "a"),
            ("reject", "Reject", "x"),
            ("unsure", "Unsure", "u"),
            ("", "Add", "n"),
            ("", "Undo", "z"),
        ),
        strict=True,
    ):
        with column:
            style = "primary" if verdict and view.label and view.label.verdict == verdict else "secondary"
            act = {"n": (_add, view), "z": (_undo,)}.get(shortcut, (_verdict, view, verdict))
            desk.key(word, shortcut, *act, type=style, disabled=none and shortcut in "axu")
    nothing = none and not drafted
    for column, (word, shortcut, act, off) in zip(
        st.columns(6, gap="xsmall"),
        (
            ("Start −", "q", (edge, view.label, view.length, "start", -1), nothing),
            ("Start +", "w", (edge, view.label, view.length, "start", 1), nothing),
            ("Stop −", "o", (edge, view.label, view.length, "stop", -1), nothing),
            ("Stop +", "p", (edge, view.label, view.length, "stop", 1), nothing),
            ("Save", "Enter", (_save, view), False),
            ("Drop", "Escape", (drop,), False),
        ),
        strict=True,
    ):
        with column:
            style = "primary" if shortcut == "Enter" and drafted else "secondary"
            desk.key(word, shortcut, *act, disabled=off, type=style)
    if not desk.who():
        st.caption("Give your name at the left to decide.")


def _sentence(view: View) -> str:
    """The label in words: where it is, where it comes from, what was decided."""
    draft = st.session_state.get("draft")
    pending = f" · draft {draft[0]} to {draft[1] - 1}, not saved" if draft else ""
    if view.label is None:
        return f"No label in this episode. N adds one at the cursor, or where you dragged over the curve{pending}."
    label = view.label
    verdict = VERDICTS[label.verdict][0]
    beyond = " · ends after the episode" if label.stop > view.length else ""
    moved = f" · mined as {label.mined[0]} to {label.mined[1] - 1}" if label.mined and label.edited else ""
    rule = f" by {desk.plain(label.rule)}" if label.rule else ""
    place = f"Steps **{label.start} to {label.stop - 1}** · {_ORIGINS[label.origin]}{rule}{moved}"
    return f"{place} · **{verdict}**{beyond}{pending}"


def _effect(labels: list[Label], mined: pl.DataFrame | None, table: pl.DataFrame) -> dict[str, Any]:
    lengths = dict(zip(table["episode_id"], table["length"], strict=True))
    before = positives(labels_of(mined, {}, list(lengths)), lengths)
    effect = counts([label.verdict for label in labels], {verdict: name for verdict, (name, _) in VERDICTS.items()})
    moved, added = sum(label.edited for label in labels), sum(label.origin == "human" for label in labels)
    after = positives(labels, lengths)
    return effect | {"moved": moved, "added": added, f"steps stuck as mined, {after} with decisions": before}


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


def _go(view: View, place: int) -> None:
    label = view.labels[place]
    st.session_state.label = label.label_id
    desk.select(label.episode_id, label.start)
    drop()


def _go_undecided(view: View) -> None:
    place = next_undecided(view.labels, view.place)
    if place is not None:
        _go(view, place)


def _save(view: View) -> bool:
    draft = st.session_state.get("draft")
    if draft is None or view.label is None:
        return True
    value = {"start": draft[0], "stop": draft[1]}
    saved = desk.decide("label.edit", view.label.label_id, value, _shown(view, "ends moved"))
    if saved:
        drop()
    return saved


def _verdict(view: View, verdict: str) -> None:
    assert view.label is not None
    if _save(view) and desk.decide(
        "label.verdict", view.label.label_id, {"verdict": verdict}, _shown(view, "in the order of the list")
    ):
        _go_undecided(view)


def _add(view: View) -> None:
    start, stop = st.session_state.get("draft") or (st.session_state.t, st.session_state.t + NEW_LABEL_STEPS)
    start, stop = hold(start, stop, view.length)
    item = label_id(view.episode_id, start, stop)
    if any(label.label_id == item for label in view.labels):
        st.session_state.trouble = f"there is a label at steps {start} to {stop - 1} already; change that one"
        return
    value = {"episode_id": view.episode_id, "start": start, "stop": stop}
    if desk.decide("label.create", item, value, _shown(view, "added by hand")):
        st.session_state.label = item
        drop()


def _undo() -> None:
    event = desk.undo_mine("label.verdict", "label.edit", "label.create")
    if event is not None:
        episode_id, _, interval = event.item.partition(":")
        st.session_state.label = event.item
        desk.select(episode_id, int(interval.split("-")[0]))
        drop()
