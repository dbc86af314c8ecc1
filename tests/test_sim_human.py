"""The scripted human: when it takes over, how fast, what it does, when it lets go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from episodes.record import ActionSource, Outcome
from robot_io.protocols import HumanInput
from robot_io.sim import ScriptedHuman, SimRobot, make_robot
from robot_io.sim import human as constants
from robot_io.sim.stall import HELP_STEPS

POLICY, RECOVERY, HUMAN = ActionSource.POLICY, ActionSource.RECOVERY, ActionSource.HUMAN


@pytest.fixture(scope="module")
def robot() -> SimRobot:
    return make_robot("tube_insertion", cameras=())


def wait_for_takeover(robot: SimRobot, human: ScriptedHuman, seed: int, source: ActionSource = POLICY) -> int:
    """Steps that a motionless robot waits for the person; `max_steps` when nobody comes."""
    robot.reset(seed)
    human.reset(seed)
    for t in range(robot.max_steps):
        if human.poll(robot.observe(), source).action is not None:
            return t
    return robot.max_steps


def test_a_standing_robot_is_taken_over_after_three_seconds_and_a_reaction(robot: SimRobot) -> None:
    human = ScriptedHuman(robot, 0)
    waits = np.array([wait_for_takeover(robot, human, seed) for seed in range(20)])
    delays = waits - HELP_STEPS
    attended = delays[delays < HELP_STEPS]
    assert len(attended) >= 16
    assert attended.min() >= 2
    assert 4 <= np.median(attended) <= 8


def test_an_event_that_was_missed_comes_again_after_another_window(robot: SimRobot) -> None:
    assert wait_for_takeover(robot, ScriptedHuman(robot, 0, attention=0.0), 1) == robot.max_steps
    assert wait_for_takeover(robot, ScriptedHuman(robot, 0, attention=1.0), 1) < 2 * HELP_STEPS


def test_another_person_is_as_patient_and_as_quick_as_asked(robot: SimRobot) -> None:
    """With the same draws: a window longer by 1.5 s is 15 steps more, half the reaction half of it."""
    wait = wait_for_takeover(robot, ScriptedHuman(robot, 0), 1)
    assert wait_for_takeover(robot, ScriptedHuman(robot, 0, window_s=4.5), 1) == wait + 15
    quick = wait_for_takeover(robot, ScriptedHuman(robot, 0, delay_s=0.3), 1)
    assert abs((wait - HELP_STEPS) - 2 * (quick - HELP_STEPS)) <= 3
    assert quick < wait
    same = {"window_s": 3.0, "delay_s": 0.6, "attention": 0.95}
    assert wait_for_takeover(robot, ScriptedHuman(robot, 0, demo=False, **same), 1) == wait


def test_a_recovery_suspends_the_clock_for_its_first_eight_steps_only(robot: SimRobot) -> None:
    waits = {source: wait_for_takeover(robot, ScriptedHuman(robot, 0), 3, source) for source in (POLICY, RECOVERY)}
    assert waits[RECOVERY] - waits[POLICY] in (7, 8)


def test_ask_brings_the_person_after_the_reaction_delay(robot: SimRobot) -> None:
    human = ScriptedHuman(robot, 0)
    robot.reset(0)
    human.reset(0)
    human.ask("out of the memory's reach")
    waited, reply = 0, HumanInput()
    while reply.action is None:
        reply = human.poll(robot.observe(), POLICY)
        waited += 1
    assert reply.reason == "asked"
    assert 2 <= waited <= 15


def test_a_lasting_force_is_an_event_and_a_short_one_is_not(robot: SimRobot) -> None:
    human = ScriptedHuman(robot, 0)
    for pushed_steps, expected in ((4, ""), (25, "force")):
        seen = robot.reset(0)
        human.reset(0)
        pushed = replace(seen, wrench=np.array([0, 0, 80.0, 0, 0, 0], np.float32))
        replies = [human.poll(pushed if t < pushed_steps else seen, POLICY) for t in range(25)]
        assert {r.reason for r in replies if r.action is not None} == ({expected} if expected else set())


def test_a_dropped_eggplant_is_picked_up_again() -> None:
    robot = make_robot("pick_eggplant", cameras=())
    human = ScriptedHuman(robot, 0)
    robot.reset(1)
    human.reset(1)
    reasons, lifted = set(), False
    while robot.privileged.outcome is Outcome.UNKNOWN:
        reply = human.poll(robot.observe(), POLICY)
        reasons.add(reply.reason)
        action = robot.task.expert(robot.arm) if reply.action is None else reply.action
        lifted = lifted or robot.task.carried(robot.arm)
        if lifted and reply.action is None:
            action = np.array([0, 0, 0, 0, 0, 0, 1.0])
        robot.send(action)
        if len(reasons) > 1 and robot.task.carried(robot.arm):
            break
    assert reasons == {"", "drop"}
    assert robot.task.carried(robot.arm)


def jam_then_help(robot: SimRobot, human: ScriptedHuman, seed: int) -> tuple[list[HumanInput], Outcome]:
    """Put the tube down 5 mm beside the hole; the person takes over, and drives the expert home if asked again."""
    robot.reset(seed)
    human.reset(seed)
    replies, source = [], POLICY
    while robot.privileged.outcome is Outcome.UNKNOWN:
        reply = human.poll(robot.observe(), source)
        replies.append(reply)
        helped = any(r.action is not None for r in replies)
        source = POLICY if reply.action is None else HUMAN
        blind = robot.task.expert(robot.arm) if helped else beside_the_hole(robot)
        robot.send(blind if reply.action is None else reply.action)
    return replies, robot.privileged.outcome


def beside_the_hole(robot: SimRobot) -> np.ndarray:
    arm = robot.arm
    goal = robot.task.estimate(arm)[:2] + np.array([0.005, 0.0])
    lateral = np.clip((goal - (arm.target - arm.pose())[:2]) / 0.03, -1, 1)
    return np.array([*lateral, -0.5 if np.hypot(*goal) < 0.003 else 0.0, 0, 0, 0, -1])


def test_the_person_frees_a_jammed_tube_and_hands_back(robot: SimRobot) -> None:
    human, rescued = ScriptedHuman(robot, 0), 0
    for seed in range(8):
        replies, outcome = jam_then_help(robot, human, seed)
        driven = [r for r in replies if r.action is not None]
        assert {r.reason for r in driven} == {"stall"}
        assert constants.MIN_STEPS <= len(driven) <= constants.MAX_STEPS
        assert np.abs([r.action[:6] for r in driven]).max() <= constants.SPEED + 1e-6
        rescued += outcome is Outcome.SUCCESS
    assert rescued >= 7


def test_a_demonstration_is_driven_from_the_first_step_to_the_end(robot: SimRobot) -> None:
    human = ScriptedHuman(robot, 0, demo=True)
    robot.reset(4)
    human.reset(4)
    while robot.privileged.outcome is Outcome.UNKNOWN:
        reply = human.poll(robot.observe(), HUMAN)
        assert reply.action is not None
        assert reply.reason == "demo"
        robot.send(reply.action)
    assert robot.privileged.outcome is Outcome.SUCCESS


def test_equal_seeds_give_an_equal_person(robot: SimRobot) -> None:
    runs = [
        [r.action for r in jam_then_help(robot, ScriptedHuman(robot, seed), 5)[0] if r.action is not None]
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
