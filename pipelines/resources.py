"""Where the workspace is, and the Dagster home in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from episodes.workspace import Workspace, atomic_write

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from assets.snapshot import Snapshot

ROOT_VARIABLE = "REGRASP_ROOT"

DAGSTER_YAML = b"""\
telemetry:
  enabled: false
run_coordinator:
  module: dagster._core.run_coordinator
  class: DefaultRunCoordinator
"""
"""runs start at once, in their own process, without a queue"""


def workspace_root() -> Path:
    """`REGRASP_ROOT`, or `./workspace`."""
    return Path(os.environ.get(ROOT_VARIABLE) or "workspace")


def dagster_home(workspace: Workspace) -> Path:
    """`<root>/dagster`, with its `dagster.yaml`; absolute, as Dagster asks for it."""
    config = workspace.dagster / "dagster.yaml"
    if not config.exists():
        atomic_write(config, DAGSTER_YAML)
    return workspace.dagster.resolve()


def dagster_instance(workspace: Workspace) -> DagsterInstance:
    """The instance whose storage is in the workspace."""
    from dagster import DagsterInstance

    return DagsterInstance.from_config(str(dagster_home(workspace)))


def register_partitions(instance: DagsterInstance, snapshot: Snapshot) -> None:
    """Tell Dagster which sessions and tasks there are now."""
    for kind in ("session", "task"):
        there, known = set(snapshot.partitions(kind)), set(instance.get_dynamic_partitions(kind))
        if there - known:
            instance.add_dynamic_partitions(kind, sorted(there - known))
        for gone in sorted(known - there):
            instance.delete_dynamic_partition(kind, gone)
