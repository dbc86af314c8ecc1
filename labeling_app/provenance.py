"""What stood behind a decision: which models and parameters made what was on the screen, and why it was there.

Every decision of the app holds all of `REQUIRED`, whatever page it was made on.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

from labeling_app.data import LABELS, MEMORY, Library
from labeling_app.ranking import Place

REQUIRED = ("app", "page", "task", "value_model", "miner", "labels", "memory", "frame", "frame_range", "why")
"""version of Regrasp; page; task; hash of the value model; the miner's parameters; content hashes of the labels and of
the memory's index; the step at the cursor; the steps [start, stop) of the episode; why the item was looked at"""


def provenance(
    library: Library, task: str, episode: str, t: int, place: Place | None, shown: Mapping[str, Any]
) -> dict[str, Any]:
    """What the page says was `shown`, completed; `place` is where the queue had the item, where it brought it."""
    made = {
        "app": _version(),
        "page": "",
        "task": task,
        "value_model": library.value_model(task),
        "miner": library.miner(task),
        "labels": library.manifest(LABELS, task).get("data_version", ""),
        "memory": library.manifest(MEMORY, task).get("data_version", ""),
        "frame": t,
        "frame_range": [0, library.length(episode)],
        "why": "chosen from the list",
    }
    queued = {} if place is None else {"why": place.why, "queued": "random" if place.random else "ranked"}
    return {**made, **shown, **queued}


@cache
def _version() -> str:
    return version("regrasp")
