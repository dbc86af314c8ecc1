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
nux:
  enabled: false
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
run_coordinator:
  module: dagster._core.run_coordinator
  class: DefaultRunCoordinator
"""
"""runs start at once, without a queue; what they print is not caught, which would cost four processes a run"""


def workspace_root() -> Path:
    """`REGRASP_ROOT`, or `./workspace`."""
    return Path(os.environ.get(ROOT_VARIABLE) or "workspace")


def dagster_home(workspace: Workspace) -> Path:
    """`<root>/dagster`, with its `dagster.yaml`; absolute, as Dagster asks for it."""
    config = workspace.dagster / "dagster.yaml"
    if not config.exists() or config.read_bytes() != DAGSTER_YAML:
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
