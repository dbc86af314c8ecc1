"""Quality: which episodes are worth learning from, the worst first, why, and what shows it. One key accepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import streamlit as st

from episodes.footage import sampled_steps
from labeling_app import deciding, desk, listing
from labeling_app.cursor import chart, cursor_bar, filmstrip, frames
from labeling_app.data import Library
from labeling_app.evidence import evidence_figure
from labeling_app.screens import episodes

STRIP = 6
"""frames of a camera side by side"""
_TABLE_COLUMNS = {
    "episode_id": st.column_config.TextColumn("episode", width=130),
    "suggested": st.column_config.TextColumn("suggested", width=74),
    "decided": st.column_config.TextColumn("decided", width=70),
    "tremble": st.column_config.NumberColumn("tremble", width=56, format="%.2f", help="where it moves, 0 to 1"),
    "idle": st.column_config.NumberColumn("idle", width=44, format="percent", help="steps in which the arm stands"),
    "reason": st.column_config.TextColumn("reason", width=188),
}
_CAMERA_COLUMNS = {
    "camera": None,
    "sharpness": None,
    "visual_diversity": None,
    "blank_share": "frames of one colour, be it black",
    "black_share": "frames that are nearly black, with a sensor's noise",
}
"""of the table of cameras, and what a heading does not say by itself"""


def page() -> None:
    """Draw the page."""
    desk.of_task("Quality", _workbench)


@desk.fragment
def _workbench(task: str) -> None:
    library = desk.library()
    table = library.quality(task)
    if table is None or table.is_empty():
        desk.empty("The quality of these episodes is not computed yet:", "regrasp materialize episodes/quality")
        return
    rows = table.to_dicts()
    ids = [row["episode_id"] for row in rows]
    episode_id = desk.chosen(ids)
    desk.looking_at(episode_id)
    row = rows[ids.index(episode_id)]
    left, right = st.columns([6, 5], gap="medium")
    with left:
        _choose(table, rows, episode_id)
        finding = _reasons(row)
        _decide(row, rows)
        deciding.trouble()
    with right:
        desk.explained(_evidence)(library, row, finding)
    desk.publish_link()


def decided(decision: Mapping[str, Any]) -> str:
    """What people decided about taking part, in a word or two."""
    if decision.get("excluded"):
        return "excluded"
    if "weight" in decision:
        return f"weight {decision['weight']:g}"
    return "kept" if "excluded" in decision else ""


def _suggested(row: Mapping[str, Any]) -> str:
    return f"weight {row['weight']:g}" if row["verdict"] == "weight" else str(row["verdict"])


def _choose(table: pl.DataFrame, rows: Sequence[Mapping[str, Any]], episode_id: str) -> None:
    counts = ", ".join(f"{verdict} {n}" for verdict, n in table["verdict"].value_counts().sort("verdict").iter_rows())
    st.caption(f"{len(rows)} episodes · suggested: {counts}")
    ids = [row["episode_id"] for row in rows]
    place, standing = ids.index(episode_id), desk.state().episodes
    shown = [
        {
            "episode_id": row["episode_id"],
            "suggested": _suggested(row),
            "decided": decided(standing.get(row["episode_id"], {})),
            "reason": "; ".join(finding["reason"] for finding in row["findings"]),
            "tremble": row["tremble"],
            "idle": None if row["idle_share"] is None else round(row["idle_share"], 2),
        }
        for row in rows
    ]

    def go(at: int) -> None:
        _look(rows[at])

    numbers = {"tremble": pl.Float64, "idle": pl.Float64}
    listing.table("quality-table", pl.DataFrame(shown, schema_overrides=numbers), _TABLE_COLUMNS, place, go)
    before, after, undo, whole = st.columns(4, gap="xsmall")
    listing.walk(before, after, place, len(ids), go)
    with undo:
        desk.key("Undo mine", "z", deciding.undo_mine, "episode.exclude", "episode.weight")
    if whole.button("Open the episode", key="open", width="stretch", help="the same step on the page Episodes"):
        st.switch_page(st.Page(episodes.page, url_path="episodes"))


def _reasons(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What is wrong, to choose from; the chosen finding is what the right side shows."""
    findings, key = row["findings"], f"finding-{row['episode_id']}"
    if not findings:
        st.markdown(f"**{row['episode_id']}** · nothing was found against it")
        return None
    at = st.radio(
        f"**{row['episode_id']}** · suggested: **{_suggested(row)}**",
        range(len(findings)),
        format_func=lambda n: desk.plain(findings[n]["reason"]),
        key=key,
        on_change=lambda: desk.select(row["episode_id"], findings[st.session_state[key]]["step"]),
    )
    chosen: Mapping[str, Any] = findings[at]
    return chosen


def _decide(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    word = {"exclude": "exclude it", "weight": f"weight {row['weight']:g}"}.get(row["verdict"], "")
    accept, refuse, _ = st.columns([2, 2, 1], gap="xsmall")
    with accept:
        desk.key(f"Accept: {word}" if word else "Accept", "a", _say, row, rows, True, disabled=not word)
    with refuse:
        desk.key("Keep it as it is", "x", _say, row, rows, False, disabled=not word)


def _say(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], accepted: bool) -> None:
    """Write the decision, and go on to the next episode that has a suggestion and no decision."""
    excluding = row["verdict"] == "exclude"
    weight = row["weight"] if accepted else 1.0
    kind, value = ("episode.exclude", {"excluded": accepted}) if excluding else ("episode.weight", {"weight": weight})
    reasons = [finding["reason"] for finding in row["findings"]]
    shown = {"page": "quality", "frame": st.session_state.t, "frame_range": [0, row["steps"]], "why": reasons}
    shown |= {"suggested": _suggested(row), "quality": row["data_version"]}
    if deciding.decide(kind, row["episode_id"], value, shown):
        standing = desk.state().episodes
        open_ = (r for r in rows if r["verdict"] != "keep" and not decided(standing.get(r["episode_id"], {})))
        _look(next(open_, row))


def _evidence(library: Library, row: Mapping[str, Any], finding: Mapping[str, Any] | None) -> None:
    """The frames and series that show the finding; of an episode without one, all the same."""
    episode_id, key = row["episode_id"], "" if finding is None else finding["key"]
    episode = library.episode(episode_id)
    t = cursor_bar(episode_id, episode)
    if key in library.cameras(episode_id):
        filmstrip(library, episode_id, key, [int(step) for step in sampled_steps(len(episode), STRIP)])
    frames(library, episode_id, t)
    chart(evidence_figure(episode, key, cursor=t), f"evidence-{episode_id}-{key}")
    if row["cameras"]:
        seen = pl.DataFrame(row["cameras"]).select(*_CAMERA_COLUMNS)
        headings = {n: st.column_config.Column(n.replace("_", " "), help=said) for n, said in _CAMERA_COLUMNS.items()}
        st.dataframe(seen, column_config=headings)


def _look(row: Mapping[str, Any]) -> None:
    """Select an episode at the step that shows its gravest finding."""
    desk.select(row["episode_id"], row["findings"][0]["step"] if row["findings"] else 0)
