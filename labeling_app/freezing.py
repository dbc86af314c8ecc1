"""The freeze box: what would be published, under which name, and what training does with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl
import streamlit as st

from audits.freeze import FREEZE_KINDS, Freeze, difference, freeze, list_freezes, standing
from audits.state import Decisions
from episodes.errors import RegraspError
from labeling_app import desk
from labeling_app.effect import NEXT, compared
from labeling_app.opened import log
from labeling_app.words import decided

MOST_ROWS = 200


def freeze_box(kind: str, effect: Mapping[str, object]) -> None:
    """Name and make a freeze of this kind; `effect` is the preview, name -> count."""
    assert kind in FREEZE_KINDS
    made = [found for found in list_freezes(log()) if found.kind == kind]
    decisions = standing(desk.state(), kind)
    with st.expander(f"Freeze {kind} for training", icon=":material/ac_unit:", expanded=bool(made)):
        st.caption(" · ".join(f"{count} {name}" for name, count in effect.items()))
        frozen = made[-1].decisions if made else {}
        st.dataframe(
            compared(desk.library(), st.session_state.task, kind, frozen, decisions), hide_index=True, height="content"
        )
        with st.form(f"freeze-{kind}", border=False):
            name_box, button_box = st.columns([3, 1], vertical_alignment="bottom")
            box = f"freeze-name-{kind}"
            name_box.text_input("Name of the freeze", key=box, placeholder="for example week-48", max_chars=64)
            label = f"Freeze {_many(len(decisions))}"
            off = not desk.who()
            button_box.form_submit_button(label, on_click=_freeze, args=(kind, box), disabled=off, width="stretch")
        if reason := st.session_state.pop(f"freeze-trouble-{kind}", None):
            st.warning(desk.plain(reason), icon=":material/warning:")
        if made:
            newest = made[-1]
            same = newest.decisions == decisions
            st.markdown(
                f"Newest: **{desk.plain(newest.name)}**, {_many(newest.count)}, `{newest.hash[:12]}`. "
                + ("Nothing was decided since." if same else "There are decisions that it does not hold yet.")
            )
            desk.empty(f"Training reads the newest freeze. {NEXT[kind]} Publish it with:", "regrasp materialize")
        _difference(kind, made, decisions)


def _difference(kind: str, made: Sequence[Freeze], decisions: Decisions) -> None:
    """What changed between two freezes, or between one and now."""
    if not made:
        return
    sets = {"what stands now": decisions} | {found.name: found.decisions for found in reversed(made)}
    left, right = st.columns(2)
    before = left.selectbox("Compare", list(sets)[1:], key=f"diff-before-{kind}")
    after = right.selectbox("with", list(sets), key=f"diff-after-{kind}")
    changed = difference(sets[before], sets[after])
    st.caption(f"{len(changed)} items differ" + (f", {MOST_ROWS} of them here" if len(changed) > MOST_ROWS else ""))
    rows = [
        {"item": each.item, before: decided(each.before), after: decided(each.after)} for each in changed[:MOST_ROWS]
    ]
    if rows:
        st.dataframe(pl.DataFrame(rows), hide_index=True)


def counts(verdicts: list[str], names: Mapping[str, str]) -> dict[str, int]:
    """How often each verdict was given, in the order of `names` (verdict -> its word)."""
    found = Counter(verdicts)
    return {word: found[verdict] for verdict, word in names.items()}


def _freeze(kind: str, box: str) -> None:
    try:
        freeze(log(), kind, st.session_state[box].strip(), by=desk.who())
    except RegraspError as error:
        st.session_state[f"freeze-trouble-{kind}"] = str(error)
    else:
        st.session_state[box] = ""


def _many(count: int) -> str:
    return f"{count} decision" if count == 1 else f"{count} decisions"
