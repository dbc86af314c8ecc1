"""What a run shows to whoever watches: `<root>/live/status.json` and the newest frame of each camera.

The status holds the newest step, and of the episode so far its events and a trace: what each step's source, value,
alarm (score over threshold, 1 is where it fires) and force were; null where nobody said.

Written at most a few times a second, each file whole by rename and never synced (it is out of date at once). Readers
only read. A live page that cannot be written is a warning, never a reason to stop the robot.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from episodes.images import encode_jpeg
from episodes.record import Array
from episodes.slug import check_slug
from episodes.workspace import Workspace
from robot_io.protocols import Decision, EpisodeSummary, Step
from robot_io.recorder import plain

EVERY_S = 0.2
_log = logging.getLogger(__name__)


class LiveWriter:
    """Implements the loop's `Live` for one session."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        session: str,
        *,
        every_s: float = EVERY_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now` in seconds is the clock that `every_s` is measured with."""
        self._directory = Workspace(Path(root)).live
        self._session = check_slug("session", session)
        self._every_s, self._now = every_s, now
        self._next_s = float("-inf")
        self._warned = False
        self._begin()

    def step(self, t: int, step: Step, decision: Decision | None) -> None:
        """Show this step, unless another was shown less than `every_s` ago."""
        if t == 0:
            self._begin()
        self._remember(step, decision)
        now_s = self._now()
        if now_s < self._next_s:
            return
        self._next_s = now_s + self._every_s
        self._publish({"state": "running", "t": t, **_seen(step, decision)}, step.observation.images)

    def event(self, t: int, kind: str, detail: Mapping[str, Any]) -> None:
        """To be shown with the next step."""
        self._events.append({"t": t, "kind": kind, **detail})

    def end(self, summary: EpisodeSummary) -> None:
        """Show how the episode ended; the last frames stay."""
        self._next_s = float("-inf")
        shown = ("episode_id", "steps", "end_reason", "success", "fault")
        self._publish({"state": "ended", **{name: getattr(summary, name) for name in shown}}, {})

    def _begin(self) -> None:
        self._trace: dict[str, list[Any]] = {"source": [], "value": [], "alarm": [], "force": []}
        self._events: list[dict[str, Any]] = []
        self._cameras: list[str] = []

    def _remember(self, step: Step, decision: Decision | None) -> None:
        alarm = decision.score / decision.threshold if decision is not None and decision.threshold else None
        told = {
            "source": int(step.source),
            "value": None if decision is None else decision.value,
            "alarm": alarm,
            "force": float(np.linalg.norm(step.observation.wrench[:3])),
        }
        self._cameras = list(step.observation.images)
        for name, number in told.items():
            self._trace[name].append(number if number is None else round(number, 4))

    def _publish(self, status: Mapping[str, Any], images: Mapping[str, Array]) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            for camera, image in images.items():
                self._replace(f"{check_slug('camera', camera)}.jpg", encode_jpeg(image))
            content = {"session": self._session, "written_at_s": time.time(), **status}
            content |= {"cameras": self._cameras, "trace": self._trace, "events": self._events}
            self._replace("status.json", json.dumps(plain(content)).encode())
        except OSError as error:
            if not self._warned:
                _log.warning("the live page is not written: %s", error)
            self._warned = True

    def _replace(self, name: str, data: bytes) -> None:
        partial = self._directory / f".{name}.tmp"
        partial.write_bytes(data)
        os.replace(partial, self._directory / name)


def _seen(step: Step, decision: Decision | None) -> dict[str, Any]:
    seen: dict[str, Any] = {
        "time_s": step.observation.time_s,
        "source": step.source.name.lower(),
        "executed_action": step.executed_action,
        "wrench": step.observation.wrench,
        "ee_pose": step.observation.ee_pose,
    }
    if decision is not None:
        names = ("value", "score", "threshold", "trigger", "detail")
        seen |= {name: getattr(decision, name) for name in names}
    return seen
