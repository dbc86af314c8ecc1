"""The worker's law on the simulated controller, in process and in simulated time: free motion, a wall, an insertion."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from ursim_samples import InProcess

from robot_io.sim.arm import ACTION_STEP, ROTATION_LEAD_RAD, TARGET_PIECES
from robot_io.ur.admittance import STIFFNESS, Admittance
from robot_io.ur.link import LinkConfig
from robot_io.ur.messages import Command, Order, to_row
from robot_io.ur.site import simulated_limits
from robot_io.ur.worker import ServoLoop, WorkerConfig, rings
from robot_io.ursim.cell import Cell
from robot_io.ursim.controller import Controller
from robot_io.ursim.motion import JointTarget, Servo

LINK = LinkConfig(host="127.0.0.2")
STEP_S, CYCLES = 0.1, 12
WALL_N_PER_M = 40_000.0


def pressed(lag_s: float, seconds: float = 3.0) -> np.ndarray:
    """The force, cycle by cycle, on a tool that comes down on a wall and wants to be 12 mm below it."""
    dt_s = 1.0 / LINK.frequency_hz
    tool, servo = Admittance(np.zeros(6)), Servo(np.zeros(6), LINK.lookahead_s, LINK.gain)
    arm, forces, target = JointTarget(np.zeros(6), np.zeros(6)), [], np.zeros(6)
    for _ in range(round(seconds / dt_s)):
        target[2] = max(target[2] - 0.15 * dt_s, -0.062)
        force = np.array([0.0, 0.0, max(0.0, WALL_N_PER_M * (-0.05 - arm.q[2])), 0.0, 0.0, 0.0])
        tool.step(target, force, dt_s)
        servo.goal = tool.ahead(lag_s)
        for _ in range(4):
            arm = servo.step(arm, dt_s / 4)
        forces.append(force[2])
    return np.array(forces)


@pytest.mark.parametrize("lag_s", [0.025, 0.035, 0.055])
def test_a_push_on_a_stiff_wall_stands(lag_s: float) -> None:
    last = pressed(lag_s)[-100:]
    assert last.mean() == pytest.approx(STIFFNESS[2] * 0.012, rel=0.1)
    assert last.std() < 1.0


def test_being_ahead_of_the_lag_halves_the_blow() -> None:
    assert pressed(0.0).max() > 2.0 * pressed(simulated_limits().calibration.servo_lag_s).max()


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    made = Cell("tube_insertion")
    yield made
    made.close()


def test_the_expert_inserts_the_tube_as_in_the_simulation(cell: Cell) -> None:
    cell.reset(1)
    robot = Controller(cell)
    link, (commands, states) = InProcess(robot, LINK), rings()
    loop = ServoLoop(link, WorkerConfig(link=LINK), commands, states)
    loop.start(robot.time_s)
    limits = cell.robot.task.limits
    lead = np.array([limits.push_limit_m] * 3 + [ROTATION_LEAD_RAD] * 3)
    target = cell.robot.arm.pose()
    for _ in range(60):
        measured, before = cell.robot.arm.pose(), target
        action = np.clip(cell.expert(target)[:6], -1.0, 1.0)
        wanted = np.clip(target + action * ACTION_STEP, limits.low, limits.high)
        target = measured + np.clip(wanted - measured, -lead, lead)
        for cycle in range(CYCLES):
            share = min(cycle * TARGET_PIECES // CYCLES + 1, TARGET_PIECES) / TARGET_PIECES
            goal = before + share * (target - before)
            commands.write(to_row(Command(sent_s=robot.time_s, order=Order.FOLLOW, target=goal)))
            assert loop.cycle(robot.time_s) is None
            link.pass_time(STEP_S / CYCLES)
        if cell.robot.privileged.outcome.value != "unknown":
            break
    commands.close(unlink=True)
    states.close(unlink=True)
    assert cell.robot.privileged.outcome.value == "success"
