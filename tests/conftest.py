"""What every test stands on: one thread, no model hub, no telemetry, nothing of the user's environment.

The environment is set before anything imports NumPy or torch, and child processes inherit it. MUJOCO_GL stays
as it is: the renderer tries EGL and then OSMesa by itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from playwright.sync_api import Browser

os.environ.update(
    {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    }
)
for name in ("DAGSTER_HOME", "REGRASP_ROOT", "REGRASP_AUDITS"):
    os.environ.pop(name, None)

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# Continuous integration repeats the same examples; a developer's run looks for new ones.
settings.register_profile("regrasp", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("regrasp")

REPOSITORY = Path(__file__).resolve().parent.parent
RETURNED = ("without", "random", "with")
"""arms of the demo's closed loop, whose sessions came back last"""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the demo workspace run first: it is built once, by whichever worker comes first."""
    items.sort(key=lambda item: item.get_closest_marker("demo") is None)


@pytest.fixture(scope="session")
def browser() -> str:
    """Path of a Chromium to give to Playwright as `executable_path`."""
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.skip("no Chromium found: install the package chromium, or run make setup")
    return found


@pytest.fixture(scope="module")
def chromium(browser: str) -> Iterator[Browser]:
    """The browser, without anything it would ask of the network."""
    from browser_app import WAIT_MS
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=WAIT_MS)
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=quiet)
        yield chromium
        chromium.close()


class DemoRun(NamedTuple):
    """What `regrasp demo --quick` left and said."""

    root: Path
    """the workspace; read it, and change only copies"""
    report: dict[str, Any]
    printed: str


def run_demo(root: Path, report: Path, *, quick: bool = True) -> str:
    """Run the demo as a person would, in a process of its own; returns what it printed."""
    command = [sys.executable, "-m", "pipelines", "demo", "--root", str(root), "--report", str(report)]
    command += ["--quick"] if quick else []
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]) -> Path:
    """The directory `name` of this test session, filled by `build` in one worker while the others wait for it."""
    own = factory.getbasetemp()
    place = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "built").exists():
            place.mkdir(exist_ok=True)
            build(place)
            (place / "built").touch()
    return place


@pytest.fixture(scope="session")
def demo_workspace(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """The one demo of the whole session; a test that uses it carries the marker `demo`."""

    def build(place: Path) -> None:
        (place / "printed").write_text(run_demo(place / "workspace", place / "report.json"))

    place = built_once(tmp_path_factory, "demo", build)
    return DemoRun(
        place / "workspace", json.loads((place / "report.json").read_text()), (place / "printed").read_text()
    )


@pytest.fixture(scope="session")
def settled_workspace(demo_workspace: DemoRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's workspace without what the closed loop brought back, which waits to be learned from: nothing stale."""

    def build(place: Path) -> None:
        root = place / "workspace"
        shutil.copytree(demo_workspace.root, root)
        for session in (root / "episodes").iterdir():
            if any(f"-{arm}-" in session.name for arm in RETURNED):
                shutil.rmtree(session)
        command = [sys.executable, "-m", "pipelines", "materialize", "--root", str(root)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    return built_once(tmp_path_factory, "settled", build) / "workspace"


@pytest.fixture
def demo_copy(demo_workspace: DemoRun, tmp_path: Path) -> Iterator[Path]:
    """A copy of the demo's workspace, to be changed; removed at the end."""
    yield from _copied(demo_workspace.root, tmp_path / "workspace")


@pytest.fixture
def settled_copy(settled_workspace: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the settled workspace, to be changed; removed at the end."""
    yield from _copied(settled_workspace, tmp_path / "workspace")


def _copied(root: Path, copy: Path) -> Iterator[Path]:
    shutil.copytree(root, copy)
    yield copy
    shutil.rmtree(copy, ignore_errors=True)
