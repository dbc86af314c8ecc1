"""`materialize`, `ui` and `app`: the graph, its user interface, the labeling app."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tyro.conf import Positional

from pipelines.resources import ROOT_VARIABLE


@dataclass(frozen=True, kw_only=True)
class Materialize:
    """Bring everything stale up to date, and say why it was stale."""

    assets: Positional[tuple[str, ...]] = ()
    """only these, such as values/model, and what they read"""
    task: str | None = None
    """only this task"""
    only: bool = False
    """leave what the named assets read as it is"""

    def run(self, root: Path) -> int:
        from episodes.workspace import Workspace
        from pipelines.materialize import materialize

        report = materialize(Workspace.open(root), self.assets, task=self.task, only=self.only)
        for key, seconds in report.seconds.items():
            print(f"  {key:24s} {seconds:7.1f} s")
        return 0


@dataclass(frozen=True, kw_only=True)
class Ui:
    """Open the asset graph in the Dagster UI, on this machine only."""

    port: int = 3000
    """of the web server"""

    def run(self, root: Path) -> int:
        from assets.snapshot import Snapshot
        from episodes.workspace import Workspace
        from pipelines.resources import dagster_home, dagster_instance, register_partitions

        workspace = Workspace.open(root)
        with dagster_instance(workspace) as instance:
            register_partitions(instance, Snapshot.take(workspace))
        home = str(dagster_home(workspace))
        print(f"the asset graph of {root} is at http://127.0.0.1:{self.port}; Ctrl-C ends it")
        command = ["-m", "dagster", "dev", "-m", "pipelines.definitions", "-h", "127.0.0.1", "-p", str(self.port)]
        environment = {**os.environ, "DAGSTER_HOME": home, ROOT_VARIABLE: str(root.resolve())}
        return subprocess.run([sys.executable, *command], env=environment, cwd=home, check=False).returncode


@dataclass(frozen=True, kw_only=True)
class App:
    """Open the labeling app in the browser, on this machine only."""

    port: int = 8501
    """of the web server"""

    def run(self, root: Path) -> int:
        from episodes.workspace import Workspace

        Workspace.open(root)
        # By name: the app and the graph import nothing of each other, and here only its command line is asked for.
        command = import_module("labeling_app").command(root, self.port)
        print(f"the labeling app on {root} is at http://127.0.0.1:{self.port}; Ctrl-C ends it")
        return subprocess.run(command, check=False).returncode
