"""Value curves: does the value rise on success and stall on failure, and what does the robot do where it does not."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from labeling_app import bands, desk, figures, listing
from labeling_app.cursor import clicked, cursor_bar, frames, reading


def page() -> None:
    """Draw the page."""
    st.subheader("Value curves")
    if not desk.library().tasks():
        desk.empty("This workspace has no episodes yet. Collect some in simulation, or import yours:", "regrasp demo")
        return
    task = st.session_state.task
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
                st.plotly_chart(figure, key=f"bands-{name}", config={"displayModeBar": False})


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
    curve = curves.filter(pl.col("episode_id") == episode_id).sort("frame_index")
    episode = library.episode(episode_id)

    _choose(ids, rows, episode_id)
    left, right = st.columns([13, 7], gap="medium")
    with left:
        t = cursor_bar(episode_id, episode)
        figure = figures.curves_figure(
            curve, episode.action_source, cursor=t, triggers=_of(library.triggers(st.session_state.task), episode_id)
        )
        chart = f"curve-{episode_id}"
        st.plotly_chart(
            figure,
            key=chart,
            on_select=lambda: clicked(chart),
            selection_mode="points",
            config={"displayModeBar": False},
        )
    with right:
        frames(library, episode_id, t)
        st.markdown(f"At step {t}: {reading(curve, t)}")
        st.caption(f"Value model {curve['model_hash'][0][:12]} · click on the curve to move the cursor")
    desk.trouble()
    desk.publish_link()


def _choose(ids: list[str], rows: dict[str, dict[str, Any]], episode_id: str) -> None:
    place = ids.index(episode_id)
    before, middle, after = st.columns([2, 7, 2], gap="xsmall", vertical_alignment="bottom")
    listing.walk(before, after, place, len(ids), lambda at: desk.select(ids[at], 0))
    with middle:
        st.session_state["curve-episode"] = episode_id
        st.selectbox(
            f"Episode {place + 1} of {len(ids)}",
            ids,
            key="curve-episode",
            format_func=lambda each: f"{each} · {rows[each]['session']} · {rows[each]['success']}",
            on_change=lambda: desk.select(st.session_state["curve-episode"], 0),
        )


def _of(table: pl.DataFrame | None, episode_id: str) -> pl.DataFrame | None:
    return None if table is None else table.filter(pl.col("episode_id") == episode_id).sort("frame_index")
