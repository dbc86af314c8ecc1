"""The labeling app: thin Streamlit pages over pure figure builders, where people check what the pipeline computed."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def command(root: str | os.PathLike[str], port: int, *, address: str = "127.0.0.1") -> list[str]:
    """The argument list that starts the app on a workspace, for this machine alone unless `address` says otherwise."""
    settings = {
        "server.address": address,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "theme.light.primaryColor": "#0072B2",
        "theme.dark.primaryColor": "#4DA3D9",
    }
    flags = [part for name, value in settings.items() for part in (f"--{name}", value)]
    script = str(Path(__file__).parent / "app.py")
    return [sys.executable, "-m", "streamlit", "run", script, *flags, "--", "--root", str(root)]
