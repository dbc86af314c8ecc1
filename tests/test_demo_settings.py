"""`regrasp demo` sets what a fresh workspace lacks and leaves alone what somebody set."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from assets.settings import read_settings, write_settings
from episodes.workspace import Workspace
from pipelines import demo


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a demo that does nothing else prints."""
    monkeypatch.setattr(demo.Demo, "run", lambda self: None)
    monkeypatch.setattr(demo, "print_scoreboard", lambda board, console: None)
    return io.StringIO()


def begun(root: Path, printed: io.StringIO, *, quick: bool) -> str:
    printed.truncate(printed.seek(0))
    demo.run(root, quick=quick, console=Console(file=printed, width=400))
    return printed.getvalue()


def test_a_fresh_workspace_gets_the_settings_of_its_plan_and_keeps_them(tmp_path: Path, printed: io.StringIO) -> None:
    for _ in range(2):  # begun, and gone on with
        assert "own settings are used" not in begun(tmp_path, printed, quick=True)
        assert read_settings(Workspace(tmp_path)) == demo.QUICK.settings
    assert "the workspace's own settings are used" in begun(tmp_path, printed, quick=False)
    assert read_settings(Workspace(tmp_path)) == demo.QUICK.settings


def test_what_a_person_set_is_used_and_said(tmp_path: Path, printed: io.StringIO) -> None:
    mine = {"value": {"steps": 7}}
    write_settings(Workspace.open(tmp_path, create=True), mine)
    assert "the workspace's own settings are used" in begun(tmp_path, printed, quick=True)
    assert read_settings(Workspace(tmp_path)) == mine
