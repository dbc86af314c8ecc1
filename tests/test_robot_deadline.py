"""Models behind a deadline: who does not answer is not waited for, least of all by the person."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from robot_fakes import (
    HUMAN_ACTION,
    POLICY_ACTION,
    FakeMonitor,
    FakePolicy,
    FakeRecorder,
    FakeRecovery,
    FakeRobot,
    FakeTeleop,
    fake_observation,
)

from episodes.record import ActionSource, Array
from robot_io.deadline import TimelyMonitor, TimelyPolicy, TimelyRecovery
from robot_io.loop import run_episode
from robot_io.protocols import Decision, Observation

SOON_S, AMPLE_S = 0.01, 60.0
POLICY, HUMAN, HOLD = ActionSource.POLICY, ActionSource.HUMAN, ActionSource.HOLD


@pytest.fixture
def let_go() -> Iterator[threading.Event]:
    """What hangs hangs until the test is over."""
    event = threading.Event()
    yield event
    event.set()


@dataclass
class Hanging:
    """A model that never answers."""

    let_go: threading.Event
    policy_id: str = "hanging"
    asked: list[int] = field(default_factory=list)

    def reset(self) -> None:
        """Nothing to forget."""

    def act(self, observation: Observation) -> Array:
        self.asked.append(round(observation.time_s * 10))
        self.let_go.wait()
        return POLICY_ACTION

    def update(self, observation: Observation, action: Array | None, source: ActionSource) -> Decision:
        self.act(observation)
        return Decision(trigger=False, value=0.5, score=0.0, threshold=1.0)


def test_the_person_acts_at_the_step_they_take_over_while_the_policy_hangs(let_go: threading.Event) -> None:
    """The call never returns, so an episode that is whole, step by step, waited for nobody."""
    robot, recorder, hanging = FakeRobot(), FakeRecorder(), Hanging(let_go)
    teleop = FakeTeleop(drives=range(5, 8))
    policy = TimelyPolicy(hanging, SOON_S)
    summary = run_episode(robot, policy, recorder, max_steps=10, collection="takeover", teleop=teleop)
    assert summary.steps == 10
    assert recorder.sources == [HOLD] * 5 + [HUMAN] * 3 + [HOLD] * 2
    assert all(step.policy_action is None for step in recorder.steps)
    assert np.array_equal(robot.sent[5], HUMAN_ACTION)
    assert not np.any(robot.sent[3])
    assert len(hanging.asked) <= 1, "no question stands behind one that hangs"


def test_without_a_watch_nobody_but_the_person_acts(let_go: threading.Event) -> None:
    recorder = FakeRecorder()
    monitor = TimelyMonitor(Hanging(let_go), SOON_S)
    teleop = FakeTeleop(drives=range(3, 5))
    run_episode(FakeRobot(), FakePolicy(), recorder, max_steps=6, collection="takeover", teleop=teleop, monitor=monitor)
    assert recorder.sources == [HOLD] * 3 + [HUMAN] * 2 + [HOLD]
    assert all(np.array_equal(step.policy_action, POLICY_ACTION) for step in recorder.steps)


def test_no_plan_in_time_asks_the_person(let_go: threading.Event) -> None:
    class Planning(FakeRecovery):
        def plan(self, observation: Observation, value: float) -> object:
            return let_go.wait()

    teleop, recorder = FakeTeleop(), FakeRecorder()
    run_episode(
        FakeRobot(),
        FakePolicy(),
        recorder,
        max_steps=4,
        collection="takeover",
        teleop=teleop,
        monitor=FakeMonitor(fires=frozenset({1})),
        recovery=TimelyRecovery(Planning(), SOON_S),
    )
    assert teleop.asked == ["no plan in time"]
    assert recorder.sources == [POLICY, HOLD, HOLD, HOLD]


def test_in_time_all_is_as_without_a_deadline() -> None:
    direct, timely = FakeRecorder(), FakeRecorder()
    models = FakeMonitor(fires=frozenset({2})), FakeRecovery()
    run_episode(
        FakeRobot(), FakePolicy(), direct, max_steps=9, collection="takeover", monitor=models[0], recovery=models[1]
    )
    behind = TimelyMonitor(FakeMonitor(fires=frozenset({2})), AMPLE_S), TimelyRecovery(FakeRecovery(), AMPLE_S)
    policy = FakePolicy()
    run_episode(
        FakeRobot(),
        TimelyPolicy(policy, AMPLE_S),
        timely,
        max_steps=9,
        collection="takeover",
        monitor=behind[0],
        recovery=behind[1],
    )
    assert timely.sources == direct.sources
    assert timely.events == direct.events
    assert policy.resets == 2, "at the start and after the recovery"


def test_a_late_answer_is_dropped_and_what_was_raised_late_is_raised(let_go: threading.Event) -> None:
    answered = threading.Event()

    class Slow(FakePolicy):
        def act(self, observation: Observation) -> Array:
            if observation.time_s == 0.0:
                let_go.wait()
                answered.set()
                raise RuntimeError("out of memory")
            return POLICY_ACTION

    policy = TimelyPolicy(Slow(), SOON_S)
    assert policy.act(fake_observation(0)) is None
    assert policy.act(fake_observation(1)) is None
    let_go.set()
    answered.wait(AMPLE_S)

    def ask_on() -> None:
        while True:  # the thread may still be on its way back
            policy.act(fake_observation(2))

    with pytest.raises(RuntimeError, match="out of memory"):
        ask_on()
