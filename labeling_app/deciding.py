"""How the person at a tab decides: what is written, what stands against it, and how it is taken back.

A decision is written with what was on the screen and refused if somebody else decided about the item in the meantime:
both versions are shown then, and nothing of either is lost until one is chosen.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from audits.events import Event, draft_of, items_of
from episodes.errors import Conflict, RegraspError
from labeling_app import desk, words
from labeling_app.opened import log
from labeling_app.provenance import behind, queued


def decide(kind: str, item: str, value: Mapping[str, Any], shown: Mapping[str, Any]) -> bool:
    """Write one decision of the person at this tab; False (and the reason on the page) where it was refused."""
    return decide_all([(kind, item, value, shown)])


def decide_all(decisions: Sequence[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]) -> bool:
    """Write many decisions (kind, item, value, shown) of the person at this tab: all, or none and the reason."""
    spent = round(time.monotonic() - st.session_state.get("since", time.monotonic()), 2)
    made, by = behind(desk.library(), st.session_state.task), desk.who()
    drafts = [
        draft_of(kind, item, by=by, value=value, shown={**made, **_seen(item), **shown, **_why(item)}, seconds=spent)
        for kind, item, value, shown in decisions
    ]
    return _write(drafts, st.session_state.get("seen", 0))


def _seen(item: str) -> dict[str, Any]:
    """What every page shows, unless it says otherwise."""
    length = desk.library().length(item.partition(":")[0])
    return {"page": "", "frame": st.session_state.t, "frame_range": [0, length], "why": "chosen from the list"}


def _why(item: str) -> dict[str, str]:
    return queued(st.session_state.get("queued"), item)


def _write(drafts: Sequence[Event], seen: int) -> bool:
    try:
        log().append_all(drafts, unchanged_since=seen)
    except Conflict:
        later = log().events(after=seen)
        theirs = [event for event in later if any(_overtaken(draft, [event]) for draft in drafts)]
        st.session_state.conflict = drafts, theirs
        st.session_state.pop("trouble", None)
        return False
    except RegraspError as error:
        st.session_state.trouble = str(error)
        return False
    _written()
    return True


def _written() -> None:
    """What is decided next is decided on what is shown next."""
    for name in ("trouble", "conflict", "moment"):
        st.session_state.pop(name, None)
    st.session_state.seen = desk.moment().seq


def trouble() -> None:
    """What stands against deciding: no name, why the last action was not done, both versions where somebody was faster,
    and who looks at the same item.
    """
    if not desk.who():
        st.caption("Give your name at the left to decide.")
    if "conflict" in st.session_state:
        _conflict(*st.session_state.conflict)
    if reason := st.session_state.pop("trouble", None):
        st.warning(desk.plain(reason), icon=":material/warning:")
    _, lease = st.session_state.get("held", (0.0, None))
    if lease is not None and lease.by != desk.who():
        st.caption(f":material/visibility: {desk.plain(lease.by)} is looking at this too.")


def _conflict(drafts: Sequence[Event], theirs: Sequence[Event]) -> None:
    """Both versions of what two people decided; nothing of either is lost until one is chosen."""
    told = [f"**{desk.plain(each.by)}** at {each.at[11:19]}: {desk.plain(words.told(each))}" for each in theirs]
    told += [f"**You**, not saved: {desk.plain(words.told(draft))}" for draft in drafts if _overtaken(draft, theirs)]
    st.warning("Decided by somebody else while you looked:  \n" + "  \n".join(told), icon=":material/call_split:")
    mine, others = st.columns(2, gap="xsmall")
    with mine:
        desk.key("Keep mine", "y", _write, drafts, theirs[-1].seq)
    with others:
        desk.key("Keep theirs", "t", _yield, drafts, theirs)


def _overtaken(draft: Event, theirs: Sequence[Event]) -> bool:
    return any(items_of(event) & items_of(draft) for event in theirs)


def _yield(drafts: Sequence[Event], theirs: Sequence[Event]) -> None:
    """Leave what they decided, and write what nobody else decided about."""
    st.session_state.pop("conflict")
    rest = [draft for draft in drafts if not _overtaken(draft, theirs)]
    if rest:
        _write(rest, theirs[-1].seq)


def undo(seq: int) -> bool:
    """Take back any decision, of whomever and whenever; of an undo, the undoing."""
    try:
        log().undo(seq, by=desk.who())
    except RegraspError as error:
        st.session_state.trouble = str(error)
        return False
    _written()
    return True


def undo_mine(*kinds: str) -> Event | None:
    """Take back this person's last standing decision of the page's own `kinds` and return it; None where none is."""
    mine = [event for event in desk.moment().mine(desk.who()) if event.kind in kinds]
    if not mine:
        st.session_state.trouble = "there is no decision of yours on this page left to undo"
        return None
    return mine[-1] if undo(mine[-1].seq) else None
