"""Trigger labels: was the robot stuck here? Accept, reject, move the ends by mouse or key, cut, join, add.

Moving an end makes a draft, drawn dotted; Enter saves it, Escape drops it, and a verdict saves it first. The what-if
panel shows what other settings of the rule would label.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import polars as pl
import streamlit as st

from labeling_app import deciding, desk, figures, listing, what_if
from labeling_app import label_actions as actions
from labeling_app.clicks import on_click
from labeling_app.cursor import cursor_bar, frames, reading
from labeling_app.drafts import after_box, after_click, current, drop, edge, pulled
from labeling_app.freezing import counts, freeze_box
from labeling_app.label_actions import View
from labeling_app.labels import Label, labels_of
from labeling_app.palette import TRIGGER, VERDICTS, faded
from labeling_app.rows import bars
from labeling_app.seen import terms_table
from models.what_if import Found

_ORIGINS = {"mined": "mined", "human": "added by hand", "earlier mining": "mined earlier, no longer found"}


def page() -> None:
    """Draw the page."""
    desk.of_task("Trigger labels", _page)


def _page(task: str) -> None:
    curves = desk.library().curves(task)
    if curves is None:
        desk.empty(f"There are no value curves for {task} yet, and labels are mined from them:", "regrasp materialize")
    else:
        _workbench(task, curves)


@desk.fragment
def _workbench(task: str, curves: pl.DataFrame) -> None:
    library = desk.library()
    table = library.episodes(task, desk.state().episodes)
    labels = labels_of(library.labels(task), desk.state().labels, table["episode_id"].to_list())
    view = _view(task, table, labels, curves)
    curve = curves.filter(pl.col("episode_id") == view.episode_id).sort("frame_index")
    desk.looking_at(view.label.label_id if view.label else view.episode_id)

    _choose(view, table)
    previewed = st.session_state.get("what-if", False)
    found = what_if.panel(task, labels) if previewed else {}
    left, right = st.columns([13, 7], gap="medium")
    with left:
        t = cursor_bar(view.episode_id, library.episode(view.episode_id))
        _timeline(view, curve, t, found.get(view.episode_id, []) if previewed else None)
        _judge(view)
        deciding.trouble()
    with right:
        frames(library, view.episode_id, t)
        st.markdown(f"At step {t}: {reading(curve, t)}" if len(curve) else "This episode has no curve yet.")
        risk = curve["risk"][min(t, len(curve) - 1)] if len(curve) else None
        terms_table(library.label_terms(task), view.label, view.episode_id, t, risk=risk)
    freeze_box("labels", _effect(labels))
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
    before, after, undecided, preview, middle = st.columns([4, 3, 5, 3, 12], gap="xsmall", vertical_alignment="bottom")
    count = len(view.labels)
    listing.walk(before, after, view.place, count, lambda place: actions.go(view, place))
    with undecided:
        desk.key("Next undecided", "l", actions.go_undecided, view, deciding=False, disabled=done == count)
    with preview:
        style = "primary" if st.session_state.get("what-if") else "secondary"
        desk.key("What if", "i", _open_or_close, deciding=False, type=style, help="preview other settings")
    with middle:
        st.session_state["label-episode"] = view.episode_id
        st.selectbox(
            f"Label {view.place + 1} of {count} · {done} decided" if view.label else "Episode",
            list(rows),
            key="label-episode",
            format_func=lambda each: f"{each} · {rows[each]['session']} · {rows[each]['success']}",
            on_change=_from_box,
        )


def _from_box() -> None:
    """Where keys come faster than pages, the box reports what it was given."""
    if st.session_state["label-episode"] != st.session_state.episode:
        desk.select(st.session_state["label-episode"], 0)


def _open_or_close() -> None:
    st.session_state["what-if"] = not st.session_state.get("what-if", False)


def _timeline(view: View, curve: pl.DataFrame, t: int, previewed: Found | None) -> None:
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
        strips=[] if previewed is None else [("what if", _preview(previewed))],
    )
    chart = f"labels-{view.episode_id}-{st.session_state.get('boxes', 0)}"
    st.plotly_chart(
        figure,
        key=chart,
        on_select=lambda: after_box(chart, view.length),
        selection_mode="box",
        config={"displayModeBar": False},
    )
    drawn = current(view.label)
    on_click(
        "label-clicks",
        partial(after_click, [label.label_id for label in view.labels]),
        edges=None if drawn is None else (drawn[0] - 0.5, drawn[1] - 0.5),
        pull=partial(pulled, view.label, view.length),
    )


def _preview(found: Found) -> list[dict[str, Any]]:
    return [
        bars("would be labelled", [(start, stop) for start, stop, _ in found], faded(TRIGGER, 0.6), showlegend=False)
    ]


def _judge(view: View) -> None:
    st.markdown(_sentence(view))
    none, drafted = view.label is None, "draft" in st.session_state
    given = view.label.verdict if view.label else ""
    _keys(
        [
            ("Accept", "a", (actions.judge, view, "accept"), none, given == "accept"),
            ("Reject", "x", (actions.judge, view, "reject"), none, given == "reject"),
            ("Unsure", "u", (actions.judge, view, "unsure"), none, given == "unsure"),
            ("Add", "n", (actions.add, view), False, False),
            ("Split", "s", (actions.split, view), not view.cuttable, False),
            ("Merge", "m", (actions.merge, view), view.neighbour is None, False),
            ("Undo", "z", (actions.undo,), False, False),
        ]
    )
    nothing = none and not drafted
    _keys(
        [
            ("Start −", "q", (edge, view.label, view.length, "start", -1), nothing, False),
            ("Start +", "w", (edge, view.label, view.length, "start", 1), nothing, False),
            ("Stop −", "o", (edge, view.label, view.length, "stop", -1), nothing, False),
            ("Stop +", "p", (edge, view.label, view.length, "stop", 1), nothing, False),
            ("Save", "Enter", (actions.save, view), False, drafted),
            ("Drop", "Escape", (drop,), False, False),
        ]
    )


def _keys(buttons: Sequence[tuple[str, str, tuple[Any, ...], bool, bool]]) -> None:
    """One row of buttons: word, shortcut, what it does, whether it is off, whether it is what stands."""
    for column, (word, shortcut, act, off, stands) in zip(
        st.columns(len(buttons), gap="xxsmall"), buttons, strict=True
    ):
        with column:
            desk.key(word, shortcut, *act, disabled=off, type="primary" if stands else "secondary")


def _sentence(view: View) -> str:
    """The label in words: where it is, where it comes from, what was decided."""
    draft = st.session_state.get("draft")
    pending = f" · draft {draft[0]} to {draft[1] - 1}, not saved" if draft else ""
    if view.label is None:
        return f"No label in this episode. N adds one at the cursor, or where you dragged over the curve{pending}."
    label = view.label
    verdict = VERDICTS[label.verdict][0]
    beyond = f" · ends after the episode, at step {view.length - 1}: O moves it" if label.stop > view.length else ""
    moved = f" · mined as {label.mined[0]} to {label.mined[1] - 1}" if label.mined and label.edited else ""
    rule = f" by {desk.plain(label.rule)}" if label.rule else ""
    place = f"Steps **{label.start} to {label.stop - 1}** · {_ORIGINS[label.origin]}{rule}{moved}"
    return f"{place} · **{verdict}**{beyond}{pending}"


def _effect(labels: list[Label]) -> dict[str, Any]:
    effect = counts([label.verdict for label in labels], {verdict: name for verdict, (name, _) in VERDICTS.items()})
    moved, added = sum(label.edited for label in labels), sum(label.origin == "human" for label in labels)
    return effect | {"moved": moved, "added": added}
