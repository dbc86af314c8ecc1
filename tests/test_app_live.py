"""The live page: what a running robot shows, how an episode ended, and what to do where none ran."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_pages import SCRIPT, drawn, served, texts
from robot_fakes import FakeMonitor, FakePolicy, FakeRecorder, FakeRobot, FakeTeleop
from streamlit.testing.v1 import AppTest

from episodes.workspace import Workspace
from labeling_app.live import live_figure, live_risk, read_live
from models.risk import value_risk
from robot_io.live import LiveWriter
from robot_io.loop import run_episode


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Workspace.open(tmp_path, create=True)
    return served(tmp_path, monkeypatch)


def ran(root: Path, robot: FakeRobot | None = None, *, monitor: FakeMonitor | None = None) -> None:
    """An episode with a takeover; the page as it was left."""
    run_episode(
        robot or FakeRobot(),
        FakePolicy(),
        FakeRecorder(),
        teleop=FakeTeleop(drives=range(4, 6)),
        monitor=monitor,
        max_steps=10,
        collection="takeover",
        live=LiveWriter(root, "s1", every_s=0.0),
    )


def rewritten(root: Path, **changes: Any) -> None:
    path = root / "live" / "status.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def shown() -> AppTest:
    return drawn(AppTest.from_string(SCRIPT.format(screen="live"), default_timeout=30).run())


def said(app: AppTest) -> str:
    return "\n".join([texts(app), *(part.value for part in app.success)]).replace("\\", "")


def test_where_no_robot_ran_it_says_what_to_run(root: Path) -> None:
    assert "regrasp collect" in said(shown())


def test_a_running_episode_with_its_camera_and_curves(root: Path) -> None:
    ran(root, monitor=FakeMonitor(values=np.linspace(0, 1, 10)))
    rewritten(root, state="running", t=9, time_s=0.9, source="policy", written_at_s=4e9)
    app = shown()
    assert "Session s1 · step 9 · 0.9 s · **policy** acts" in said(app)
    assert list(app.dataframe[0].value["what"]) == ["hand back", "takeover"]
    view = read_live(root)
    assert view is not None
    assert list(view.frames) == ["third"]
    assert view.source.tolist() == [0] * 4 + [2] * 2 + [0] * 4
    titles = [axis.title.text or axis.ticktext[0] for axis in live_figure(view).select_yaxes()]
    assert titles == ["value", "risk R", "alarm", "|force| N", "source"]


def test_without_a_monitor_force_and_source_are_left(root: Path) -> None:
    ran(root)
    view = read_live(root)
    assert view is not None
    assert next(axis.title.text for axis in live_figure(view).select_yaxes()) == "|force| N"


def test_a_stop_names_its_reason_and_a_program_that_is_gone_is_named(root: Path) -> None:
    ran(root, FakeRobot(forces_n=[0.0, 150.0]))
    assert "was stopped: force 150 N above 100 N" in said(shown())
    rewritten(root, state="running", t=1, time_s=0.1, source="policy", written_at_s=1.0)
    assert "its program ended, or hangs" in said(shown())


def test_the_end_is_told(root: Path) -> None:
    ran(root, FakeRobot(succeeds_at=3))
    assert "the last episode ended after 3 steps: success, kept as 0123456789abcdef" in said(shown())


def test_a_damaged_status_is_one_sentence(root: Path) -> None:
    ran(root)
    (root / "live" / "status.json").write_text("{")
    assert "is damaged" in said(shown())


def test_only_cameras_that_can_be_and_have_a_frame_are_read(root: Path) -> None:
    ran(root)
    (root / "secret.jpg").write_bytes(b"no frame")
    (root / "live/third.jpg").write_bytes(b"a frame")
    rewritten(root, cameras=["../secret", "third", "gone"])
    view = read_live(root)
    assert view is not None
    assert view.frames == {"third": b"a frame"}


def test_risk_begins_anew_with_every_source_and_is_unknown_without_a_value() -> None:
    value = np.array([0.1, 0.2, np.nan, 0.3, 0.2, 0.1])
    risk = live_risk(value, np.array([0, 0, 0, 0, 2, 2], np.uint8))
    assert np.isnan(risk).tolist() == [False, False, True, False, False, False]
    assert np.array_equal(risk[4:], value_risk(value[4:]))
    assert np.array_equal(risk[3:4], value_risk(value[3:4]))
