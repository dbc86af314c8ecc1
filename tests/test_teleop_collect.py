"""`collect` with a SpaceMouse: the command in a terminal of its own, the genuine stack over a stand-in HID library."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import closing
from fcntl import ioctl
from pathlib import Path
from select import select

import numpy as np
import pytest
from hid_stand_in import LEFT, STILL, Puck, built

from episodes.record import ActionSource, Episode, Outcome
from episodes.store import EpisodeStore
from episodes.validation import validate

REPOSITORY = Path(__file__).parent.parent
DOWN = (0, 0, 250, 0, 0, 0)
PATIENCE_S = 120.0
"""with a command that takes seconds"""
DRIVEN_S = 0.5
"""a person's time; nothing is judged by it"""


class Desk:
    """The command in its terminal, and whoever sits there."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._far, near = pty.openpty()
        self.told, self._seen = "", 0
        self._end_s = time.monotonic() + PATIENCE_S
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipelines", *arguments],
            cwd=REPOSITORY,
            env=environment,
            stdin=near,
            stdout=near,
            stderr=near,
            start_new_session=True,
            preexec_fn=lambda: ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(near)

    def until(self, text: str) -> None:
        """Read on until the terminal shows this, after what was waited for before."""
        while (found := self.told.find(text, self._seen)) < 0:
            self.told += self._read(text)
        self._seen = found + len(text)

    def press(self, keys: str) -> None:
        os.write(self._far, keys.encode())

    def wait(self) -> int:
        try:
            while True:
                self.told += self._read("the end")
        except AssertionError:
            return self._process.wait(60)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._far)

    def _read(self, wanted: str) -> str:
        left_s = self._end_s - time.monotonic()
        if left_s <= 0.0 or not select([self._far], [], [], left_s)[0]:
            raise TimeoutError(f"{wanted!r} does not come: {self.told[-300:]}")
        try:
            return os.read(self._far, 4096).decode(errors="replace")
        except OSError:
            raise AssertionError(f"it ended before {wanted!r}: {self.told[-300:]}") from None


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = built(tmp_path_factory.mktemp("hid"))
    if folder is None:
        pytest.skip("no C compiler for the stand-in library")
    return folder


@pytest.fixture
def puck(library: Path, tmp_path: Path) -> Iterator[Puck]:
    puck = Puck(tmp_path / "puck")
    puck.environment |= {"LD_LIBRARY_PATH": str(library), "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    with closing(puck):
        yield puck


def recorded(root: Path) -> list[Episode]:
    store = EpisodeStore(root)
    return sorted((store.read(name) for name in store.ids()), key=lambda each: each.collected_by["seed"])


def test_three_demonstrations_with_a_spacemouse_are_recorded_and_judged_by_keys(puck: Puck, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    collect = ["collect", "--teleop", "spacemouse", "--episodes", "3", "--root", str(root)]
    with closing(Desk(collect, puck.environment)) as desk:
        desk.until("left button")
        puck.push(DOWN, LEFT)
        for keys, last in (("+S", "\r"), ("F", "S"), ("S", "D")):
            desk.until("recording")
            time.sleep(DRIVEN_S)
            desk.press(keys)
            desk.until("ended")
            desk.press(last)
        assert desk.wait() == 0
    first, second = recorded(root)
    assert (first.success, second.success) == (Outcome.SUCCESS, Outcome.SUCCESS)
    assert [second.success_derivation, second.end_reason] == ["operator key after the end", "failure"]
    assert "2 episodes recorded" in desk.told
    assert len(list((root / "discarded").rglob("*.h5"))) == 1
    for episode in (first, second):
        assert validate(episode) == []
        human = episode.action_source == ActionSource.HUMAN
        assert human.any()
        assert np.allclose(episode.raw_action[human, 2], -250 / 350)
        assert np.all(episode.executed_action[human, 2] < -0.4)
    assert any(event["kind"] == "reward" for event in first.events)


def test_a_spacemouse_that_is_unplugged_stops_the_arm(puck: Puck, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    with closing(Desk(["collect", "--teleop", "spacemouse", "--root", str(root)], puck.environment)) as desk:
        desk.until("left button")
        puck.push(STILL, LEFT)
        desk.until("recording")
        puck.close()
        desk.until("ended")
        desk.press("\r")
        assert desk.wait() == 6
    (episode,) = recorded(root)
    assert (episode.end_reason, episode.complete) == ("fault", True)
    assert "the SpaceMouse is gone" in episode.success_derivation
