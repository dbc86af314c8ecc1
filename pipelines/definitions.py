"""The code location of Dagster: every asset, its checks, the resource, the executor, the sensor."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import dagster as dg

from assets import ablations, benchmark, episodes, labels, memory, models, quality, releases, reports, triggers, values
from assets.making import Maker
from episodes.workspace import workspace_lock
from pipelines.resources import workspace_root
from pipelines.sensors import what_is_stale

ASSETS = dg.load_assets_from_modules(
    [episodes, quality, values, labels, models, triggers, memory, reports, releases, ablations, benchmark]
)


def definitions(maker: Maker) -> dg.Definitions:
    """The graph over one workspace."""
    return dg.Definitions(
        assets=ASSETS,
        resources={"maker": maker},
        executor=dg.in_process_executor,
        sensors=[what_is_stale],
    )


def maker_beside_others(root: Path) -> Maker:
    """Of the UI's runs: refused where a command has the workspace to itself."""
    return Maker(root, lock=partial(workspace_lock, root))


defs = definitions(maker_beside_others(workspace_root()))
