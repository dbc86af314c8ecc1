"""Collecting on the simulated robot: one session, its notes, and going on after an interruption."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pressing_robot import PressingRobot

from episodes.record import Array
from episodes.store import EpisodeStore
from episodes.workspace import Workspace
from robot_io.collect import collect_session, privileged_frame, read_failures, read_privileged, recorded_seeds
from robot_io.loop import EpisodeSummary
from robot_io.protocols import Observation
from robot_io.sim import SimRobot, make_robot

STEPS = 4


@dataclass
class Still:
    """A policy that stands still, and breaks down at a step of its life where told to."""

    policy_id: str = "still"
    breaks_at: int = -1
    acted: int = 0

    def reset(self) -> None:
        pass

    def act(self, observation: Observation) -> Array:
        self.acted += 1
        if self.acted == self.breaks_at:
            raise RuntimeError("out of memory")
        return np.zeros(7)


@pytest.fixture(scope="module")
def robot() -> SimRobot:
    made = make_robot("tube_insertion", cameras=())
    made.max_steps = STEPS
    return made


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path, create=True)


def collect(
    workspace: Workspace, robot: SimRobot, seeds: range, policy: Still | None = None, session: str = "one"
) -> list[EpisodeSummary]:
    return collect_session(workspace, session, robot, seeds, collection="rollout", policy=policy or Still())


def test_every_seed_is_one_episode_with_the_simulators_notes_beside_it(workspace: Workspace, robot: SimRobot) -> None:
    told: list[EpisodeSummary] = []
    made = collect_session(
        workspace,
        "one",
        robot,
        [3, 4],
        collection="rollout",
        policy=Still(),
        on_episode=told.append,
        collected_by={"arm": "without"},
    )
    store = EpisodeStore(workspace.root)
    assert told == made
    assert sorted(store.ids(session="one")) == sorted(str(summary.episode_id) for summary in made)
    assert recorded_seeds(store, "one") == {3, 4}
    assert all(store.attributes(name)["collected_by"]["arm"] == "without" for name in store.ids())
    for summary in made:
        notes = pl.read_parquet(workspace.derived / "privileged" / "one" / f"{summary.episode_id}.parquet")
        assert notes.columns == ["episode_id", "frame_index", "phi", "stalled", "help_needed", "failure"]
        assert notes["episode_id"].unique().to_list() == [summary.episode_id]
        assert notes["frame_index"].to_list() == list(range(STEPS))
    assert set(read_privileged(workspace)["episode_id"]) == set(store.ids())


def test_the_notes_are_of_the_state_that_the_step_was_taken_in(workspace: Workspace, robot: SimRobot) -> None:
    collect(workspace, robot, range(5, 6))
    robot.reset(5)
    expected = []
    for _ in range(STEPS):
        expected.append(robot.privileged.phi)
        robot.send(np.zeros(7))
    assert read_privileged(workspace)["phi"].to_list() == expected


def test_how_an_episode_failed_is_what_the_simulator_knew_at_its_end(workspace: Workspace, robot: SimRobot) -> None:
    (made,) = collect(workspace, robot, range(5, 6))
    assert robot.privileged.failure in ("jam", "timeout"), "it stood still until the time was over"
    assert read_failures(workspace, "one") == {made.episode_id: robot.privileged.failure}
    assert read_privileged(workspace)["failure"].unique().to_list() == [robot.privileged.failure]
    assert read_failures(workspace, "two") == {}


def test_a_safety_stop_is_a_failure_by_force(workspace: Workspace) -> None:
    made = collect(workspace, PressingRobot(max_steps=STEPS), range(2))  # type: ignore[arg-type]
    assert read_failures(workspace, "one")[str(made[1].episode_id)] == "force"


def test_notes_from_before_failures_were_noted_are_read_too(workspace: Workspace, robot: SimRobot) -> None:
    first, second = collect(workspace, robot, range(2))
    path = workspace.derived / "privileged" / "one" / f"{first.episode_id}.parquet"
    pl.read_parquet(path).drop("failure").write_parquet(path)
    assert set(read_failures(workspace, "one")) == {second.episode_id}
    assert read_privileged(workspace)["failure"].null_count() == STEPS


def test_a_second_call_records_only_the_seeds_that_are_missing(workspace: Workspace, robot: SimRobot) -> None:
    collect(workspace, robot, range(2))
    again = collect(workspace, robot, range(3))
    assert len(again) == 1
    assert recorded_seeds(EpisodeStore(workspace.root), "one") == {0, 1, 2}
    assert collect(workspace, robot, range(3)) == []


def test_a_safety_stop_ends_the_session_and_its_episode_is_kept(workspace: Workspace) -> None:
    robot = PressingRobot(max_steps=STEPS)
    made = collect(workspace, robot, range(4))  # type: ignore[arg-type]
    assert [bool(summary.fault) for summary in made] == [False, True]
    assert robot.log[-1] == "stop"
    assert recorded_seeds(EpisodeStore(workspace.root), "one") == {0, 1}
    assert EpisodeStore(workspace.root).attributes(str(made[1].episode_id))["end_reason"] == "fault"
    later = collect(workspace, robot, range(4))  # type: ignore[arg-type]
    assert [bool(summary.fault) for summary in later] == [False, False]


def test_an_interrupted_episode_is_recorded_again(workspace: Workspace, robot: SimRobot) -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        collect(workspace, robot, range(3), Still(breaks_at=STEPS + 2))
    store = EpisodeStore(workspace.root)
    assert recorded_seeds(store, "one") == {0}
    assert [store.attributes(name)["complete"] for name in store.ids()].count(False) == 1
    collect(workspace, robot, range(3))
    assert recorded_seeds(store, "one") == {0, 1, 2}
    whole = {name for name in store.ids() if store.attributes(name)["complete"]}
    assert set(read_privileged(workspace)["episode_id"]) == whole
    assert sorted(p.name for p in (workspace.derived / "privileged" / "one").iterdir()) == sorted(
        f"{name}.parquet" for name in whole
    )


def test_the_same_run_in_two_sessions_has_one_set_of_notes(workspace: Workspace, robot: SimRobot) -> None:
    (a,), (b,) = (collect(workspace, robot, range(7, 8), session=session) for session in ("one", "two"))
    assert a.episode_id == b.episode_id
    assert len(read_privileged(workspace)) == STEPS


def test_a_workspace_without_simulation_has_no_notes(workspace: Workspace) -> None:
    assert read_privileged(workspace).is_empty()


def test_notes_of_no_step_are_an_empty_table() -> None:
    frame = privileged_frame("a", [])
    assert frame.columns == ["episode_id", "frame_index", "phi", "stalled", "help_needed", "failure"]
    assert len(frame) == 0
