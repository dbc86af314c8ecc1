"""Retrieval pairs: would the goal that memory offers get this stuck robot on? Side by side, one key a verdict.

The first of the k nearest is what the robot would be given; the others are what it would be given once the first is
taken out, and can be judged too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl
import streamlit as st

from audits.kinds import PAIR_VERDICTS
from episodes.errors import RegraspError
from labeling_app import deciding, desk, figures, listing
from labeling_app.answers import answers, coverage, gap_mm, map_figure, removed, state_of
from labeling_app.cursor import filmstrip, frames
from labeling_app.data import MEMORY
from labeling_app.freezing import counts, freeze_box
from labeling_app.pair_scores import ranks, scores
from labeling_app.pairs import Pair, pairs_of
from labeling_app.plain_table import plain_table


def page() -> None:
    """Draw the page."""
    desk.of_task("Retrieval pairs", _page)


def _page(task: str) -> None:
    pairs = desk.library().pairs(task)
    if pairs is None or pairs.is_empty():
        desk.empty(f"There are no retrieved pairs for {task} yet. Build the recovery memory:", "regrasp materialize")
        return
    _workbench(task, pairs)


@desk.fragment
def _workbench(task: str, table: pl.DataFrame) -> None:
    decided = desk.state().pairs
    pairs = pairs_of(table, decided, removed(desk.library(), task))
    place = min(st.session_state.get("pair", 0), len(pairs) - 1)
    first = pairs[place]
    offered = _offered(task, first, decided)
    rank = min(st.session_state.get("goal", 1), len(offered))
    pair = offered[rank - 1]
    desk.looking_at(pair.pair_id)
    desk.select(pair.query_episode, pair.query_t)

    _choose(place, pairs)
    _side_by_side(task, pair, len(offered))
    _judge(pair, place, pairs)
    deciding.trouble()
    _alternatives(offered, rank)
    if st.session_state.get("coverage"):
        _map(task, pairs, pair)
    verdicts = [each.verdict for each in pairs]
    freeze_box("pairs", counts(verdicts, {"": "undecided"} | {verdict: _word(verdict) for verdict in PAIR_VERDICTS}))
    desk.publish_link()


def _offered(task: str, pair: Pair, decided: Mapping[str, Mapping[str, Any]]) -> list[Pair]:
    """The pair, then what else the memory would answer at its stuck step."""
    library = desk.library()
    try:
        found = answers(library, task).nearest(library, task, pair)
    except RegraspError:  # the pairs can be judged without the memory they came from
        return [pair]
    known = {each.pair_id: each for each in found}
    own = replace(pair, rank=known[pair.pair_id].rank) if pair.pair_id in known else pair
    others = [each for each in found if each.pair_id != pair.pair_id]
    return [own, *(replace(each, verdict=decided.get(each.pair_id, {}).get("verdict", "")) for each in others)]


def _choose(place: int, pairs: list[Pair]) -> None:
    before, after, undecided, coverage_at, text = st.columns(
        [3, 3, 5, 3, 11], gap="xsmall", vertical_alignment="center"
    )
    done, count = sum(bool(pair.verdict) for pair in pairs), len(pairs)
    listing.walk(before, after, place, count, _go)
    with undecided:
        desk.key("Next undecided", "l", _go_undecided, place, pairs, deciding=False, disabled=done == count)
    with coverage_at:
        style = "primary" if st.session_state.get("coverage") else "secondary"
        desk.key("Map", "v", _open_or_close, deciding=False, type=style, help="stuck states, keys, and how good it is")
    text.markdown(f"Pair {place + 1} of {count} · {done} decided · this one: **{_told(pairs[place])}**")


def _told(pair: Pair) -> str:
    if not pair.verdict:
        return "undecided"
    fate = " · out of the memory" if pair.out else " · out with the next freeze" if pair.verdict != "valid" else ""
    return _word(pair.verdict) + fate


def _side_by_side(task: str, pair: Pair, offered: int) -> None:
    library = desk.library()
    known = set(library.store.ids())
    left, right, figures_at = st.columns([6, 6, 7], gap="medium")
    goal = f"Goal {pair.rank} of {offered}" if offered > 1 else "Goal from memory"
    for column, title, episode_id, t in (
        (left, "Stuck here", pair.query_episode, pair.query_t),
        (right, goal, pair.goal_episode, pair.goal_t),
    ):
        with column:
            st.markdown(f"**{title}** · step {t}")
            if episode_id in known:
                frames(library, episode_id, min(t, library.store.attributes(episode_id)["length"] - 1))
            else:
                st.caption("This episode is no longer in the workspace.")
    curves = library.curves(task)
    with figures_at:
        _numbers(pair, known)
        if curves is not None:
            query, goal_of = (
                curves.filter(pl.col("episode_id") == each) for each in (pair.query_episode, pair.goal_episode)
            )
            figure = figures.pair_figure(query, goal_of, pair.query_t, pair.goal_t)
            st.plotly_chart(figure, key="pair-curves", config={"displayModeBar": False})


def _numbers(pair: Pair, known: set[str]) -> None:
    """Values, distance, time and workspace gap of the pair, one line each."""
    library = desk.library()
    stuck, goal = (pair.query_episode, pair.query_t), (pair.goal_episode, pair.goal_t)
    both = pair.query_episode in known and pair.goal_episode in known
    key = None if pair.key_t is None else (pair.goal_episode, pair.key_t)
    time_s = library.episode(pair.goal_episode).time_s if pair.goal_episode in known else ()
    timed = pair.key_t is not None and max(pair.key_t, pair.goal_t) < len(time_s)
    way_s = time_s[pair.goal_t] - time_s[pair.key_t] if timed else math.nan
    rows = [
        ("similarity", _figure(pair.similarity, "{:.3f}")),
        ("value", f"{_figure(pair.query_value, '{:.2f}')} → {_figure(pair.goal_value, '{:.2f}')}"),
        ("value gain", _figure(pair.goal_value - pair.query_value, "{:+.2f}")),
        ("tool, stuck to key", _figure(gap_mm(library, stuck, key) if both and key else math.nan, "{:.0f} mm")),
        ("tool, stuck to goal", _figure(gap_mm(library, stuck, goal) if both else math.nan, "{:.0f} mm")),
        ("from key to goal", _figure(way_s, "{:.1f} s")),
        ("episodes", f"{pair.query_episode} → {pair.goal_episode}"),
    ]
    plain_table(rows)


def _figure(value: float, form: str) -> str:
    return "–" if math.isnan(value) else form.format(value)


def _judge(pair: Pair, place: int, pairs: list[Pair]) -> None:
    *columns, last = st.columns(len(PAIR_VERDICTS) + 1, gap="xsmall")
    for number, (column, verdict) in enumerate(zip(columns, PAIR_VERDICTS, strict=True), start=1):
        with column:
            style = "primary" if pair.verdict == verdict else "secondary"
            desk.key(_word(verdict).capitalize(), str(number), _verdict, pair, verdict, place, pairs, type=style)
    with last:
        desk.key("Undo", "z", _undo)


def _alternatives(offered: list[Pair], rank: int) -> None:
    """The k nearest goals, each by its picture; the shown one is ringed."""
    if len(offered) < 2:
        return
    library = desk.library()
    known = set(library.store.ids())
    before, *columns, after = st.columns([2, *[3] * len(offered), 2], gap="xsmall", vertical_alignment="center")
    with before:
        desk.key("Goal", "o", _goal, rank - 1, deciding=False, disabled=rank <= 1, help="the one before")
    for column, each in zip(columns, offered, strict=True):
        with column:
            mark = "▶ " if each is offered[rank - 1] else ""
            verdict = f" · {_word(each.verdict)}" if each.verdict else ""
            st.caption(f"{mark}{_figure(each.similarity, '{:.3f}')} · V {_figure(each.goal_value, '{:.2f}')}{verdict}")
            if each.goal_episode in known and library.cameras(each.goal_episode):
                filmstrip(library, each.goal_episode, library.cameras(each.goal_episode)[0], [each.goal_t])
    with after:
        desk.key("Goal", "p", _goal, rank + 1, deciding=False, disabled=rank >= len(offered), help="the next one")


def _map(task: str, pairs: list[Pair], pair: Pair) -> None:
    """Coverage of stuck states, and how good retrieval is by what people decided."""
    library, decided = desk.library(), desk.state().pairs
    with st.container(border=True):
        place = library.workspace.derived / MEMORY / task
        built = tuple(path.stat().st_mtime_ns for path in sorted(place.glob("*.*")))
        try:
            found = coverage(str(desk.root().absolute()), task, built)
        except RegraspError as error:
            st.info(desk.plain(str(error)), icon=":material/info:")
            return
        states = [state_of(each, decided) for each in found.pairs]
        figure_at, told_at = st.columns([13, 7], gap="medium")
        with figure_at:
            st.plotly_chart(
                map_figure(found, states, pair.pair_id),
                key="pair-map",
                on_select=lambda: _from_map(pairs),
                selection_mode="points",
                config={"displayModeBar": False},
            )
        with told_at:
            kinds = set(found.clusters.tolist())
            for name, wanted in (("answered", ("undecided", "valid")), ("judged valid", ("valid",))):
                covered = {kind for kind, state in zip(found.clusters.tolist(), states, strict=True) if state in wanted}
                st.markdown(f"Kinds of stuck state {name}: **{len(covered)} of {len(kinds)}**")
            for score in scores(decided, ranks(desk.events())):
                told = "nothing judged yet"
                if score.n:
                    told = f"**{score.value:.2f}** ({score.low:.2f} to {score.high:.2f}), {score.n} {score.of}"
                st.markdown(f"{score.name}: {told}")
            st.caption("A kind is what the memory's floor calls alike. Click on a stuck state to look at its pair.")


def _from_map(pairs: list[Pair]) -> None:
    points = st.session_state["pair-map"].selection.points
    chosen = str(points[0].get("customdata") or "") if points else ""
    at = next((at for at, pair in enumerate(pairs) if pair.pair_id == chosen), None)
    if at is not None:
        _go(at)


def _word(verdict: str) -> str:
    return verdict.replace("_", " ")


def _open_or_close() -> None:
    st.session_state.coverage = not st.session_state.get("coverage", False)


def _goal(rank: int) -> None:
    st.session_state.goal = rank


def _go(place: int) -> None:
    st.session_state.update(pair=place, goal=1)


def _go_undecided(place: int, pairs: list[Pair]) -> None:
    order = [*range(place + 1, len(pairs)), *range(place)]
    _go(next((at for at in order if not pairs[at].verdict), place))


def _verdict(pair: Pair, verdict: str, place: int, pairs: list[Pair]) -> None:
    """Judge the goal on the screen; after the pair itself the next undecided one follows, after another goal none."""
    manifest = desk.library().manifest(MEMORY, st.session_state.task)
    shown = {name: getattr(pair, name) for name in ("query_t", "goal_t", "rank")}
    numbers = {name: getattr(pair, name) for name in ("similarity", "query_value", "goal_value")}
    shown |= {name: None if math.isnan(number) else number for name, number in numbers.items()}
    shown |= {"page": "retrieval_pairs", "memory": manifest.get("data_version", ""), "why": "in the order of the list"}
    decided = deciding.decide("pair.verdict", pair.pair_id, {"verdict": verdict}, shown)
    if decided and pair.pair_id == pairs[place].pair_id:
        _go_undecided(place, pairs)


def _undo() -> None:
    deciding.undo_mine("pair.verdict")
