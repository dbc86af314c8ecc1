"""What stood behind a decision: which models and parameters made what was on the screen, and why it was there.

Every decision of the app holds all of `REQUIRED`, whatever page it was made on.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from labeling_app.data import LABELS, MEMORY, Library
from labeling_app.ranking import Place

REQUIRED = ("app", "page", "task", "value_model", "miner", "labels", "memory", "frame", "frame_range", "why")
"""version of Regrasp; page; task; hash of the value model; the miner's parameters; content hashes of the labels and of
the memory's index; the step at the cursor; the steps [start, stop) of the episode; why the item was looked at"""


def behind(library: Library, task: str) -> dict[str, Any]:
    """What made that which the pages of a task show."""
    return {
        "app": _version(),
        "task": task,
        "value_model": library.value_model(task),
        "miner": library.miner(task),
        "labels": library.manifest(LABELS, task).get("data_version", ""),
        "memory": library.manifest(MEMORY, task).get("data_version", ""),
    }


def queued(place: Place | None, item: str) -> dict[str, str]:
    """Why it was looked at, where the queue brought the item."""
    if place is None or not place.brought(item):
        return {}
    return {"why": place.why, "queued": "random" if place.random else "ranked"}


@cache
def _version() -> str:
    return version("regrasp")
