"""Queue: what is most worth a person's look, why, and whether the order is any good. One key opens the next."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from labeling_app import desk, listing, queued, ranking
from labeling_app.data import LABELS, MEMORY
from labeling_app.ranking import Found, Place
from models.metrics import wilson_interval

SHOWN = 200
"""places in the table; the queue goes on behind them"""
KINDS = {"outcome": "outcomes", "label": "labels", "missed": "stalls without a label", "pair": "pairs"}
PAGES = {"outcome": "episodes", "label": "trigger_labels", "missed": "trigger_labels", "pair": "retrieval_pairs"}
_TABLE_COLUMNS = {
    "kind": st.column_config.TextColumn("what", width=90),
    "episode": st.column_config.TextColumn("episode", width=130),
    "step": st.column_config.NumberColumn("step", width=48),
    "score": st.column_config.NumberColumn("score", width=50, format="%.2f"),
    "why": st.column_config.TextColumn("why", width=520),
    "held": st.column_config.TextColumn("looks at it", width=80),
}


def page() -> None:
    """Draw the page."""
    desk.of_task("Queue", _workbench)


@desk.fragment
def _workbench(task: str) -> None:
    with st.spinner("Looking through the task: curves, rules and takeovers"):
        places = waiting(task)
    _measured()
    kind = st.segmented_control(
        "What", list(KINDS), default=st.session_state.get("queue-kind"), format_func=lambda each: _named(each, places)
    )
    st.session_state["queue-kind"] = kind
    wanted = _of(kind, places)
    if not wanted:
        desk.empty("Nothing of this kind waits. Freeze what was decided on its page, then:", "regrasp materialize")
        return
    place = min(st.session_state.get("queue-place", 0), len(wanted) - 1)
    _table(wanted, place)
    before, after, opens = st.columns([1, 1, 2], gap="xsmall")
    listing.walk(before, after, place, len(wanted), lambda at: st.session_state.update({"queue-place": at}))
    with opens:
        desk.key("Open", "Enter", open_place, wanted[place], deciding=False, type="primary")
    st.caption(
        f"Every {ranking.EVERY}th is picked at random, so that the order can be measured. A stall without a label goes "
        "from here once it has a label, or a mark of progress, over it."
    )
    if "goto" in st.session_state:
        st.rerun()


def waiting(task: str) -> list[Place]:
    """What is not decided in the task, in the order to look at it."""
    library, moment = desk.library(), desk.moment()
    made = tuple(str(library.manifest(asset, task).get("data_version", "")) for asset in (LABELS, MEMORY))
    return _waiting(str(desk.root().absolute()), task, moment.hash, library.value_model(task), made)


@st.cache_resource(show_spinner=False, max_entries=4)
def _waiting(path: str, task: str, head: str, model: str, made: tuple[str, ...]) -> list[Place]:
    library, state = desk.library(), desk.state()
    found = queued.candidates(library, task, library.episodes(task, state.episodes), state)
    return ranking.queue(found, queued.decided(state), ranking.taken(desk.events()))


def sidebar() -> None:
    """The way on to the next one for who came from the queue, and why this one was in it."""
    if page := st.session_state.pop("goto", None):
        st.switch_page(st.Page(_elsewhere, url_path=page))
    at: Place | None = st.session_state.get("queued")
    if at is not None:
        with st.sidebar:
            st.caption(f"From the queue: {desk.plain(at.why)}")
            desk.key("Next in the queue", "d", _go_on, deciding=False)


def _elsewhere() -> None:
    """Stands for another page, which is known by its path."""


def _go_on() -> None:
    """Open the first that waits after the one that is open."""
    left = _of(st.session_state.get("queue-kind"), waiting(st.session_state.task))
    now: Place = st.session_state.queued
    skipped = st.session_state.setdefault("skipped", set())
    skipped.add(now.candidate.item)
    following = next((place for place in left if place.candidate.item not in skipped), None)
    if following is None:
        skipped.clear()
        st.session_state.pop("queued")
        st.session_state.goto = "queue"
    else:
        open_place(following)


def open_place(place: Place) -> None:
    """Select the item on the page where it is decided."""
    candidate = place.candidate
    desk.select(candidate.episode_id, candidate.t)
    st.session_state.update(queued=place, goto=PAGES[candidate.kind], label=candidate.item)
    st.session_state.pop("draft", None)
    if candidate.kind == "pair":
        st.session_state.pair = _pair_place(st.session_state.task, candidate.item)


def _pair_place(task: str, pair_id: str) -> int:
    """Where the page has the pair; at its first where the pair is gone."""
    pairs = desk.library().pairs(task)
    if pairs is None:
        return 0
    order = pairs.sort("query_episode", "query_t", "similarity", descending=[False, False, True])["pair_id"].to_list()
    return order.index(pair_id) if pair_id in order else 0


def _of(kind: str | None, places: list[Place]) -> list[Place]:
    return [place for place in places if kind in (None, place.candidate.kind)]


def _named(kind: str, places: list[Place]) -> str:
    return f"{KINDS[kind]} {len(_of(kind, places))}"


def _table(places: list[Place], place: int) -> None:
    held = desk.held()
    rows: list[dict[str, Any]] = [
        {
            "kind": "unlabeled" if each.candidate.kind == "missed" else each.candidate.kind,
            "episode": each.candidate.episode_id,
            "step": each.candidate.t,
            "score": each.score,
            "why": each.why,
            "held": held.get(each.candidate.item, ""),
        }
        for each in places[:SHOWN]
    ]

    def go(at: int) -> None:
        st.session_state["queue-place"] = at

    listing.table("queue-table", pl.DataFrame(rows), _TABLE_COLUMNS, min(place, SHOWN - 1), go)


def _measured() -> None:
    """How often a look at what the queue brought showed something wrong, ranked and at random."""
    found = ranking.found(desk.events())
    if found[True].looked + found[False].looked:
        ranked, chance = _share(found[False]), _share(found[True])
        st.markdown(
            f"Found wrong so far: ranked **{ranked}**, at random **{chance}**. What is wrong among the random ones is "
            "about what is wrong everywhere."
        )


def _share(found: Found) -> str:
    if not found.looked:
        return "0 of 0"
    low, high = wilson_interval(found.wrong, found.looked)
    return f"{found.wrong} of {found.looked} ({100 * low:.0f} to {100 * high:.0f} %)"
