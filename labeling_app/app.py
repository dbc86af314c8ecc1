"""The app's entry: `streamlit run labeling_app/app.py -- --root WORKSPACE`. Nine pages and the login box.

A tenth page is there where the benchmark has been run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from labeling_app import desk
from labeling_app.benchmark import schedules
from labeling_app.links import asset_link
from labeling_app.screens import (
    benchmark,
    decisions,
    episodes,
    live,
    overview,
    quality,
    queue,
    retrieval_pairs,
    trigger_labels,
    value_curves,
)

PAGES = (
    (overview.page, "Overview", "overview", ":material/dashboard:"),
    (queue.page, "Queue", "queue", ":material/playlist_add_check:"),
    (episodes.page, "Episodes", "episodes", ":material/movie:"),
    (quality.page, "Quality", "quality", ":material/fact_check:"),
    (value_curves.page, "Value curves", "value_curves", ":material/show_chart:"),
    (trigger_labels.page, "Trigger labels", "trigger_labels", ":material/flag:"),
    (retrieval_pairs.page, "Retrieval pairs", "retrieval_pairs", ":material/compare:"),
    (decisions.page, "Decisions", "decisions", ":material/history:"),
    (live.page, "Live", "live", ":material/sensors:"),
)

BENCHMARK = (benchmark.page, "Benchmark", "benchmark", ":material/leaderboard:")

# Drawn here: a named icon would be fetched from the network.
ICON = (
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32' fill='none' stroke='%230072B2' "
    "stroke-width='5' stroke-linecap='round' stroke-linejoin='round'><path d='M8 28V8h16v20M16 8V3'/></svg>"
)
SIDEBAR_PX = 230
STYLE = """<style>
.stAppHeader {height: 2.4rem; min-height: 2.4rem; background: transparent}
.stMainBlockContainer {padding: 2rem 1.4rem 2rem; max-width: 1700px}
.stMainBlockContainer h3 {padding: 0 0 .6rem; font-size: 1.35rem}
.stMainBlockContainer [data-testid="stVerticalBlock"] {gap: .7rem}
.stMainBlockContainer .stButton button {padding: .15rem .4rem; min-height: 2.1rem}
[data-testid="stMetricValue"] {font-size: 1.6rem}
</style>"""


def main() -> None:
    """Draw the frame around every page, then the page."""
    st.set_page_config(page_title="Regrasp", page_icon=ICON, layout="wide", initial_sidebar_state=SIDEBAR_PX)
    st.html(STYLE)
    desk.adopt_link()
    pages = [
        st.Page(desk.explained(body), title=title, url_path=path, icon=icon, default=path == "overview")
        for body, title, path, icon in pages_of(desk.root())
    ]
    desk.explained(_framed)(st.navigation(pages))


def pages_of(root: Path) -> tuple[Any, ...]:
    """The pages of a workspace: the benchmark's only where a run of it is finished."""
    return (*PAGES, BENCHMARK) if schedules(root) else PAGES


def _framed(page: st.Page) -> None:
    """The sidebar, then the page; without a workspace only the sentence that says so."""
    desk.sidebar()
    queue.sidebar()
    _made_by(page)
    page.run()


def _made_by(page: st.Page) -> None:
    link = asset_link(page.url_path, st.session_state.task)
    if link:
        st.sidebar.link_button("The asset behind it", link, icon=":material/account_tree:", help="in the Dagster UI")


if __name__ == "__main__":
    main()
