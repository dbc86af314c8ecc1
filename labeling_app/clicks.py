"""Clicks on a figure whose dragging draws boxes: Streamlit reports no clicks of such a figure.

A component without a face listens to plotly's own click event on the one figure of the page and hands over where it
was: the step, and the custom data of the bar that was hit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

_LISTEN = """
export default function ({ setTriggerValue }) {
  const tell = (event) => {
    const bar = event.points.find((point) => point.customdata !== undefined);
    setTriggerValue("clicked", { x: event.points[0].x, customdata: bar ? String(bar.customdata) : "" });
  };
  let figure = null;
  const release = () => {
    if (figure && figure.removeListener) figure.removeListener("plotly_click", tell);
  };
  const attach = () => {
    const found = document.querySelector(".js-plotly-plot");
    if (!found || !found.on || found === figure) return;
    release();
    figure = found;
    figure.on("plotly_click", tell);
  };
  attach();
  const timer = setInterval(attach, 200);
  return () => {
    clearInterval(timer);
    release();
  };
}
"""


@st.cache_resource(show_spinner=False)
def _component() -> Callable[..., Any]:
    return st.components.v2.component("figure_clicks", js=_LISTEN)


def on_click(key: str, act: Callable[[float, str], None]) -> None:
    """Call `act(x, customdata)` after a click on the page's figure."""

    def told() -> None:
        clicked = st.session_state[key].clicked
        if clicked:
            act(float(clicked["x"]), str(clicked["customdata"]))

    _component()(key=key, on_clicked_change=told)
