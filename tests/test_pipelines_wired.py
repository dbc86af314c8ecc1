"""`collect` and `deploy` over the real wire: the genuine client, a simulated controller in a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from ursim_client import running

from episodes.record import ActionSource, Episode
from episodes.store import EpisodeStore
from episodes.validation import validate
from episodes.workspace import Workspace
from pipelines.cli import main
from releases.ledger import champion
from robot_io.clock import RealClock
from robot_io.collect import collect_session
from robot_io.sim import ScriptedHuman, make_robot
from robot_io.ur.dashboard import Dashboard
from robot_io.ur.recovery import recover
from robot_io.ur.site import SIMULATED
from robot_io.ursim.fault_client import inject
from robot_io.ursim.robot import WiredRobot

pytestmark = pytest.mark.xdist_group("ursim")
TASK, STEPS = "tube_insertion", 20


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    own = os.getpid()
    address = f"127.{1 + own % 250}.{1 + own // 250 % 250}.7"
    with running(address):
        yield address


def recorded(workspace: Workspace, session: str) -> Episode:
    store = EpisodeStore(workspace.root)
    (only,) = store.ids(session=session)
    return store.read(only)


def test_an_episode_over_the_wire_is_one_of_the_simulated_robots_kind(host: str, tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path, create=True)
    with closing(WiredRobot(host, TASK)) as robot:
        robot.max_steps, human = STEPS, ScriptedHuman(robot, 1, demo=True)
        clock = RealClock(robot.controller_s, robot.wait)
        (summary,) = collect_session(workspace, "wired", robot, [1], collection="demo", teleop=human, clock=clock)
    with closing(make_robot(TASK)) as direct:
        direct.max_steps, human = STEPS, ScriptedHuman(direct, 1, demo=True)
        collect_session(workspace, "direct", direct, [1], collection="demo", teleop=human)
    wired, simulated = recorded(workspace, "wired"), recorded(workspace, "direct")

    assert (summary.steps, summary.fault, validate(wired)) == (STEPS, "", [])
    assert wired.robot != simulated.robot
    for name in ("proprio_names", "proprio_units", "action_space", "fps", "wrench_attrs", "cameras", "instruction"):
        assert getattr(wired, name) == getattr(simulated, name), name
    for name in ("time_s", "proprio", "wrench", "ee_pose", "human_action", "executed_action", "raw_action"):
        ours, theirs = getattr(wired, name), getattr(simulated, name)
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), name
    assert np.all(wired.action_source == ActionSource.HUMAN)
    # the same scene, seen alike before anything moved; and the tool went the same way
    still = [name for name in wired.proprio_names if name.startswith(("tool/", "gripper/", "priv/"))]
    places = [wired.proprio_names.index(name) for name in still]
    assert np.allclose(wired.proprio[0, places], simulated.proprio[0, places], atol=2e-3)
    assert wired.ee_pose[-1, 2] < wired.ee_pose[0, 2] - 0.02


def test_a_dry_run_says_what_is_there_and_moves_and_writes_nothing(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "none"
    assert main(["collect", "--robot", "ur", "--host", host, "--dry-run", "--root", str(root)]) == 0
    told = capsys.readouterr().out
    assert "arm: UR5, URSoftware 5.12" in told
    assert "nothing was moved, nothing was written" in told
    assert not root.exists()


def test_an_arm_that_is_not_ready_is_one_sentence_and_exit_6(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inject(host, "local_control")
    try:
        assert main(["collect", "--robot", "ur", "--host", host, "--dry-run", "--root", str(tmp_path)]) == 6
        assert "is not in remote control; switch it over" in capsys.readouterr().err
    finally:
        inject(host, "clear")


def test_a_robot_without_its_host_and_a_host_without_its_robot_are_refused(tmp_path: Path) -> None:
    assert main(["collect", "--robot", "ur", "--root", str(tmp_path)]) == 2
    assert main(["collect", "--host", "127.0.0.2", "--root", str(tmp_path)]) == 2


def test_the_doctor_shows_the_arm_and_its_limits(host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doctor = ["doctor", "--robot", "ur", "--host", host, "--root", str(tmp_path)]
    assert main(doctor) == 0
    told = capsys.readouterr().out
    for part in ("ok  client: ur_rtde 1.6.5", "ok  limits: site: simulated", "ok  arm: UR5", "ok  cell"):
        assert part in told
    inject(host, "local_control")
    try:
        assert main(doctor) == 6
        assert "BAD arm: the arm at" in capsys.readouterr().out
    finally:
        inject(host, "clear")


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [("lead_m =", "led_m =", "motion.lead_m"), ("hard_n = 100.0", "hard_n = 400.0", "what the robot allows")],
)
def test_a_site_file_that_cannot_be_right_is_refused_before_anything(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, why: str
) -> None:
    site, root = tmp_path / "lab.toml", tmp_path / "none"
    site.write_text(SIMULATED.read_text().replace(before, after))
    wired = ["--robot", "ur", "--host", host, "--site", str(site), "--root", str(root)]
    for command in (["collect"], ["collect", "--dry-run"], ["doctor"]):
        assert main([*command, *wired]) == 2
        told = capsys.readouterr()
        assert why in told.out + told.err
    assert not root.exists()


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("simulated:", 0, "camera third: simulated:"),
        ("v4l2:/dev/nowhere", 6, "/dev/nowhere does not open as v4l2"),
        ("webcam", 2, "is no camera"),
    ],
)
def test_cameras_with_a_device_are_the_sites_and_a_missing_one_is_one_sentence(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str, code: int, said: str
) -> None:
    site, root = tmp_path / "lab.toml", tmp_path / "none"
    site.write_text(f'cameras = [{{ name = "third", address = "{address}" }}]\n{SIMULATED.read_text()}')
    wired = ["--robot", "ur", "--host", host, "--site", str(site), "--root", str(root)]
    assert main(["collect", "--dry-run", *wired]) == code
    told = capsys.readouterr()
    assert said in told.out + told.err
    assert len(told.err.strip().splitlines()) == (code != 0)
    assert not root.exists()


def test_no_library_and_no_robot_are_one_sentence_and_exit_6(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = host.rpartition(".")[0] + ".250"
    assert main(["collect", "--robot", "ur", "--host", nobody, "--root", str(tmp_path)]) == 6
    assert "does not answer" in capsys.readouterr().err
    monkeypatch.setattr("robot_io.ursim.robot.find_spec", lambda name: None)
    assert main(["collect", "--robot", "ur", "--host", host, "--dry-run", "--root", str(tmp_path)]) == 6
    assert "pip install ur_rtde==1.6.5" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "why"), [("in_use", "cannot be controlled"), ("protective_stop", "is not ready")])
def test_an_arm_that_cannot_be_had_is_one_sentence_and_no_episode(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, why: str
) -> None:
    inject(host, fault)
    assert main(["collect", "--robot", "ur", "--host", host, "--root", str(tmp_path)]) == 6
    assert why in capsys.readouterr().err
    inject(host, "clear")
    with Dashboard(host) as dashboard:
        recover(dashboard, lambda question: True, time.sleep)
    assert not EpisodeStore(tmp_path).ids()


@pytest.mark.slow
def test_three_demonstrations_are_recorded_and_succeed(host: str, tmp_path: Path) -> None:
    command = ["collect", "--robot", "ur", "--host", host, "--task", TASK, "--episodes", "3", "--teleop", "scripted"]
    assert main([*command, "--session", "wired", "--root", str(tmp_path)]) == 0
    store = EpisodeStore(tmp_path)
    episodes = [store.read(name) for name in store.ids(session="wired")]
    assert len(episodes) == 3
    assert all(not validate(episode) and episode.success.as_bool() for episode in episodes)


@pytest.mark.slow
@pytest.mark.demo
def test_the_demos_release_runs_over_the_wire_and_the_person_takes_over(demo_copy: Path, host: str) -> None:
    root = ["--root", str(demo_copy)]
    version = champion(demo_copy, "sim", TASK)
    assert version is not None
    deploy = ["deploy", "--robot", "ur", "--host", host, "--episodes", "5", "--session", "wired", *root]
    assert main([*deploy, "--release", version]) == 4, "no person promoted it there"
    promoted = ["release", "promote", version, "--profile", "ur", "--by", "Ada", "--despite", "a test"]
    assert main([*promoted, *root]) == 0
    assert main(deploy) == 0
    store = EpisodeStore(demo_copy)
    episodes = [store.read(name, images=False) for name in store.ids(session="wired")]
    sources = np.concatenate([episode.action_source for episode in episodes])
    assert {ActionSource.POLICY, ActionSource.HUMAN} <= set(sources.tolist())
