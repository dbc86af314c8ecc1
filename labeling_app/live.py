"""What the live page reads: the status that a running robot writes, and the newest frame of each of its cameras.

Only read, and never waited for: the page is not in the command path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from episodes.errors import DataRefused
from episodes.record import ActionSource
from episodes.slug import is_slug
from labeling_app.palette import CURSOR, RISK, SCORE, SOURCES, TRIGGER, VALUE, faded
from labeling_app.rows import STRIP_PX, Row, Trace, line, runs, source_bars, span, stacked
from models.risk import value_risk

Numbers = npt.NDArray[np.float64]
SILENT_S = 3.0
"""a running episode that says nothing for this long has lost its program"""


@dataclass(frozen=True, slots=True)
class LiveView:
    """One moment of a run."""

    status: Mapping[str, Any]
    frames: Mapping[str, bytes]
    """camera -> JPEG"""

    @property
    def running(self) -> bool:
        return bool(self.status["state"] == "running")

    def silent_s(self, now_s: float) -> float:
        """How long a running episode has said nothing; 0 where that is no wonder. `now_s` is the wall clock's."""
        age_s = now_s - float(self.status["written_at_s"])
        return age_s if self.running and age_s > SILENT_S else 0.0

    @property
    def source(self) -> npt.NDArray[np.uint8]:
        """(T,) who acted."""
        return np.asarray(self.status["trace"]["source"], np.uint8)

    def trace(self, name: str) -> Numbers:
        """(T,) `value`, `alarm` or `force`; NaN where nobody said."""
        return np.asarray([np.nan if x is None else x for x in self.status["trace"][name]], np.float64)


def read_live(root: Path) -> LiveView | None:
    """The newest; None where no robot ran in this workspace."""
    path = root / "live" / "status.json"
    try:
        status = json.loads(path.read_bytes())
        cameras = [str(name) for name in status.get("cameras", [])]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError) as error:
        raise DataRefused(f"{path} is damaged ({error}); the next episode writes it anew") from error
    found = {name: path.with_name(f"{name}.jpg") for name in cameras if is_slug(name)}
    return LiveView(status, {name: frame.read_bytes() for name, frame in found.items() if frame.is_file()})


def live_risk(value: Numbers, source: npt.NDArray[np.uint8]) -> Numbers:
    """(T,) R of the values, anew at every change of source as the loop resets it; NaN where there is no value."""
    risk = np.full(len(value), np.nan)
    known = np.isfinite(value)
    for kind, start, stop in runs(np.where(known, source.astype(int), -1)):
        if kind >= 0:
            risk[start:stop] = value_risk(value[start:stop])
    return risk


def live_figure(view: LiveView) -> go.Figure:
    """Value with what happened, risk, alarm, force, and who acted, over the steps so far."""
    source, value, force = view.source, view.trace("value"), view.trace("force")
    rows = []
    if np.isfinite(value).any():
        shown = [line("value V", value, colour=VALUE), *_marks(view.status["events"], value)]
        rows.append(Row("value", 190, shown, range=(-0.05, 1.08)))
        rows.append(Row("risk R", 70, [_plain("risk R", live_risk(value, source), RISK)]))
        fires = _plain("fires", np.ones(len(source)), TRIGGER, dash="dot")
        rows.append(Row("alarm", 70, [_plain("alarm", view.trace("alarm"), TRIGGER), fires]))
    rows.append(Row("|force| N", 90, [_plain("|force|", force, SCORE)]))
    rows.append(Row("source", STRIP_PX, source_bars(source), range=(-0.5, 0.5)))
    helped = (ActionSource.HUMAN, ActionSource.RECOVERY)
    bands = [
        span("y", start, stop, faded(SOURCES[kind][1], 0.2)) for kind, start, stop in runs(source) if kind in helped
    ]
    return stacked(rows, max(len(source), 10), shapes=bands)


def _plain(name: str, values: Numbers, colour: str, *, dash: str = "solid") -> Trace:
    """A line that its axis names."""
    return line(name, values, colour=colour, width=1.6, dash=dash, showlegend=False)


def _marks(events: list[Mapping[str, Any]], value: Numbers) -> list[Trace]:
    """Triggers and faults at the value they came at."""
    marks = []
    for kind, symbol, colour in (("trigger", "triangle-down", TRIGGER), ("fault", "x", CURSOR)):
        steps = [min(event["t"], len(value) - 1) for event in events if event["kind"] == kind]
        if steps:
            marker = {"size": 10, "symbol": symbol, "color": colour}
            place = {"x": steps, "y": value[steps]}
            marks.append({"type": "scatter", "mode": "markers", "name": kind, **place, "marker": marker})
    return marks
