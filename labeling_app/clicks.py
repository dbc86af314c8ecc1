"""Clicks on a figure whose dragging draws boxes, and its edges that can be pulled: Streamlit reports neither.

A component without a face listens on the one figure of the page that can be brushed. A click hands over where it was:
the step, and the custom data of the bar that was hit. Where the page gives an interval, its two edges can be caught
within `GRAB_PX` and pulled: plotly never sees that drag, and the page is told which edge went to which step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from labeling_app.palette import DRAFT

GRAB_PX = 7
_LISTEN = """
export default function ({ data, setTriggerValue }) {
  const tell = (event) => {
    const bar = event.points.find((point) => point.customdata !== undefined);
    setTriggerValue("clicked", { x: event.points[0].x, customdata: bar ? String(bar.customdata) : "" });
  };
  let figure = null, pulled = null, line = null;
  const place = (event) => {
    const axis = figure._fullLayout.xaxis, box = figure.getBoundingClientRect();
    const left = box.left + axis._offset;
    return { axis, left, step: axis.p2c(event.clientX - left), top: box.top, height: box.height };
  };
  const caught = (event) => {
    if (!data.edges || !figure || !figure._fullLayout) return null;
    const { axis, left } = place(event);
    const gaps = data.edges.map((edge) => Math.abs(left + axis.c2p(edge) - event.clientX));
    const nearest = gaps[0] <= gaps[1] ? 0 : 1;
    return gaps[nearest] <= GRAB_PX ? nearest : null;
  };
  const down = (event) => {
    pulled = event.button === 0 ? caught(event) : null;
    if (pulled === null) return;
    event.stopPropagation();
    event.preventDefault();
    line = document.createElement("div");
    line.style.cssText = "position:fixed;width:2px;background:DRAFT;pointer-events:none;z-index:9999";
    document.body.appendChild(line);
    move(event);
  };
  const move = (event) => {
    if (!figure) return;
    if (pulled === null) {
      const over = figure.contains(event.target) && caught(event) !== null;
      figure.querySelectorAll(".nsewdrag").forEach((each) => (each.style.cursor = over ? "ew-resize" : ""));
      return;
    }
    const { top, height } = place(event);
    Object.assign(line.style, { left: `${event.clientX - 1}px`, top: `${top}px`, height: `${height}px` });
  };
  const up = (event) => {
    if (pulled === null) return;
    event.stopPropagation();
    setTriggerValue("pulled", { edge: pulled, x: place(event).step });
    line.remove();
    pulled = line = null;
  };
  const release = () => {
    if (!figure) return;
    if (figure.removeListener) figure.removeListener("plotly_click", tell);
    figure.removeEventListener("mousedown", down, true);
  };
  const attach = () => {
    const all = [...document.querySelectorAll(".js-plotly-plot")];
    const found = all.find((each) => each._fullLayout && each._fullLayout.dragmode === "select");
    if (!found || !found.on || found === figure) return;
    release();
    figure = found;
    figure.on("plotly_click", tell);
    figure.addEventListener("mousedown", down, true);
  };
  attach();
  const timer = setInterval(attach, 200);
  window.addEventListener("mousemove", move, true);
  window.addEventListener("mouseup", up, true);
  return () => {
    clearInterval(timer);
    window.removeEventListener("mousemove", move, true);
    window.removeEventListener("mouseup", up, true);
    if (line) line.remove();
    release();
  };
}
""".replace("GRAB_PX", str(GRAB_PX)).replace("DRAFT", DRAFT)


@st.cache_resource(show_spinner=False)
def _component() -> Callable[..., Any]:
    return st.components.v2.component("figure_clicks", js=_LISTEN)


def on_click(
    key: str,
    act: Callable[[float, str], None],
    *,
    edges: tuple[float, float] | None = None,
    pull: Callable[[int, float], None] | None = None,
) -> None:
    """Call `act(x, customdata)` after a click on the page's figure, `pull(edge, x)` after one of `edges` was pulled."""

    def clicked() -> None:
        if found := st.session_state[key].clicked:
            act(float(found["x"]), str(found["customdata"]))

    def pulled() -> None:
        found = st.session_state[key].pulled
        if found and pull is not None:
            pull(int(found["edge"]), float(found["x"]))

    data = {"edges": None if edges is None else list(edges)}
    _component()(key=key, data=data, on_clicked_change=clicked, on_pulled_change=pulled)
