"""The memory module: the expert seats it, the press takes its force, the click is an event and needs a level module."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from episodes.record import ActionSource, Outcome
from robot_io.sim import ScriptedHuman, SimRobot, make_robot
from robot_io.sim.tasks import ram_insertion
from robot_io.sim.tasks.ram_insertion import CONTACTS_N_PER_M, LEVEL_RAD, MOUTH_M, SEAT_M, STROKE_M, RamInsertion


@pytest.fixture(scope="module")
def robot() -> SimRobot:
    return make_robot("ram_insertion", cameras=())


def drive_home(robot: SimRobot, steps: int) -> list[float]:
    """The expert from where it stands; the potential after each step."""
    potential = [robot.privileged.phi]
    while robot.privileged.outcome is Outcome.UNKNOWN and len(potential) <= steps:
        robot.send(robot.task.expert(robot.arm))
        potential.append(robot.privileged.phi)
    return potential


def latched(robot: SimRobot) -> bool:
    return bool(robot.arm.data.eq_active[robot.arm.model.equality("latch").id])


@pytest.mark.parametrize("seed", range(4))
def test_the_expert_seats_the_module_swiftly_and_every_step_is_progress(robot: SimRobot, seed: int) -> None:
    robot.reset(seed)
    assert not latched(robot)
    potential = drive_home(robot, robot.max_steps)
    assert robot.privileged.outcome is Outcome.SUCCESS
    assert latched(robot)
    assert len(potential) < 60
    assert np.diff(potential).min() > -robot.task.phi_resolution
    assert potential[-1] == 0.0


def test_a_push_below_the_press_force_does_not_click() -> None:
    task = RamInsertion()
    task.limits = replace(RamInsertion.limits, push_limit_m=0.008)
    weak = SimRobot(task, cameras=())
    weak.reset(0)
    potential = drive_home(weak, 100)
    assert weak.privileged.stalled
    assert not latched(weak)
    pressed_m = -float(weak.arm.data.joint("contacts").qpos[0])
    force_n = float(weak.observe().wrench[2])
    assert 0.001 < pressed_m < STROKE_M
    assert pressed_m * CONTACTS_N_PER_M == pytest.approx(force_n, abs=6.0)
    assert potential[-1] < 0.0


def test_a_module_that_is_not_level_does_not_click(robot: SimRobot, monkeypatch: pytest.MonkeyPatch) -> None:
    for tilt_rad, clicks in ((1.5 * LEVEL_RAD, False), (0.5 * LEVEL_RAD, True)):
        robot.reset(0)
        robot.arm.data.joint("contacts").qpos[0] = -STROKE_M
        monkeypatch.setattr(ram_insertion, "_tilt", lambda arm, tilt=tilt_rad: tilt)
        robot.task.react(robot.arm)
        assert latched(robot) is clicks
    robot.reset(0)
    assert not latched(robot)


def test_a_module_set_down_beside_the_groove_stands_on_its_wall_and_stalls(robot: SimRobot) -> None:
    robot.reset(1)
    for t in range(110):
        offset, action = robot.task.estimate(robot.arm), robot.task.expert(robot.arm)
        action[0] = np.clip((offset[0] + 0.004 - (robot.arm.target - robot.arm.pose())[0]) / 0.03, -1, 1)
        action[2] = -1.0 if t > 40 else max(action[2], (-0.012 - offset[2]) / -0.03)
        robot.send(action)
    assert robot.privileged.stalled
    assert not latched(robot)
    assert -robot.task.estimate(robot.arm)[2] > SEAT_M - MOUTH_M + 0.005
    drive_home(robot, 100)
    assert robot.privileged.outcome is Outcome.SUCCESS


def test_a_demonstration_succeeds(robot: SimRobot) -> None:
    person = ScriptedHuman(robot, 0, demo=True)
    robot.reset(3)
    person.reset(3)
    while robot.privileged.outcome is Outcome.UNKNOWN:
        action = person.poll(robot.observe(), ActionSource.HUMAN).action
        assert action is not None
        robot.send(action)
    assert robot.privileged.outcome is Outcome.SUCCESS
