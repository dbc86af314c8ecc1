"""What every test stands on: one thread, no model hub, no telemetry, nothing of the user's environment.

The environment is set before anything imports NumPy or torch, and child processes inherit it. MUJOCO_GL stays
as it is: the renderer tries EGL and then OSMesa by itself.
"""

from __future__ import annotations

import os
import shutil

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
