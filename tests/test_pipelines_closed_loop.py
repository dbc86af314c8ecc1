"""The closed loop's figures are read off recordings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from episode_samples import sample_episode
from robot_fakes import FakeMonitor, FakePolicy, FakeRecorder, FakeRecovery, FakeRobot, FakeTeleop

from episodes.record import ActionSource, Episode, Outcome
from episodes.store import EpisodeStore
from pipelines.arm_episodes import ArmEpisode, trigger_rate
from pipelines.closed_loop import ARMS, ClosedLoop
from robot_io.collect import privileged_frame
from robot_io.loop import run_episode
from robot_io.protocols import Observation, RecoveryPlan

P, R, H, STOOD = (int(s) for s in (ActionSource.POLICY, ActionSource.RECOVERY, ActionSource.HUMAN, ActionSource.HOLD))


class Known(FakeRecovery):
    """Names no item where it found none, as a release does."""

    def plan(self, observation: Observation, value: float) -> RecoveryPlan:
        plan = super().plan(observation, value)
        return plan if plan.chunk is not None else replace(plan, item="")


def recorded(source: list[int], events: list[dict[str, Any]], **changes: Any) -> Episode:
    steps = len(source)
    return sample_episode(0, steps, action_source=np.array(source, np.uint8), events=tuple(events), **changes)


def planned(attempt: int, item: str = "a:1") -> dict[str, Any]:
    return {"t": 0, "kind": "recovery", "attempt": attempt, "item": item, "reason": "" if item else "nothing similar"}


def ended(reason: str) -> dict[str, Any]:
    return {"t": 0, "kind": "recovery_end", "reason": reason, "to": "policy"}


def test_what_an_arm_reads_of_an_episode() -> None:
    events = [
        {"t": 1, "kind": "trigger", "score": 2.0},
        planned(1),
        planned(2),
        ended("better"),
        planned(1),
        planned(2, item=""),
        ended("floor"),  # a chunk was sent before nothing more was found: it counts
        planned(1, item=""),
        ended("floor"),  # nothing was sent
        {"t": 9, "kind": "takeover", "reason": "asked", "source": "hold"},
        {"t": 12, "kind": "takeover", "reason": "stall", "source": "policy"},
        planned(1),  # the time ran out
    ]
    read = ArmEpisode.of(
        recorded([P, R, R, P, R, STOOD, H, H, P, R], events, end_reason="timeout", success=Outcome.FAILURE)
    )
    assert (read.recoveries, read.recovered, read.takeovers) == (3, 1, 2)
    assert (read.success, read.end, read.reasons) == (False, "timeout", ("asked", "stall"))
    assert read.failure == "unknown", "the simulator noted nothing"
    assert [read.steps(ActionSource(s)) for s in (P, R, H, STOOD)] == [3, 4, 2, 1]


def test_how_an_episode_failed_is_what_the_simulator_noted() -> None:
    failed = recorded([P, P], [], end_reason="timeout", success=Outcome.FAILURE)
    assert ArmEpisode.of(failed, "jam").failure == "jam"
    assert ArmEpisode.of(recorded([P, P], [], success=Outcome.SUCCESS), "jam").failure == ""


@pytest.mark.parametrize("chunks", [1, 2])
def test_it_counts_what_the_loop_counted(chunks: int) -> None:
    """Through the real loop: one chunk or two, then the memory knows nothing more, then the person helps."""

    recorder = FakeRecorder()
    summary = run_episode(
        FakeRobot(),
        FakePolicy(),
        recorder,
        max_steps=20,
        collection="takeover",
        teleop=FakeTeleop(drives=range(12, 15)),
        monitor=FakeMonitor(fires=frozenset({2})),
        recovery=Known(chunks=[*[np.full((3, 7), 0.3)] * chunks, None]),
    )
    source = [int(s) for s in recorder.sources]
    read = ArmEpisode.of(recorded(source, recorder.events))
    assert summary.recoveries == read.recoveries == 1
    assert summary.takeovers == read.takeovers == 1
    assert summary.recoveries_better == read.recovered == 0


def arm(source: list[int], recoveries: int) -> ArmEpisode:
    return ArmEpisode(
        source=np.array(source, np.uint8),
        success=True,
        end="success",
        failure="",
        recoveries=recoveries,
        recovered=0,
        takeovers=0,
        reasons=(),
    )


def test_the_random_trigger_gets_the_same_budget_per_decision_of_the_policy() -> None:
    """The policy's decisions are the steps it took, and those that recoveries began with."""
    assert trigger_rate([arm([P] * 8 + [R] * 8, 1), arm([P] * 9 + [H] * 3 + [R], 2)]) == 3 / 20
    assert trigger_rate([arm([P] * 8, 0)]) == 0.0
    assert trigger_rate([]) == 0.0


def seed_of(store: EpisodeStore, name: str) -> int:
    return int(store.attributes(name)["collected_by"]["seed"])


def loop(root: Path) -> ClosedLoop:
    return ClosedLoop(root=root, task="tube_insertion", cameras=("third",), release="abcdef0123456789", seeds=(7, 8))


def test_all_arms_get_the_same_seeds_human_and_release(tmp_path: Path) -> None:
    jobs = [loop(tmp_path).job(name, 0.1) for name in ARMS]
    assert len({(j.seeds, j.human, j.human_seed, j.release, j.collection, j.cameras) for j in jobs}) == 1
    assert [j.trigger_rate for j in jobs] == [0.0, 0.1, 0.0]
    assert [(j.arm, j.session) for j in jobs] == [(name, f"tube_insertion-{name}-abcdef01") for name in ARMS]


def test_an_arms_complete_episodes_are_read_by_seed(tmp_path: Path) -> None:
    store, sessions = EpisodeStore(tmp_path), loop(tmp_path)
    for seed, session, complete in [(8, "with", True), (7, "with", True), (7, "random", True), (9, "with", False)]:
        store.write(
            sample_episode(
                seed + len(session),
                session=sessions.session(session),
                complete=complete,  # type: ignore[arg-type]
                collected_by={"seed": seed},
                success=Outcome.FAILURE,
                events=({"t": 4, "kind": "takeover", "reason": f"s{seed}"},),
            )
        )
    (failed,) = (name for name in store.ids(session=sessions.session("with")) if seed_of(store, name) == 8)
    notes = privileged_frame(failed, [(0.1, True, False)], "slip")
    place = tmp_path / "derived/privileged" / sessions.session("with")
    place.mkdir(parents=True)
    notes.write_parquet(place / f"{failed}.parquet")
    assert {seed: e.reasons for seed, e in sessions.read("with").items()} == {7: ("s7",), 8: ("s8",)}
    assert {seed: e.failure for seed, e in sessions.read("with").items()} == {7: "unknown", 8: "slip"}
    assert sessions.read("without") == {}
