"""The loop: the person first, recovery with its give-up rule, and the robot stopped before anything else."""

from __future__ import annotations

import itertools
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from robot_fakes import (
    HUMAN_ACTION,
    POLICY_ACTION,
    RECOVERY_ACTION,
    FakeMonitor,
    FakePolicy,
    FakeRecorder,
    FakeRecovery,
    FakeRobot,
    FakeTeleop,
    raising,
)

from episodes.errors import UsageError
from episodes.record import ActionSource, Outcome
from robot_io.arbiter import Act, Mode, Seen, arbitrate
from robot_io.clock import RealClock
from robot_io.control import RecoveryLimits
from robot_io.loop import EpisodeSummary, run_episode
from robot_io.protocols import HumanInput

P, R, H, HOLD = ActionSource.POLICY, ActionSource.RECOVERY, ActionSource.HUMAN, ActionSource.HOLD


def run(robot: FakeRobot, policy: FakePolicy | None, recorder: FakeRecorder, **options: Any) -> EpisodeSummary:
    options = {"max_steps": 12, "collection": "rollout", **options}
    return run_episode(robot, policy, recorder, **options)


# ---- the arbiter, as a table -----------------------------------------------------------------------------------


def expected(mode: Mode, seen: Seen) -> Act:
    """The table, written the slow way: one rule a line, the first that fits counts."""
    rules = [
        (seen.human, Act.HUMAN),
        (mode is Mode.ASKING, Act.HOLD),
        (mode is not Mode.RECOVERY and seen.trigger, Act.PLAN),
        (mode is not Mode.RECOVERY, Act.POLICY),
        (seen.chunk_left and seen.in_time, Act.CONTINUE),
        (seen.better, Act.HAND_BACK),
        (seen.in_time, Act.PLAN),
        (True, Act.GIVE_UP),
    ]
    return next(act for fits, act in rules if fits)


def everything_seen() -> list[Seen]:
    names = [field.name for field in fields(Seen)]
    return [Seen(**dict(zip(names, bits, strict=True))) for bits in itertools.product([False, True], repeat=len(names))]


@pytest.mark.parametrize("mode", list(Mode))
def test_arbiter_follows_the_table_in_every_state(mode: Mode) -> None:
    for seen in everything_seen():
        assert arbitrate(mode, seen) is expected(mode, seen), seen


@pytest.mark.parametrize("mode", list(Mode))
def test_the_person_always_wins(mode: Mode) -> None:
    with_human = [seen for seen in everything_seen() if seen.human]
    assert len(with_human) == 16
    assert {arbitrate(mode, seen) for seen in with_human} == {Act.HUMAN}


def test_only_the_person_ends_the_waiting_for_the_person() -> None:
    without = [seen for seen in everything_seen() if not seen.human]
    assert {arbitrate(Mode.ASKING, seen) for seen in without} == {Act.HOLD}


# ---- the person --------------------------------------------------------------------------------------------------


def test_the_person_is_polled_before_any_model_and_driven_before_any_model() -> None:
    log: list[str] = []
    robot, policy = FakeRobot(log=log), FakePolicy(log=log)
    teleop, monitor = FakeTeleop(drives=range(1, 2), log=log), FakeMonitor(log=log)
    run(robot, policy, FakeRecorder(), teleop=teleop, monitor=monitor, max_steps=2)
    assert log == ["poll", "policy", "monitor", "send", "poll", "send", "policy", "monitor", "poll", "stop"]


def test_takeover_keeps_both_actions_and_hands_back() -> None:
    recorder, policy = FakeRecorder(), FakePolicy()
    summary = run(FakeRobot(), policy, recorder, teleop=FakeTeleop(drives=range(3, 5)), max_steps=6)
    assert recorder.sources == [P, P, P, H, H, P]
    taken = recorder.steps[3]
    assert np.array_equal(taken.policy_action, POLICY_ACTION)
    assert np.array_equal(taken.human_action, HUMAN_ACTION)
    assert np.allclose(taken.executed_action, HUMAN_ACTION)
    assert taken.policy_id == ""
    assert recorder.steps[0].human_action is None
    assert recorder.of("takeover") == [{"t": 3, "kind": "takeover", "reason": "stall", "source": "policy"}]
    assert [event["t"] for event in recorder.of("hand_back")] == [5]
    assert policy.resets == 2
    assert summary.takeovers == 1
    assert summary.source_steps == {P: 4, H: 2}


def test_the_person_drops_the_rest_of_a_recovery_chunk_within_the_tick() -> None:
    recorder, robot = FakeRecorder(), FakeRobot()
    run(
        robot,
        FakePolicy(),
        recorder,
        teleop=FakeTeleop(drives=range(3, 4)),
        monitor=FakeMonitor(fires=frozenset({1})),
        recovery=FakeRecovery([np.tile(RECOVERY_ACTION, (8, 1))]),
        max_steps=6,
    )
    assert recorder.sources == [P, R, R, H, P, P]
    assert np.array_equal(robot.sent[3], HUMAN_ACTION)
    assert [event["reason"] for event in recorder.of("recovery_end")] == ["human"]


def test_the_person_acts_at_once_where_the_policy_raises() -> None:
    log: list[str] = []
    robot = FakeRobot(log=log)
    with pytest.raises(RuntimeError, match="out of memory"):
        run(robot, FakePolicy(log=log, answer=raising(2)), FakeRecorder(), teleop=FakeTeleop(drives=range(2, 9)))
    assert np.array_equal(robot.sent[2], HUMAN_ACTION)
    assert log[-3:] == ["send", "policy", "stop"]


def test_a_demonstration_has_no_takeover() -> None:
    recorder = FakeRecorder()
    summary = run(FakeRobot(succeeds_at=4), None, recorder, teleop=FakeTeleop(drives=range(99)), collection="demo")
    assert recorder.sources == [H] * 4
    assert summary.takeovers == 0
    assert recorder.of("takeover") == []
    assert summary.success is Outcome.SUCCESS


# ---- recovery ------------------------------------------------------------------------------------------------------


def recover(
    values: list[float], chunks: list[Any] | None = None, **options: Any
) -> tuple[FakeRecorder, EpisodeSummary]:
    recorder = FakeRecorder()
    recovery = FakeRecovery(chunks) if chunks is not None else FakeRecovery()
    monitor = FakeMonitor(values=values, fires=frozenset({1}))
    summary = run(FakeRobot(), FakePolicy(), recorder, monitor=monitor, recovery=recovery, **options)
    return recorder, summary


def test_recovery_hands_back_at_the_end_of_the_chunk_when_the_value_is_better() -> None:
    recorder, summary = recover([0.5, 0.5, 0.9, 0.9, 0.6], max_steps=6)
    assert recorder.sources == [P, R, R, R, P, P]
    assert recorder.of("trigger") == [{"t": 1, "kind": "trigger", "score": 1.0, "threshold": 0.5, "value": 0.5}]
    (planned,) = recorder.of("recovery")
    assert (planned["t"], planned["attempt"], planned["item"]) == (1, 1, "0123456789abcdef:4")
    assert recorder.of("recovery_end") == [{"t": 4, "kind": "recovery_end", "reason": "better", "to": "policy"}]
    assert (summary.triggers, summary.recoveries, summary.recoveries_better) == (1, 1, 1)


def test_recovery_gives_up_after_two_attempts_and_asks_the_person() -> None:
    teleop = FakeTeleop(drives=range(9, 10))
    recorder, summary = recover([0.5], teleop=teleop, max_steps=11)
    assert recorder.sources == [P, R, R, R, R, R, R, HOLD, HOLD, H, P]
    assert [event["attempt"] for event in recorder.of("recovery")] == [1, 2]
    assert recorder.of("recovery_end") == [{"t": 7, "kind": "recovery_end", "reason": "gave_up", "to": "human"}]
    assert teleop.asked == ["no better value on the way to 2 goals"]
    assert summary.asked == 1
    assert np.array_equal(recorder.steps[7].executed_action, np.append(np.zeros(6), np.float32(0.3)))


def test_recovery_gives_up_when_its_time_is_over_in_the_middle_of_a_chunk() -> None:
    limits = RecoveryLimits(seconds=0.4)
    chunk = [np.tile(RECOVERY_ACTION, (8, 1))]
    recorder, _ = recover([0.5], chunk, recovery_limits=limits, teleop=FakeTeleop(), max_steps=7)
    assert recorder.sources == [P, R, R, R, R, HOLD, HOLD]
    assert [event["reason"] for event in recorder.of("recovery_end")] == ["gave_up"]


def test_a_better_value_gives_the_goals_and_the_time_anew() -> None:
    limits = RecoveryLimits(seconds=0.4, regain=0.9)
    recorder, _ = recover([0.5, 0.5, 0.5, 0.5, 0.6, 0.6, 0.6, 0.7], recovery_limits=limits, max_steps=12)
    assert recorder.sources == [P, *[R] * 10, P]
    assert [event["attempt"] for event in recorder.of("recovery")] == [1, 2, 3, 4]
    assert [event["reason"] for event in recorder.of("recovery_end")] == ["gave_up"]


@pytest.mark.parametrize(("value", "reason"), [(0.74, "gave_up"), (0.76, "better")])
def test_the_policy_acts_again_once_the_share_asked_for_is_regained(value: float, reason: str) -> None:
    limits = RecoveryLimits(seconds=0.3, regain=0.5)
    recorder, _ = recover([0.5, 0.5, value], recovery_limits=limits, max_steps=12)
    assert [event["reason"] for event in recorder.of("recovery_end")] == [reason]


def test_below_the_floor_the_robot_holds_and_asks() -> None:
    teleop = FakeTeleop()
    recorder, summary = recover([0.5], [None], teleop=teleop, max_steps=4)
    assert recorder.sources == [P, HOLD, HOLD, HOLD]
    assert [event["reason"] for event in recorder.of("recovery_end")] == ["floor"]
    assert teleop.asked == ["similarity below the floor"]
    assert (summary.triggers, summary.recoveries) == (1, 0)


@pytest.mark.parametrize(("chunks", "reason", "handed"), [([None], "floor", 1), (None, "gave_up", 7)])
def test_without_a_person_the_policy_goes_on(chunks: list[Any] | None, reason: str, handed: int) -> None:
    recorder, _ = recover([0.5], chunks, max_steps=9)
    assert recorder.sources[handed:] == [P] * (9 - handed)
    assert recorder.of("recovery_end") == [{"t": handed, "kind": "recovery_end", "reason": reason, "to": "policy"}]


def test_a_value_that_is_no_number_is_never_better() -> None:
    recorder, _ = recover([0.5, 0.5, float("nan")], max_steps=9)
    assert [event["reason"] for event in recorder.of("recovery_end")] == ["gave_up"]


def test_success_in_the_middle_of_a_recovery_is_a_better_end() -> None:
    recorder = FakeRecorder()
    summary = run(
        FakeRobot(succeeds_at=3),
        FakePolicy(),
        recorder,
        monitor=FakeMonitor(fires=frozenset({1})),
        recovery=FakeRecovery(),
    )
    assert summary.recoveries_better == 1
    assert recorder.of("recovery_end")[0]["to"] == "nobody"


def test_without_a_recovery_a_lasting_alarm_is_one_event() -> None:
    recorder = FakeRecorder()
    monitor = FakeMonitor(fires=frozenset({2, 3, 4, 7}))
    summary = run(FakeRobot(), FakePolicy(), recorder, monitor=monitor)
    assert [event["t"] for event in recorder.of("trigger")] == [2, 7]
    assert summary.source_steps == {P: 12}


def test_the_monitor_is_reset_on_every_change_of_source() -> None:
    monitor = FakeMonitor(values=[0.5, 0.5, 0.9], fires=frozenset({1}))
    run(
        FakeRobot(),
        FakePolicy(),
        FakeRecorder(),
        teleop=FakeTeleop(drives=range(6, 8)),
        monitor=monitor,
        recovery=FakeRecovery([np.tile(RECOVERY_ACTION, (2, 1))]),
        max_steps=10,
    )
    told = [source for _, source in monitor.told]
    assert told == [P, P, R, R, P, P, H, H, P, P]
    # at the start; after the trigger's step; after the last look at the recovery; to the person and back
    assert monitor.resets == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"seconds": 0.0}, {"min_gain": -0.1}, {"regain": 1.0}])
def test_recovery_limits_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        RecoveryLimits(**wrong)


# ---- ends ----------------------------------------------------------------------------------------------------------


def test_time_out_is_a_failure_only_where_the_predicate_says_so() -> None:
    recorder = FakeRecorder()
    summary = run(FakeRobot(), FakePolicy(), recorder, timeout_outcome=Outcome.FAILURE)
    end = recorder.ends[0]
    assert (end.end_reason, end.success, end.terminal) == ("timeout", Outcome.FAILURE, False)
    assert end.success_derivation == "predicate: did not hold within 12 steps"
    assert summary.steps == 12
    run(FakeRobot(), FakePolicy(), recorder)
    assert (recorder.ends[1].success, recorder.ends[1].success_derivation) == (Outcome.UNKNOWN, "")


@pytest.mark.parametrize(
    ("robot", "key", "outcome", "derivation", "steps"),
    [
        (FakeRobot(succeeds_at=5), None, Outcome.SUCCESS, "predicate", 5),
        (FakeRobot(fails_at=5), None, Outcome.FAILURE, "predicate", 5),
        (FakeRobot(succeeds_at=12), None, Outcome.SUCCESS, "predicate", 12),
        (FakeRobot(succeeds_at=4), Outcome.FAILURE, Outcome.FAILURE, "operator key", 4),
        (FakeRobot(), Outcome.SUCCESS, Outcome.SUCCESS, "operator key", 4),
    ],
)
def test_outcomes_say_how_they_are_known(
    robot: FakeRobot, key: Outcome | None, outcome: Outcome, derivation: str, steps: int
) -> None:
    recorder = FakeRecorder()
    teleop = FakeTeleop(inputs={} if key is None else {4: HumanInput(outcome=key)})
    summary = run(robot, FakePolicy(), recorder, teleop=teleop)
    end = recorder.ends[0]
    assert (end.success, end.end_reason, end.success_derivation) == (outcome, outcome.value, derivation)
    assert end.terminal
    assert end.complete
    assert summary.steps == len(recorder.steps) == steps


def test_notes_and_discard() -> None:
    recorder = FakeRecorder()
    teleop = FakeTeleop(inputs={2: HumanInput(note="the lamp flickers"), 4: HumanInput(discard=True)})
    summary = run(FakeRobot(), FakePolicy(), recorder, teleop=teleop)
    assert recorder.of("note")[0]["text"] == "the lamp flickers"
    assert summary.episode_id is None
    assert (recorder.discarded, recorder.ends) == (1, [])


def test_an_episode_without_a_step_is_discarded() -> None:
    recorder = FakeRecorder()
    assert run(FakeRobot(succeeds_at=0), FakePolicy(), recorder).episode_id is None
    assert recorder.discarded == 1


# ---- faults --------------------------------------------------------------------------------------------------------


def test_any_exception_stops_the_robot_first_and_keeps_what_is_there() -> None:
    log: list[str] = []
    recorder = FakeRecorder(log=log)
    with pytest.raises(OSError, match="cable"):
        run(FakeRobot(raises_at=3, log=log), FakePolicy(), recorder)
    assert log[-2:] == ["stop", "finish"]
    end = recorder.ends[0]
    assert (end.end_reason, end.complete, end.success) == ("fault", False, Outcome.UNKNOWN)
    assert len(recorder.steps) == 3
    assert "cable" in recorder.of("fault")[0]["reason"]


def test_a_recorder_that_fails_stops_the_robot_and_the_first_error_is_raised() -> None:
    robot = FakeRobot()
    with pytest.raises(OSError, match="no space left") as raised:
        run(robot, FakePolicy(), FakeRecorder(full_at=2))
    assert robot.log[-1] == "stop"
    assert "journal" in raised.value.__notes__[0]


def test_ctrl_c_stops_the_robot_and_keeps_an_incomplete_episode() -> None:
    def interrupted(t: int) -> Any:
        if t == 2:
            raise KeyboardInterrupt
        return POLICY_ACTION

    log: list[str] = []
    recorder = FakeRecorder(log=log)
    with pytest.raises(KeyboardInterrupt):
        run(FakeRobot(log=log), FakePolicy(answer=interrupted), recorder)
    assert log[-2:] == ["stop", "finish"]
    assert (recorder.ends[0].end_reason, recorder.ends[0].complete) == ("operator", False)
    assert recorder.of("fault") == []


def test_a_push_above_the_hard_limit_stops_the_robot_and_is_a_failure() -> None:
    log: list[str] = []
    recorder = FakeRecorder(log=log)
    summary = run(FakeRobot(forces_n=[0, 0, 0, 130], log=log), FakePolicy(), recorder)
    assert log == ["start", "send", "send", "send", "stop", "finish"]
    assert summary.fault == "force 130 N above 100 N"
    end = recorder.ends[0]
    assert (end.end_reason, end.success, end.complete) == ("fault", Outcome.FAILURE, True)
    assert recorder.of("fault")[0]["reason"] == summary.fault


@pytest.mark.parametrize("bad", [np.full(7, np.nan), np.zeros(5), np.array(["a"] * 7)])
def test_a_policy_that_gives_no_action_makes_the_robot_hold_and_ask(bad: Any) -> None:
    recorder, teleop, robot = FakeRecorder(), FakeTeleop(), FakeRobot()
    policy = FakePolicy(answer=lambda t: bad if t in (2, 3) else POLICY_ACTION)
    run(robot, policy, recorder, teleop=teleop, max_steps=5)
    assert recorder.sources == [P, P, HOLD, HOLD, P]
    assert np.array_equal(robot.sent[2], np.append(np.zeros(6), np.float32(0.1)))
    assert len(recorder.of("fault")) == len(teleop.asked) == 1
    assert recorder.steps[2].policy_id == ""


def test_a_policy_that_misses_its_deadline_makes_the_robot_hold() -> None:
    recorder = FakeRecorder()
    run(FakeRobot(), FakePolicy(answer=lambda t: None if t == 1 else POLICY_ACTION), recorder, max_steps=3)
    assert recorder.sources == [P, HOLD, P]
    assert recorder.steps[1].policy_action is None


def test_what_the_robot_executed_is_what_is_recorded_and_what_the_guard_let_through_is_what_is_sent() -> None:
    robot, recorder = FakeRobot(), FakeRecorder()
    run(robot, FakePolicy(answer=lambda t: np.full(7, 5.0)), recorder, max_steps=1)
    assert np.array_equal(robot.sent[0], np.ones(7))
    assert np.array_equal(recorder.steps[0].executed_action, np.ones(7))
    assert np.array_equal(recorder.steps[0].policy_action, np.full(7, 5.0))


# ---- time ----------------------------------------------------------------------------------------------------------


class FakeTime:
    def __init__(self) -> None:
        self.now_s, self.slept = 100.0, [0.0]

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


def test_real_clock_keeps_absolute_deadlines() -> None:
    time = FakeTime()
    clock = RealClock(time.now, time.sleep)
    clock.start(10.0)
    for work_s in (0.03, 0.14, 0.01):
        time.now_s += work_s
        clock.tick()
    assert time.now_s == pytest.approx(100.3)
    assert time.slept == pytest.approx([0.0, 0.07, 0.05])
    assert clock.missed == 0


def test_real_clock_does_not_make_up_for_a_long_stall() -> None:
    time = FakeTime()
    clock = RealClock(time.now, time.sleep)
    clock.start(10.0)
    time.now_s += 0.55
    clock.tick()
    assert clock.missed == 4
    clock.tick()
    assert time.now_s == pytest.approx(100.6)
