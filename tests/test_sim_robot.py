"""The simulated robot: equal seeds, observation, success, physics faults."""

from __future__ import annotations

import numpy as np
import pytest

from episodes.errors import UsageError
from episodes.record import Outcome
from robot_io.sim import SimRobot, make_robot


@pytest.fixture(scope="module")
def robot() -> SimRobot:
    return make_robot("tube_insertion", cameras=())


def drive_expert(robot: SimRobot, seed: int) -> list[np.ndarray]:
    seen = [robot.reset(seed).proprio]
    while robot.privileged.outcome is Outcome.UNKNOWN:
        robot.send(robot.task.expert(robot.arm))
        seen.append(robot.observe().proprio)
    return seen


def test_equal_seeds_give_equal_episodes_bit_for_bit(robot: SimRobot) -> None:
    first = drive_expert(robot, 7)
    drive_expert(robot, 8)
    again = drive_expert(robot, 7)
    other = drive_expert(make_robot("tube_insertion", cameras=()), 7)
    assert np.array_equal(first, again)
    assert np.array_equal(first, other)
    assert not np.array_equal(first[0], drive_expert(robot, 9)[0])


@pytest.mark.parametrize("seed", range(5))
def test_the_expert_inserts_the_tube(robot: SimRobot, seed: int) -> None:
    drive_expert(robot, seed)
    assert robot.privileged.outcome is Outcome.SUCCESS
    assert robot.observe().outcome is Outcome.SUCCESS


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(UsageError, match="no simulated task 'tubes'"):
        make_robot("tubes")
