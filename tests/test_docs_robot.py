"""The pages of `docs/robot`: their Python runs, their commands parse, and every key and address they name is there."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import REPOSITORY
from robot_fakes import FakeRecorder, FakeRobot, fake_observation

from episodes.record import ActionSource
from robot_io.cameras.rig import KINDS
from robot_io.deadline import TimelyPolicy
from robot_io.loop import run_episode
from robot_io.teleop.keyboard import MOVES

DOCS = REPOSITORY / "docs" / "robot"


def python(page: str) -> dict[str, Any]:
    """The names that the page's Python blocks define, one after the other."""
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), flags=re.MULTILINE | re.DOTALL):
        exec(block, names)
    return names


class Trained:
    """What LeRobot gives: state and images in, a batch of one action out."""

    def __init__(self) -> None:
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def select_action(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        image = batch["observation.images.third"]
        assert (tuple(image.shape), float(image.max()) <= 1.0) == ((1, 3, 8, 8), True)
        return torch.cat([batch["observation.state"], torch.zeros(1, 4)], dim=1) / 100.0


def test_the_lerobot_adapter_drives_the_loop() -> None:
    trained = Trained()
    policy = python("policies.md")["LeRobotPolicy"](trained, lambda batch: batch, lambda action: action, "act-1")
    recorder = FakeRecorder()
    run_episode(FakeRobot(), TimelyPolicy(policy, 60.0), recorder, max_steps=4, collection="rollout")
    assert recorder.sources == [ActionSource.POLICY] * 4
    assert np.allclose([step.executed_action[0] for step in recorder.steps], [0.0, 0.01, 0.02, 0.03])
    assert {step.policy_id for step in recorder.steps} == {"act-1"}
    assert trained.resets == 1


def test_the_rollouts_of_the_page_are_recorded(tmp_path: Path) -> None:
    made = python("policies.md")
    made["make_robot"] = lambda task: short(made_robot(task))
    made["RealClock"] = lambda: None
    still = SimpleNamespace(policy_id="still", reset=lambda: None, act=lambda observation: np.zeros(7))
    (summary,) = made["rollouts"](still, tmp_path, 1)
    assert (summary.steps, summary.episode_id is not None) == (5, True)


def made_robot(task: str) -> Any:
    from robot_io.sim import make_robot

    return make_robot(task, cameras=())


def short(robot: Any) -> Any:
    robot.max_steps = 5
    return robot


def test_the_ros_bridge_gives_the_newest_action_while_it_is_fresh() -> None:
    heard: list[Any] = []
    now = [1.0]
    node = SimpleNamespace(create_subscription=lambda kind, topic, callback, depth: heard.append(callback))
    policy = python("policies.md")["RosPolicy"](node, object, lambda: now[0])
    assert policy.act(fake_observation(0)) is None
    for value in (0.1, 0.2):
        heard[0](SimpleNamespace(data=[value] * 7))
    assert np.allclose(policy.act(fake_observation(0)), 0.2)
    now[0] += 1.0
    assert policy.act(fake_observation(1)) is None


def test_the_cameras_of_the_page_open(capsys: pytest.CaptureFixture[str]) -> None:
    made = python("cameras.md")
    assert made["image"].shape == (64, 64, 3)
    assert "no extrinsics" in capsys.readouterr().out
    addresses = re.findall(r"^\| `(\w+):", (DOCS / "cameras.md").read_text(), flags=re.MULTILINE)
    assert tuple(addresses) == KINDS


def test_every_key_that_drives_is_on_the_page() -> None:
    text = (DOCS / "teleoperation.md").read_text()
    assert all(f"`{key}`" in text for key in MOVES if len(key) == 1)


def test_links_and_pictures_are_there() -> None:
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
