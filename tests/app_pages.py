"""The pages of the app driven through Streamlit's own test runner: opened on a workspace, pressed, read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import streamlit
from app_workspace import STUCK, TASK
from streamlit.testing.v1 import AppTest

from audits.log import AuditLog
from labeling_app.data import Library

SCRIPT = """
from labeling_app import desk
from labeling_app.screens import {screen}

def body():
    desk.adopt_link()
    desk.sidebar()
    {screen}.page()

desk.explained(body)()
"""


def served(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace that the pages open from now on."""
    monkeypatch.setenv("REGRASP_ROOT", str(root))
    monkeypatch.setattr(sys, "argv", ["app"])
    streamlit.cache_resource.clear()
    return root


def opened(screen: str, **query: str) -> AppTest:
    """The page as Ada sees it."""
    app = AppTest.from_string(SCRIPT.format(screen=screen), default_timeout=30)
    app.session_state["name"] = "Ada"
    for name, value in query.items():
        app.query_params[name] = value
    return drawn(app.run())


def drawn(app: AppTest) -> AppTest:
    assert [error.message for error in app.exception] == []
    return app


def press(app: AppTest, shortcut: str) -> AppTest:
    return drawn(app.button(key=f"key-{shortcut}").click().run())


def texts(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.info, *app.error, *app.warning, *app.code]
    return "\n".join(str(part.value) for part in parts)


def log_of(root: Path) -> AuditLog:
    return AuditLog(root / "audits.sqlite")


def events(root: Path) -> list[tuple[str, dict[str, object]]]:
    return [(event.kind, dict(event.value)) for event in log_of(root).events()]


def stuck_episode(root: Path) -> str:
    """The first episode with a stall."""
    labels = Library(root).labels(TASK)
    assert labels is not None
    return str(labels.filter(labels["start"] == STUCK[0])["episode_id"].sort()[0])
