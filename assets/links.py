"""From an asset to the page of the labeling app where people check what it made."""

from __future__ import annotations

import os
from urllib.parse import urlencode

from assets.stages import Stage
from episodes.store import EpisodeStore

APP = "http://127.0.0.1:8501"
"""where `regrasp app` is; REGRASP_APP names another address, for example behind a proxy"""
PAGES = {
    "episodes/quality": "quality",
    "episodes": "episodes",
    "values": "value_curves",
    "labels": "trigger_labels",
    "triggers": "trigger_labels",
    "memory": "retrieval_pairs",
}
"""stage or group -> page"""


def link_of(store: EpisodeStore, stage: Stage, partition: str) -> str | None:
    """The address that opens the page on this partition; None where there is nothing for people to check."""
    page = PAGES.get(stage.key) or PAGES.get(stage.group)
    task = partition if stage.partition == "task" else store.task_of(partition)
    if page is None or task is None:
        return None
    asked = {"task": task} | ({"session": partition} if stage.partition == "session" and page == "episodes" else {})
    return f"{os.environ.get('REGRASP_APP', APP).rstrip('/')}/{page}?{urlencode(asked)}"
