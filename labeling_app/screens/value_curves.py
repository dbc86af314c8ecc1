"""Value curves: does the value rise on success and stall on failure, and what does the robot do where it does not.

A person who watches the frames can mark where it got on, stood still or fell back: the cheapest truth there is.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st

from labeling_app import bands, deciding, desk, figures, listing, marking
from labeling_app.clicks import on_click
from labeling_app.cursor import cursor_bar, frames, reading
from labeling_app.known import SPLIT, TABLE, VALUE_MODEL, columns, painted
from labeling_app.others import beside, others_of
from labeling_app.palette import MARKS
from labeling_app.plain_table import plain_table
from labeling_app.reliability import reliabilities, reliability_figure
from labeling_app.rows import bars
from labeling_app.trained import learning_figure, learning_of

_STILL = {"displayModeBar": False}


def page() -> None:
    """Draw the page."""
    desk.of_task("Value curves", _page)


def _page(task: str) -> None:
    curves = desk.library().curves(task)
    if curves is None:
        desk.empty(
            f"There are no value curves for {task} yet. Train the value model and compute them:", "regrasp materialize"
        )
        return
    table = desk.library().episodes(task, desk.state().episodes)
    _together(curves, table)
    _workbench(curves, table)


def _together(curves: pl.DataFrame, table: pl.DataFrame) -> None:
    outcomes = dict(zip(table["episode_id"], table["success"], strict=True))
    if "success" not in outcomes.values() or "failure" not in outcomes.values():
        st.info("Success and failure can be compared once both are known: give outcomes on the page Episodes.")
    columns = st.columns(2, gap="medium")
    for column, (name, title) in zip(
        columns, (("value", "value V"), ("success_score", "success score W")), strict=True
    ):
        if name in curves.columns:
            with column:
                st.caption(f"{title}: median and 10 to 90 % of the episodes")
                figure = bands.bands_figure(curves, outcomes, column=name)
                st.plotly_chart(figure, key=f"bands-{name}", config=_STILL)
    _others(curves, outcomes)


def _others(curves: pl.DataFrame, outcomes: dict[str, str]) -> None:
    """Other models against V, where curves of any were imported."""
    found = beside(desk.library().workspace.root, curves, outcomes)
    if found:
        st.caption("Other models' curves and V, on the episodes of known outcome that both have judged")
        head = ("model", "episodes", "successes", "VOC on successes", "of V", "AUROC of the last fifth", "of V")
        rows = [(o.name, str(o.episodes), str(o.successes), *_figures(*o.order, *o.separation)) for o in found]
        plain_table(rows, head)


def _figures(*shares: float) -> tuple[str, ...]:
    return tuple("–" if share != share else f"{share:.3f}" for share in shares)


@desk.fragment
def _workbench(curves: pl.DataFrame, table: pl.DataFrame) -> None:
    library = desk.library()
    rows = {row["episode_id"]: row for row in table.to_dicts()}
    with_curve = set(curves["episode_id"])
    ids = [episode_id for episode_id in rows if episode_id in with_curve]
    if not ids:
        desk.empty("The curves are of other episodes than these. Compute them again:", "regrasp materialize")
        return
    episode_id = desk.chosen(ids)
    desk.looking_at(episode_id)
    curve = curves.filter(pl.col("episode_id") == episode_id).sort("frame_index")

    _choose(ids, rows, episode_id)
    if st.session_state.get("calibration"):
        _calibration(curves, table)
    left, right = st.columns([13, 7], gap="medium")
    with left:
        t = cursor_bar(episode_id, library.episode(episode_id))
        _timeline(curve, episode_id, t)
        _mark(curve, episode_id)
        deciding.trouble()
    with right:
        frames(library, episode_id, t)
        st.markdown(f"At step {t}: {reading(curve, t)}")
        st.caption(f"Value model {curve['model_hash'][0][:12]} · click on the curve to move the cursor")
    _seen(curves, set(table.filter(~pl.col("damaged"))["episode_id"]) & with_curve)
    desk.publish_link()


def _choose(ids: list[str], rows: dict[str, dict[str, Any]], episode_id: str) -> None:
    place = ids.index(episode_id)
    before, after, calibration, middle = st.columns([3, 3, 3, 9], gap="xsmall", vertical_alignment="bottom")
    listing.walk(before, after, place, len(ids), lambda at: _go(ids[at]))
    with calibration:
        style = "primary" if st.session_state.get("calibration") else "secondary"
        desk.key("Calibration", "v", _open_or_close, deciding=False, type=style, help="is V what it says?")
    with middle:
        st.session_state["curve-episode"] = episode_id
        st.selectbox(
            f"Episode {place + 1} of {len(ids)}",
            ids,
            key="curve-episode",
            format_func=lambda each: f"{each} · {rows[each]['session']} · {rows[each]['success']}",
            on_change=_from_box,
        )


def _from_box() -> None:
    """Where keys come faster than pages, the box reports what it was given."""
    if st.session_state["curve-episode"] != st.session_state.episode:
        _go(st.session_state["curve-episode"])


def _go(episode_id: str) -> None:
    desk.select(episode_id, 0)
    marking.release()


def _open_or_close() -> None:
    st.session_state.calibration = not st.session_state.get("calibration", False)


def _timeline(curve: pl.DataFrame, episode_id: str, t: int) -> None:
    library, length = desk.library(), len(curve)
    drawn = marking.brush(length)
    seen = painted(desk.state().progress.get(episode_id, []))
    others, left_out = others_of(library.workspace.root, episode_id, length)
    for reason in left_out:
        st.caption(f"Not drawn: {desk.plain(reason)}")
    figure = figures.curves_figure(
        curve,
        library.episode(episode_id).action_source,
        cursor=t,
        triggers=_of(library.triggers(st.session_state.task), episode_id),
        draft=drawn,
        others=others,
        strips=[("seen", _marks(seen))],
    )
    figure.update_layout(dragmode="select")
    chart = f"curve-{episode_id}-{st.session_state.get('boxes', 0)}"
    st.plotly_chart(
        figure, key=chart, on_select=lambda: marking.after_box(chart, length), selection_mode="box", config=_STILL
    )
    edges = None if drawn is None else (drawn[0] - 0.5, drawn[1] - 0.5)
    on_click("curve-clicks", _clicked, edges=edges, pull=partial(marking.pulled, length))


def _marks(seen: list[tuple[int, int, str]]) -> list[dict[str, Any]]:
    spans = {mark: [(start, stop) for start, stop, kind in seen if kind == mark] for mark in MARKS}
    return [bars(f"seen: {mark}", spans[mark], colour) for mark, colour in MARKS.items() if spans[mark]]


def _clicked(x: float, _: str) -> None:
    st.session_state.t = max(0, round(x))


def _mark(curve: pl.DataFrame, episode_id: str) -> None:
    length, interval = len(curve), marking.brush(len(curve))
    told = "Drag over the curve, or press B and move the cursor: what did the robot do there?"
    if interval is not None:
        told = f"Steps **{interval[0]} to {interval[1] - 1}**: what did the robot do there?"
    st.markdown(told)
    begin, *columns, undo = st.columns(len(marking.WORDS) + 2, gap="xxsmall")
    with begin:
        style = "primary" if "brush_from" in st.session_state else "secondary"
        desk.key("From here", "b", marking.begin, deciding=False, type=style)
    model = curve["model_hash"][0]
    for number, (column, (what, word)) in enumerate(zip(columns, marking.WORDS.items(), strict=True), start=1):
        with column:
            desk.key(word, str(number), marking.mark, episode_id, length, what, model, disabled=interval is None)
    with undo:
        desk.key("Undo", "z", marking.undo)


def _seen(curves: pl.DataFrame, ids: set[str]) -> None:
    """All marks of the task's readable episodes against what was computed."""
    library, task, marks = desk.library(), st.session_state.task, desk.state().progress
    own = [name for name in marks if name in ids and painted(marks[name])]
    if not own:
        return
    labelled = _flags(library.label_terms(task), "stagnation", own)
    alarmed = _flags(library.triggers(task), "early_trigger", own)
    values = columns(curves.filter(pl.col("episode_id").is_in(own)), "value")["value"]
    time_s = {name: library.episode(name).time_s for name in own}
    st.markdown(f"**What people saw, in {len(own)} episode{'s' * (len(own) > 1)}**")
    marking.table(marking.compared({name: marks[name] for name in own}, values, labelled, alarmed, time_s))


def _flags(table: pl.DataFrame | None, name: str, own: list[str]) -> dict[str, Any]:
    return {} if table is None else columns(table.filter(pl.col("episode_id").is_in(own)), name)[name]


def _calibration(curves: pl.DataFrame, table: pl.DataFrame) -> None:
    library, task = desk.library(), st.session_state.task
    place = library.workspace.derived / SPLIT / task / TABLE
    with st.container(border=True):
        figure_at, gate_at = st.columns([9, 11], gap="medium")
        if "progress" in curves.columns and place.exists():
            successes = table.filter(pl.col("success") == "success")["episode_id"].to_list()
            groups = reliabilities(curves, pl.read_parquet(place), successes)
            with figure_at:
                st.caption("Progress over V, successes: on the diagonal V is what it says")
                st.plotly_chart(reliability_figure(groups), key="reliability", config=_STILL)
                for each in groups:
                    covered = "" if each.covered != each.covered else f" · {each.covered:.0%} of steps in the spread"
                    st.caption(f"{each.name}: calibration error {each.error:.3f}{covered}")
        with gate_at:
            _gate(library.workspace.derived / VALUE_MODEL / task / "gate.json")
        learned = learning_of(library.workspace.derived, task)
        if learned:
            st.caption("How the networks learned, one line a net; dotted: the loss on validation episodes")
            st.plotly_chart(learning_figure(learned), key="learning", config=_STILL)


def _gate(path: Path) -> None:
    """The lines that must hold before anything is mined, as the model was judged when it was made."""
    if not path.exists():
        desk.empty("This value model was made before it was judged line by line. Make it again:", "regrasp materialize")
        return
    rows = [
        {
            "": "" if not line["asked"] else "✓" if line["holds"] else "✗",
            "line": line["name"],
            "is": line["value"],
            "interval": "" if line["lo"] is None else f"{line['lo']:.2f} to {line['hi']:.2f}",
            "asked": line["asked"],
            "n": line["n"],
        }
        for line in json.loads(path.read_text())
    ]
    shown = pl.DataFrame(rows, infer_schema_length=None)
    st.caption("What the value model had to show before anything was mined from it")
    st.dataframe(shown, hide_index=True, height=330, column_config={"is": st.column_config.NumberColumn(format="%.2f")})


def _of(table: pl.DataFrame | None, episode_id: str) -> pl.DataFrame | None:
    return None if table is None else table.filter(pl.col("episode_id") == episode_id).sort("frame_index")
