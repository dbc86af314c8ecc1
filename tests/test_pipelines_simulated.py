"""Sessions of simulated robots: what a safety stop does to them, and where the random trigger's budget goes on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from episode_samples import sample_episode
from pressing_robot import PressingRobot
from robot_fakes import FakeTeleop

from episodes.errors import SafetyStop
from episodes.record import ActionSource, Outcome
from episodes.store import EpisodeStore
from episodes.workspace import Workspace
from models import processes
from models.processes import Processes
from pipelines import simulated
from pipelines.cli import main
from pipelines.simulated import SessionJob, run_session, run_sessions
from robot_io.loop import EpisodeSummary

P, R, H = (int(s) for s in (ActionSource.POLICY, ActionSource.RECOVERY, ActionSource.HUMAN))


@pytest.fixture
def robots(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Sessions run in this process, on robots that press too hard in the episode of seed 1; how each was made."""
    made: list[dict[str, Any]] = []

    def make_robot(task: str, **given: Any) -> PressingRobot:
        made.append(given)
        return PressingRobot()

    monkeypatch.setattr("robot_io.sim.make_robot", make_robot)
    monkeypatch.setattr("robot_io.sim.ScriptedHuman", lambda robot, seed, demo: FakeTeleop(drives=range(99)))
    monkeypatch.setattr(processes, "ProcessPoolExecutor", lambda workers, **given: ThreadPoolExecutor(1))
    return made


def job(root: Path, session: str = "a", **changes: Any) -> SessionJob:
    Workspace.open(root, create=True)
    given: dict[str, Any] = {"seeds": (0, 1, 2, 3), "collection": "demo", "human": "demo", "cameras": ("third",)}
    return SessionJob(root=root, session=session, task="tube_insertion", **(given | changes))


@pytest.mark.usefixtures("robots")
def test_a_safety_stop_is_raised_once_the_other_robots_are_done(tmp_path: Path) -> None:
    other = job(tmp_path, "b", seeds=(5, 6))
    with pytest.raises(SafetyStop, match="session a was stopped in episode"):
        run_sessions([job(tmp_path), other], Processes(1))
    store = EpisodeStore(tmp_path)
    assert (len(store.ids(session="a")), len(store.ids(session="b"))) == (2, 2)


@pytest.mark.usefixtures("robots")
def test_where_nobody_has_to_look_after_the_cell_the_session_goes_on(tmp_path: Path) -> None:
    jobs = [job(tmp_path, attended=False), job(tmp_path, "b", seeds=(5,), attended=False)]
    (summaries, others) = run_sessions(jobs, Processes(1))
    assert [bool(summary.fault) for summary in summaries] == [False, True, False, False]
    assert [bool(summary.fault) for summary in others] == [False]
    assert run_sessions(jobs, Processes(1)) == [[], []]


def test_collect_ends_with_6_and_one_sentence_and_the_same_command_goes_on(
    tmp_path: Path, robots: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    collect = ["collect", "--session", "a", "--episodes", "4", "--root", str(tmp_path)]
    assert main(collect) == 6
    captured = capsys.readouterr()
    (stopped,) = (
        n for n in EpisodeStore(tmp_path).ids() if EpisodeStore(tmp_path).attributes(n)["end_reason"] == "fault"
    )
    assert captured.out == ""
    assert captured.err.strip().splitlines()[-1] == (
        f"session a was stopped in episode {stopped} (force 500 N above 100 N), which is kept; look at it with "
        f"`regrasp inspect {stopped}` before the robot moves again"
    )
    assert main(collect) == 0
    assert "session a: 2 episodes recorded" in capsys.readouterr().out
    assert [made["image_px"] for made in robots] == [64, 64]


def test_frames_are_as_large_as_asked_for(tmp_path: Path, robots: list[dict[str, Any]]) -> None:
    collect = ["collect", "--session", "a", "--episodes", "1", "--root", str(tmp_path)]
    assert main([*collect, "--image-px", "128"]) == 0
    assert robots == [{"cameras": ("third",), "image_px": 128}]
    assert main([*collect, "--image-px", "96"]) == 2


def test_a_stop_before_the_first_step_is_not_tried_for_ever(
    tmp_path: Path, robots: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(self: PressingRobot, seed: int) -> Any:
        self.forces_n = (500.0,)
        self.t = 0
        return self.observe()

    monkeypatch.setattr(PressingRobot, "reset", at_once)
    with pytest.raises(SafetyStop, match="session a was stopped before the first step of an episode"):
        run_sessions([job(tmp_path, attended=False)], Processes(1))
    assert len(robots) == 1


class PressedAfter:
    """The flag of robots that are stopped once it was looked at so often."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0


@pytest.mark.usefixtures("robots")
def test_stopped_robots_keep_the_begun_episode_as_incomplete_and_go_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = job(tmp_path, seeds=(0, 2))
    with monkeypatch.context() as stopped:
        stopped.setattr(processes, "_stop", PressedAfter(4))
        with pytest.raises(KeyboardInterrupt):
            run_session(asked)
        with pytest.raises(KeyboardInterrupt):
            run_session(job(tmp_path, "b"))
    store = EpisodeStore(tmp_path)
    ((begun),) = (store.attributes(name) for name in store.ids())
    assert (begun["session"], begun["length"], begun["complete"], begun["end_reason"]) == ("a", 3, False, "operator")
    assert [summary.steps for summary in run_session(asked)] == [4, 4]


@pytest.mark.usefixtures("robots")
def test_an_interrupt_while_they_record_stops_the_robots(tmp_path: Path) -> None:
    def pressed(there: int, wanted: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Processes(1) as robots:
        run_sessions([job(tmp_path)], robots, on_count=pressed)
    assert robots._stop.is_set()


def test_the_random_triggers_budget_goes_on_where_the_recordings_end(tmp_path: Path) -> None:
    """Counted from the recordings after an interruption, and from the loop's summaries without one: the same."""
    recovery = ({"t": 4, "kind": "recovery", "attempt": 1, "item": "a:1"},)
    store, random = EpisodeStore(tmp_path), job(tmp_path, arm="random", trigger_rate=0.1, release="x")
    kept = simulated._budget(random)
    assert (kept.counted_steps, kept.counted_recoveries) == (0, 0)
    for seed, source, events in [(0, [P] * 9, ()), (1, [P] * 4 + [R] * 3 + [H], recovery), (2, [P] * 7, ())]:
        complete = seed < 2
        name = store.write(
            sample_episode(
                seed,
                len(source),
                session="a",
                action_source=np.array(source, np.uint8),
                events=events,
                collected_by={"seed": seed},
                complete=complete,
            )
        )
        if complete:
            simulated._count(kept, summary(name, source, len(events)))
    assert (kept.counted_steps, kept.counted_recoveries) == (14, 1)
    assert simulated._budget(random) == kept


def summary(episode_id: str, source: list[int], recoveries: int) -> EpisodeSummary:
    return EpisodeSummary(
        episode_id=episode_id,
        steps=len(source),
        duration_s=1.0,
        end_reason="success",
        success=Outcome.SUCCESS,
        success_derivation="",
        source_steps={ActionSource(each): source.count(each) for each in set(source)},
        takeovers=0,
        triggers=0,
        recoveries=recoveries,
        recoveries_better=0,
        asked=0,
    )
