"""Recorders killed at random points: no committed episode is lost, and nothing lies about."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("runs", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_a_killed_recorder_loses_nothing_that_it_told_of(tmp_path: Path, runs: int) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent}"}
    command = [sys.executable, HERE / "killed_recorders.py", tmp_path / "workspace", str(runs), "7"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{runs} runs, ")
    assert " 0 episodes" not in done.stdout
