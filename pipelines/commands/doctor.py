"""`doctor`: is everything there that Regrasp needs on this machine, and is the workspace sound?"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import track

from episodes.errors import DeviceError, RegraspError
from pipelines.commands.show import print_json

FREE_GB = 2.0
"""less free disk than this is too little for a demo"""


Check = Callable[[Path], str]


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Check this machine and the workspace, or an arm and its site; a line for each thing, with the remedy."""

    robot: Literal["sim", "ur"] = "sim"
    """what to check: this machine, or a UR arm behind its controller, which is not moved"""
    host: str = ""
    """address of the controller, for --robot ur"""
    site: Path | None = None
    """TOML file with the site's limits, for --robot ur; those of the simulated cell without one"""
    json: bool = False
    """print JSON"""

    def run(self, root: Path) -> int:
        from pipelines.commands.robot import check_host

        check_host(self.robot, self.host, None)
        checks = self._of_machine() if self.robot == "sim" else self._of_arm()
        results = [_tried(name, check, root) for name, check in checks.items()]
        if self.json:
            print_json([{"check": name, "ok": code == 0, "told": told} for name, code, told in results])
        else:
            for name, code, told in results:
                print(f"{'ok ' if code == 0 else 'BAD'} {name}: {told}")
        return max(code for _, code, _ in results)

    def _of_machine(self) -> dict[str, Check]:
        return {
            "python": _python,
            "disk": _disk,
            "rendering": _rendering,
            "browser": _browser,
            "workspace": _workspace,
            "episodes": _episodes,
            "audit log": _audit_log,
        }

    def _of_arm(self) -> dict[str, Check]:
        return {
            "client": lambda _: _client(),
            "limits": lambda _: _limits(self.site),
            "arm": lambda _: _arm(self.host),
            "cell": lambda _: _cell(self.host),
        }


def _client() -> str:
    if find_spec("rtde_control") is None:
        raise DeviceError("the UR arm needs the package ur_rtde; run `pip install ur_rtde==1.6.5`")
    return f"ur_rtde {version('ur_rtde')}"


def _limits(site: Path | None) -> str:
    from pipelines.simulated import limits_of
    from robot_io.ur.site import told

    return told(limits_of(site)).replace("\n", "\n    ")


def _arm(host: str) -> str:
    from robot_io.ur.dashboard import Dashboard
    from robot_io.ur.ready import must_be_ready

    with Dashboard(host) as dashboard:
        return f"{must_be_ready(dashboard, host)}, running, in remote control"


def _cell(host: str) -> str:
    from robot_io.ursim.cell_client import CellClient

    with closing(CellClient(host)) as cell:
        return f"gripper {cell.sense().opening:.0%} open"


class _Unwell(RegraspError):
    exit_code = 2


def _tried(name: str, check: Callable[[Path], str], root: Path) -> tuple[str, int, str]:
    try:
        return name, 0, check(root)
    except RegraspError as error:
        return name, error.exit_code, str(error)


def _python(_: Path) -> str:
    return sys.version.split()[0]


def _disk(root: Path) -> str:
    place = next(path for path in (root.resolve(), *root.resolve().parents) if path.exists())
    free_gb = shutil.disk_usage(place).free / 1e9
    if free_gb < FREE_GB:
        raise _Unwell(f"{free_gb:.1f} GB are free at {place}, {FREE_GB:g} are needed; free some or choose --root")
    return f"{free_gb:.0f} GB free"


def _rendering(_: Path) -> str:
    """One frame of the simulated cell; raises what the renderer says is missing."""
    from robot_io.sim import make_robot

    with closing(make_robot("tube_insertion")) as robot:
        frame = robot.reset(0).images["third"]
    return f"off-screen frame of {frame.shape[0]} pixels"


def _browser(_: Path) -> str:
    found = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)
    return found or "no Chromium, which only the browser tests need; install the package chromium, or run make setup"


def _workspace(root: Path) -> str:
    if not (root / "workspace.json").exists():
        return f"{root} is no workspace yet; `regrasp demo` or `regrasp import` makes one"
    from assets.snapshot import Snapshot
    from assets.versions import survey
    from episodes.workspace import Workspace

    snapshot = Snapshot.take(Workspace.open(root))
    found = survey(snapshot)
    episodes = sum(len(ids) for ids in snapshot.ids.values())
    return f"{episodes} episodes in {len(snapshot.ids)} sessions, {len(found.stale)} of {found.total} stages stale"


def _episodes(root: Path) -> str:
    """Every episode hashed again."""
    if not (root / "workspace.json").exists():
        return "none yet"
    from episodes.store import EpisodeStore

    store = EpisodeStore(root)
    for episode_id in track(store.ids(), "episodes", console=Console(stderr=True), transient=True):
        store.verify(episode_id)
    return f"{len(store.ids())}, each as it was recorded"


def _audit_log(root: Path) -> str:
    """The whole chain, and what manifests and the ledger noted of it."""
    if not (root / "workspace.json").exists():
        return "none yet"
    from assets.audit_log import verified_log
    from episodes.workspace import Workspace

    log = verified_log(Workspace.open(root))
    return f"{log.head()[0]} events, chain whole" if log else "no decisions yet"
