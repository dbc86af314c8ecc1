"""What shows a finding on quality: the array it is about, and the arm's velocity with its idle steps shaded.

Pure: an episode and the words of the quality table in, a plotly figure out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from episodes.motion import Motion, motion_of, tremble
from episodes.record import Episode
from labeling_app.palette import RISK, SOURCES, VALUE, faded
from labeling_app.rows import STRIP_PX, Row, line, runs, source_bars, span, stacked

IDLE = SOURCES[255][1]
WRENCH = ("fx", "fy", "fz", "tx", "ty", "tz")


def evidence_figure(episode: Episode, key: str, *, cursor: int) -> go.Figure:
    """The series of `key` (an array of the episode, or a camera, which has none), the velocity, and who acted."""
    rows = [
        Row(title, 110, [line(name, values, width=1.4, showlegend=False) for name, values in series.items()])
        for title, series in _series(episode, key).items()
    ]
    shapes, motion = [], motion_of(episode)
    if motion is not None:
        axis = "y" if not rows else f"y{len(rows) + 1}"
        shapes = [span(axis, start, stop, faded(IDLE, 0.45)) for idle, start, stop in runs(motion.idle) if idle]
        rows.append(_velocity(motion))
    rows.append(Row("source", STRIP_PX, source_bars(episode.action_source), range=(-0.5, 0.5)))
    return stacked(rows, len(episode), cursor=cursor, shapes=shapes)


def _velocity(motion: Motion) -> Row:
    """The axis that trembles most where it moves, raw and smoothed."""
    share = np.nan_to_num(tremble(motion)).sum(axis=0)
    axis = int(np.argmax(share))
    raw = line("velocity", motion.velocity[:, axis], colour=RISK, width=1.2)
    block = {"size": 11, "symbol": "square", "color": faded(IDLE, 0.45)}
    still = {"type": "scatter", "mode": "markers", "name": "stands still: not counted", "x": [None], "y": [None]}
    smooth = line("smoothed", motion.smooth[:, axis], colour=VALUE)
    return Row(f"{motion.names[axis]} per s", 130, [raw, smooth, {**still, "marker": block}])


def _series(episode: Episode, key: str) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Panel title -> series of the array that a finding is about."""
    if key == "wrench" and episode.wrench is not None:
        forces = {name: episode.wrench[:, n] for n, name in enumerate(WRENCH)}
        return {
            "force N": {name: forces[name] for name in WRENCH[:3]},
            "torque Nm": {name: forces[name] for name in WRENCH[3:]},
        }
    if key == "time_s":
        return {"step s": {"time to the next step": np.diff(episode.time_s)}}
    if key == "executed_action" and episode.executed_action is not None:
        return {"action": {f"action {n}": column for n, column in enumerate(episode.executed_action.T)}}
    if key == "ee_pose" and episode.ee_pose is not None:
        return {"|q|": {"length of the quaternion": np.linalg.norm(episode.ee_pose[:, 3:], axis=1)}}
    return {}
