"""The live page: newest state, whole files, and no harm where they cannot be written."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from robot_fakes import FakeMonitor, FakePolicy, FakeRecorder, FakeRobot

from episodes.images import decode
from episodes.record import Outcome
from robot_io.live import LiveWriter
from robot_io.loop import run_episode
from robot_io.protocols import HumanInput


class Watching:
    """Passes on to a `LiveWriter` and keeps what the page said after each step."""

    def __init__(self, writer: LiveWriter, root: Path) -> None:
        self.writer, self.root, self.said = writer, root, []

    def step(self, *given: Any) -> None:
        self.writer.step(*given)
        self.said.append(json.loads((self.root / "live" / "status.json").read_text())["t"])

    def event(self, *given: Any) -> None:
        self.writer.event(*given)

    def end(self, summary: Any) -> None:
        self.writer.end(summary)


def run(live: Any, robot: FakeRobot | None = None) -> None:
    monitor = FakeMonitor(values=[0.25, float("nan")])
    run_episode(
        robot or FakeRobot(),
        FakePolicy(),
        FakeRecorder(),
        monitor=monitor,
        max_steps=10,
        collection="rollout",
        live=live,
    )


def test_the_page_is_written_at_its_own_rate_and_at_the_end(tmp_path: Path) -> None:
    ticks = iter(np.arange(100) / 8)
    live = Watching(LiveWriter(tmp_path, "s1", every_s=0.25, now=lambda: float(next(ticks))), tmp_path)
    run(live)
    assert live.said == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8]
    status = json.loads((tmp_path / "live" / "status.json").read_text())
    assert (status["session"], status["state"], status["end_reason"]) == ("s1", "ended", "timeout")
    assert [path.name for path in sorted((tmp_path / "live").iterdir())] == ["status.json", "third.jpg"]


def test_the_page_holds_the_newest_frame_and_value(tmp_path: Path) -> None:
    live = LiveWriter(tmp_path, "s1", every_s=0.0)
    status: list[dict[str, Any]] = []

    class Reading(Watching):
        def step(self, *given: Any) -> None:
            self.writer.step(*given)
            status.append(json.loads((self.root / "live" / "status.json").read_text()))

    run(Reading(live, tmp_path))
    assert [entry["value"] for entry in status[:2]] == [0.25, None]
    assert (status[0]["source"], status[0]["threshold"], status[0]["trigger"]) == ("policy", 0.5, False)
    frame = decode((tmp_path / "live" / "third.jpg").read_bytes(), "jpeg")
    assert abs(int(frame.mean()) - 9) <= 1


def test_the_page_holds_the_episode_so_far_and_no_other(tmp_path: Path) -> None:
    live = LiveWriter(tmp_path, "s1", every_s=0.0)
    for _ in range(2):
        run(live)
    status = json.loads((tmp_path / "live" / "status.json").read_text())
    assert status["trace"]["source"] == [0] * 10
    assert status["trace"]["value"][:2] == [0.25, None]
    assert status["trace"]["alarm"] == [2.0] * 10
    assert status["trace"]["force"] == [0.0] * 10
    assert status["events"] == []


def test_the_page_holds_what_happened(tmp_path: Path) -> None:
    run(LiveWriter(tmp_path, "s1", every_s=0.0), FakeRobot(forces_n=[0.0, 0.0, 150.0]))
    status = json.loads((tmp_path / "live" / "status.json").read_text())
    (fault,) = status["events"]
    assert (fault["kind"], fault["t"]) == ("fault", 2)
    assert "force 150 N above" in fault["reason"]


def test_a_page_that_cannot_be_written_does_not_stop_the_robot(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "live").write_text("a file where the directory should be")
    with caplog.at_level(logging.WARNING):
        run(LiveWriter(tmp_path, "s1", every_s=0.0))
    assert caplog.text.count("the live page is not written") == 1


def test_the_page_says_that_a_run_broke_off(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cable"):
        run(LiveWriter(tmp_path, "s1"), FakeRobot(raises_at=2))
    status = json.loads((tmp_path / "live" / "status.json").read_text())
    assert (status["state"], status["end_reason"], status["fault"]) == ("ended", "fault", "OSError: the cable is out")


def test_while_the_person_has_the_last_word_the_page_says_how_it_ended(tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []

    def looking(end: Any) -> HumanInput:
        said.append(json.loads((tmp_path / "live" / "status.json").read_text()))
        return HumanInput(outcome=Outcome.SUCCESS)

    live = LiveWriter(tmp_path, "s1")
    run_episode(FakeRobot(), FakePolicy(), FakeRecorder(), max_steps=3, collection="rollout", live=live, review=looking)
    said.append(json.loads((tmp_path / "live" / "status.json").read_text()))
    assert [(each["state"], each["success"]) for each in said] == [("ended", "unknown"), ("ended", "success")]
    assert [each["episode_id"] is None for each in said] == [True, False]
