"""From a page to the asset in the Dagster UI that made what it shows. Only an address: the app imports no Dagster."""

from __future__ import annotations

import os
from urllib.parse import quote, urlencode

UI = "http://127.0.0.1:3000"
"""where `regrasp ui` is; REGRASP_UI names another address"""
ASSETS = {
    "episodes": "episodes/decided",
    "quality": "episodes/quality",
    "value_curves": "values/model",
    "trigger_labels": "labels/stagnation",
    "retrieval_pairs": "memory/recovery",
    "queue": "labels/stagnation",
}


def asset_link(page: str, task: str) -> str | None:
    """The address of the asset behind a page, on this task; None where there is none."""
    asset = ASSETS.get(page)
    if asset is None or not task:
        return None
    partition = "" if page == "quality" else "?" + urlencode({"view": "partitions", "partition": task})
    return f"{os.environ.get('REGRASP_UI', UI).rstrip('/')}/assets/{quote(asset)}{partition}"
