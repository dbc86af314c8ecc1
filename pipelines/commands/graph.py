"""`materialize`, `ui` and `app`: the graph, its user interface, the labeling app."""

from __future__ import annotations

import errno
import os
import socket
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from tyro.conf import Positional

from episodes.errors import UsageError
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
        from episodes.workspace import Workspace, one_at_a_time
        from pipelines.materialize import materialize

        workspace = Workspace.open(root)
        with one_at_a_time(root, "materialize"):
            report = materialize(workspace, self.assets, task=self.task, only=self.only)
        for key, seconds in report.seconds.items():
            print(f"  {key:24s} {seconds:7.1f} s")
        return 0


@dataclass(frozen=True, kw_only=True)
class Ui:
    """Open the asset graph in the Dagster UI, on this machine only."""

    port: int = 3000
    """of the web server"""

    @property
    def address(self) -> str:
        """Of the page that shows the graph; the server's root shows the runs over time."""
        return f"http://127.0.0.1:{self.port}/asset-groups"

    def run(self, root: Path) -> int:
        from assets.snapshot import Snapshot
        from episodes.workspace import Workspace
        from pipelines.resources import dagster_home, dagster_instance, register_partitions

        workspace = Workspace.open(root)
        _require_free(self.port)
        with dagster_instance(workspace) as instance:
            register_partitions(instance, Snapshot.take(workspace))
        print(f"the asset graph of {root} is at {self.address}; Ctrl-C ends it", flush=True)
        code = Path(__file__).resolve().parents[2]  # so that it works from a checkout that is not installed
        options = ["-m", "pipelines.definitions", "-d", str(code), "-h", "127.0.0.1", "-p", str(self.port)]
        environment = {"DAGSTER_HOME": str(dagster_home(workspace)), ROOT_VARIABLE: str(root.resolve())}
        _become([sys.executable, "-W", "ignore", "-m", "dagster", "dev", *options], **environment)


@dataclass(frozen=True, kw_only=True)
class App:
    """Open the labeling app in the browser, on this machine only."""

    port: int = 8501
    """of the web server"""

    def run(self, root: Path) -> int:
        from episodes.workspace import Workspace

        Workspace.open(root)
        _require_free(self.port)
        # By name: the app and the graph import nothing of each other, and here only its command line is asked for.
        command = import_module("labeling_app").command(root, self.port)
        print(f"the labeling app on {root} is at http://127.0.0.1:{self.port}; Ctrl-C ends it", flush=True)
        _become(command)


def _require_free(port: int) -> None:
    """Refuse a port that nothing can listen on before anything is started: Dagster goes on without its web server."""
    if not 0 < port < 2**16:
        raise UsageError(f"--port is {port}; a port is a number from 1 to 65535")
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "in use by another program" if taken else f"not to be had ({error.strerror})"
            raise UsageError(f"port {port} of this machine is {why}; give another with --port") from error


def _become(command: list[str], **environment: str) -> NoReturn:
    """Go on as another program, so that a signal to this process reaches it."""
    os.execve(command[0], command, {**os.environ, **environment})
