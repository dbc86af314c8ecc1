"""The freeze box: what would be published, under which name, and what training does with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import streamlit as st

from audits.freeze import FREEZE_KINDS, freeze, list_freezes, standing
from episodes.errors import RegraspError
from labeling_app import desk


def freeze_box(kind: str, effect: Mapping[str, object]) -> None:
    """Name and make a freeze of this kind; `effect` is the preview, name -> count."""
    assert kind in FREEZE_KINDS
    made = [found for found in list_freezes(desk.log()) if found.kind == kind]
    decisions = standing(desk.state(), kind)
    with st.expander(f"Freeze {kind} for training", icon=":material/ac_unit:", expanded=bool(made)):
        st.caption(" · ".join(f"{count} {name}" for name, count in effect.items()))
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
            desk.empty("Training reads the newest freeze. Publish it with:", "regrasp materialize")


def counts(verdicts: list[str], names: Mapping[str, str]) -> dict[str, int]:
    """How often each verdict was given, in the order of `names` (verdict -> its word)."""
    found = Counter(verdicts)
    return {word: found[verdict] for verdict, word in names.items()}


def _freeze(kind: str, box: str) -> None:
    try:
        freeze(desk.log(), kind, st.session_state[box].strip(), by=desk.who())
    except RegraspError as error:
        st.session_state[f"freeze-trouble-{kind}"] = str(error)
    else:
        st.session_state[box] = ""


def _many(count: int) -> str:
    return f"{count} decision" if count == 1 else f"{count} decisions"
