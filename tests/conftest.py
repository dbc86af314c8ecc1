"""What every test stands on: one thread, no model hub, no telemetry, nothing of the user's environment.

The environment is set before anything imports NumPy or torch, and child processes inherit it. MUJOCO_GL stays
as it is: the renderer tries EGL and then OSMesa by itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.update(
    {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    }
)
for name in ("DAGSTER_HOME", "REGRASP_ROOT"):
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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the demo workspace run first and in one worker, so that it is built once."""
    for item in items:
        if item.get_closest_marker("demo"):
            item.add_marker(pytest.mark.xdist_group("demo"))
    items.sort(key=lambda item: item.get_closest_marker("demo") is None)


@pytest.fixture(scope="session")
def browser() -> str:
    """Path of a Chromium to give to Playwright as `executable_path`."""
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.skip("no Chromium found: install the package chromium, or run make setup")
    return found


class DemoRun(NamedTuple):
    """What `regrasp demo --quick` left and said."""

    root: Path
    """the workspace; read it, and change only copies"""
    report: dict[str, Any]
    printed: str


def run_demo(root: Path, report: Path) -> str:
    """Run the quick demo as a person would, in a process of its own; returns what it printed."""
    command = [sys.executable, "-m", "pipelines", "demo", "--quick", "--root", str(root), "--report", str(report)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def demo_workspace(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """The one demo of the whole session; a test that uses it carries the marker `demo`."""
    place = tmp_path_factory.mktemp("demo")
    printed = run_demo(place / "workspace", place / "report.json")
    return DemoRun(place / "workspace", json.loads((place / "report.json").read_text()), printed)


@pytest.fixture
def demo_copy(demo_workspace: DemoRun, tmp_path: Path) -> Iterator[Path]:
    """A copy of the demo's workspace, to be changed; removed at the end."""
    copy = tmp_path / "workspace"
    shutil.copytree(demo_workspace.root, copy)
    yield copy
    shutil.rmtree(copy, ignore_errors=True)


@pytest.fixture
def settled_copy(demo_copy: Path) -> Path:
    """A copy as it was before the closed loop: the demo does not train on what came back, so here nothing is stale."""
    for session in (demo_copy / "episodes").iterdir():
        if any(f"-{arm}-" in session.name for arm in RETURNED):
            shutil.rmtree(session)
    return demo_copy
