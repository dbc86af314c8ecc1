"""Retrieval pairs: would the goal that memory offers get this stuck robot on? Side by side, one key a verdict."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from audits.kinds import PAIR_VERDICTS
from labeling_app import desk, figures, listing
from labeling_app.cursor import frames
from labeling_app.data import MEMORY
from labeling_app.freezing import counts, freeze_box


def page() -> None:
    """Draw the page."""
    st.subheader("Retrieval pairs")
    if not desk.library().tasks():
        desk.empty("This workspace has no episodes yet. Collect some in simulation, or import yours:", "regrasp demo")
        return
    task = st.session_state.task
    pairs = desk.library().pairs(task)
    if pairs is None or pairs.is_empty():
        desk.empty(f"There are no retrieved pairs for {task} yet. Build the recovery memory:", "regrasp materialize")
        return
    _workbench(task, pairs.sort("query_episode", "query_t", "similarity", descending=[False, False, True]))


@desk.fragment
def _workbench(task: str, pairs: pl.DataFrame) -> None:
    ids = pairs["pair_id"].to_list()
    place = min(st.session_state.get("pair", 0), len(ids) - 1)
    pair = pairs.row(place, named=True)
    desk.looking_at(pair["pair_id"])
    desk.select(pair["query_episode"], pair["query_t"])
    decided = desk.state().pairs
    verdicts = [decided.get(each, {}).get("verdict", "") for each in ids]

    _choose(place, verdicts)
    _side_by_side(task, pair)
    _judge(pair, place, verdicts)
    desk.trouble()
    freeze_box("pairs", counts(verdicts, {"": "undecided"} | {verdict: _word(verdict) for verdict in PAIR_VERDICTS}))
    desk.publish_link()


def _choose(place: int, verdicts: list[str]) -> None:
    before, after, undecided, text = st.columns([2, 2, 3, 8], gap="xsmall", vertical_alignment="center")
    done, count = sum(map(bool, verdicts)), len(verdicts)
    listing.walk(before, after, place, count, _go)
    with undecided:
        desk.key("Next undecided", "l", _go_undecided, place, verdicts, deciding=False, disabled=done == count)
    word = _word(verdicts[place]) if verdicts[place] else "undecided"
    text.markdown(f"Pair {place + 1} of {count} · {done} decided · this one: **{word}**")


def _side_by_side(task: str, pair: dict[str, Any]) -> None:
    library, curves = desk.library(), desk.library().curves(task)
    known = set(library.store.ids())
    left, right = st.columns(2, gap="medium")
    for column, side, title in ((left, "query", "Stuck here"), (right, "goal", "Goal from memory")):
        episode_id, t = pair[f"{side}_episode"], pair[f"{side}_t"]
        with column:
            st.markdown(f"**{title}** · step {t} of {episode_id} · V {pair[f'{side}_value']:.2f}")
            if episode_id in known:
                frames(library, episode_id, min(t, library.store.attributes(episode_id)["length"] - 1))
            else:
                st.caption("This episode is no longer in the workspace.")
    gain = pair["goal_value"] - pair["query_value"]
    st.markdown(f"Similarity **{pair['similarity']:.3f}** · value gain **{gain:+.2f}**")
    if curves is not None:
        query, goal = (curves.filter(pl.col("episode_id") == pair[f"{side}_episode"]) for side in ("query", "goal"))
        figure = figures.pair_figure(query, goal, pair["query_t"], pair["goal_t"])
        st.plotly_chart(figure, key="pair-curves", config={"displayModeBar": False})


def _judge(pair: dict[str, Any], place: int, verdicts: list[str]) -> None:
    *columns, last = st.columns(len(PAIR_VERDICTS) + 1, gap="xsmall")
    for number, (column, verdict) in enumerate(zip(columns, PAIR_VERDICTS, strict=True), start=1):
        with column:
            style = "primary" if verdicts[place] == verdict else "secondary"
            desk.key(_word(verdict).capitalize(), str(number), _verdict, pair, verdict, place, verdicts, type=style)
    with last:
        desk.key("Undo", "z", _undo)
    if not desk.who():
        st.caption("Give your name at the left to decide.")


def _word(verdict: str) -> str:
    return verdict.replace("_", " ")


def _go(place: int) -> None:
    st.session_state.pair = place


def _go_undecided(place: int, verdicts: list[str]) -> None:
    order = [*range(place + 1, len(verdicts)), *range(place)]
    st.session_state.pair = next((at for at in order if not verdicts[at]), place)


def _verdict(pair: dict[str, Any], verdict: str, place: int, verdicts: list[str]) -> None:
    manifest = desk.library().manifest(MEMORY, st.session_state.task)
    shown = {name: pair[name] for name in ("similarity", "query_value", "goal_value", "query_t", "goal_t")}
    shown |= {"page": "retrieval_pairs", "memory": manifest.get("data_version", ""), "why": "in the order of the list"}
    if desk.decide("pair.verdict", pair["pair_id"], {"verdict": verdict}, shown):
        _go_undecided(place, verdicts)


def _undo() -> None:
    desk.undo_mine("pair.verdict")
